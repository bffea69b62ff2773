//! One Redis server, by its address: connections whose life cycle deadpool pools own, and what is said of
//! an address that is wrong or leads nowhere.

use std::fmt;
use std::time::Duration;

use deadpool_redis::{Connection, Manager, Pool, PoolConfig, PoolError, Runtime, Timeouts};
use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};

use crate::coord::options::{BLOCK_MAX, LaneOptions};
use crate::model::error::{Error, Result, quoted};

use super::connector::Connector;
use super::link::Link;

/// One server: `redis://` or `rediss://`.
pub(super) struct OneServer {
    url: String,
    shared: Pool,
    blocking: Pool,
}

impl fmt::Debug for OneServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneServer").field("url", &self.url).finish_non_exhaustive()
    }
}

impl OneServer {
    pub(super) fn new(url: &str, options: &LaneOptions) -> Result<Self> {
        let response = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout));
        let waiting =
            response.clone().set_response_timeout(Some(BLOCK_MAX + options.response_timeout));
        Ok(Self {
            url: redact(url),
            shared: pool(url, options, response, options.lanes)?,
            // Who gets no connection of his own can do without: he looks again instead.
            blocking: pool(url, options, waiting, options.blocking)?,
        })
    }

    async fn open(&self, pool: &Pool) -> Result<Link> {
        let owned = pool.get().await.map_err(|error| no_connection(&self.url, cause_of(&error)))?;
        let connection = MultiplexedConnection::clone(&owned);
        Ok(Link::from(connection).holding(Box::new(Owned(Some(owned)))))
    }
}

impl Connector for OneServer {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn shared(&self) -> BoxFuture<'_, Result<Link>> {
        Box::pin(self.open(&self.shared))
    }

    fn blocking<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, Result<Link>> {
        Box::pin(self.open(&self.blocking))
    }
}

/// A connection that its pool counts, and never hands out again: it is given up when it has failed,
/// leads to the wrong server, or has a read under way that was abandoned.
struct Owned(Option<Connection>);

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Connection::take(connection));
        }
    }
}

/// What stands in front of the address of one server.
const SCHEMES: [&str; 7] =
    ["redis", "rediss", "redis+unix", "unix", "valkey", "valkeys", "valkey+unix"];

/// Why there is no connection, without the words of the pool.
fn cause_of(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) => error.to_string(),
        error => error.to_string(),
    }
}

fn pool(
    url: &str,
    options: &LaneOptions,
    config: AsyncConnectionConfig,
    size: usize,
) -> Result<Pool> {
    if let Some((scheme, _)) = url.split_once("://")
        && !SCHEMES.contains(&scheme)
    {
        return Err(wrong(url, format_args!("'{}' is no scheme of Redis", quoted(scheme))));
    }
    let manager =
        Manager::new_with_config(url, config).map_err(|error| wrong(url, reason(&error)))?;
    let mut pool = PoolConfig::new(size.max(1));
    pool.timeouts = Timeouts {
        // Every place is held for as long as somebody needs it, so waiting for one is in vain.
        wait: Some(Duration::ZERO),
        create: Some(options.connect_timeout),
        recycle: Some(options.response_timeout),
    };
    Pool::builder(manager)
        .config(pool)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| wrong(url, error))
}

/// A server that cannot be reached.
pub(super) fn no_connection(url: &str, error: impl fmt::Display) -> Error {
    Error::unavailable(format!(
        "cannot connect to Redis at {url}: {error}; check that the server runs and that --redis / ONWARD_REDIS names it"
    ))
    .outage()
}

/// What is wrong with a URL, in the words of the client.
pub(super) fn reason(error: &RedisError) -> String {
    error.detail().map_or_else(|| error.to_string(), str::to_owned)
}

/// A URL that is none.
pub(super) fn wrong(url: &str, why: impl fmt::Display) -> Error {
    Error::invalid(format!(
        "Redis URL '{}' cannot be used: {why}; write redis://HOST:PORT, unix:///PATH/TO/SOCKET, redis-sentinel://HOST:PORT,…/NAME or redis-cluster://HOST:PORT,…",
        redact(url)
    ))
}

/// The URL without user and password, fit for messages. What follows a '?' is left out as a whole: that of
/// a socket may name both.
pub(super) fn redact(url: &str) -> String {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (login, place) = match rest.rsplit_once('@') {
        Some((_, place)) if !rest.starts_with('/') => ("…@", place),
        _ => ("", rest),
    };
    let (place, settings) = place.split_once('?').map_or((place, ""), |(place, _)| (place, "?…"));
    format!("{scheme}{login}{place}{settings}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_messages() {
        assert_eq!(redact("redis://u:secret@h:6379/0"), "redis://…@h:6379/0");
        assert_eq!(redact("redis://h:6379"), "redis://h:6379");
        assert_eq!(redact("unix:///run/redis.sock"), "unix:///run/redis.sock");
        assert_eq!(redact("unix:///run/r.sock?user=u&pass=s@x"), "unix:///run/r.sock?…");
        assert_eq!(redact("redis://u:secret@h/0?protocol=resp3"), "redis://…@h/0?…");
        assert_eq!(redact("redis://u:se?cret@h/0"), "redis://…@h/0");
    }
}
