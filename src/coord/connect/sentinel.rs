//! The primary that Sentinels name: asked for anew with every connection.
//!
//! A demoted primary takes connections like any other server, so each new connection is asked for
//! its role, and of several Sentinels the one with the newest configuration is believed.

use std::collections::HashMap;

use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult};

use crate::coord::options::LaneOptions;
use crate::model::error::{Error, Result};

use super::address::{Address, Login, Servers};
use super::connector::Connector;
use super::dial::{Dialer, ask};
use super::link::Link;

/// The servers of one name, watched by Sentinels.
#[derive(Debug)]
pub(super) struct Sentinels {
    url: String,
    name: String,
    addresses: Vec<Address>,
    sentinels: Dialer,
    servers: Dialer,
}

impl Sentinels {
    pub(super) fn new(servers: Servers, name: String, login: Login, options: &LaneOptions) -> Self {
        Self {
            url: servers.to_string(),
            name,
            sentinels: Dialer::new(servers.tls, login, 0, options),
            servers: Dialer::new(servers.tls, servers.login, servers.db, options),
            addresses: servers.addresses,
        }
    }

    /// Where the primary is, by one Sentinel, and how new that is.
    async fn ask(&self, sentinel: &Address) -> RedisResult<(u64, Option<Address>)> {
        let mut connection = self.sentinels.prompt(sentinel).await?;
        // While a failover is under way, the first tells the new primary and the second the old.
        let at = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.name)
            .query_async::<Option<(String, u16)>>(&mut connection)
            .await?;
        let Some((host, port)) = at else {
            return Ok((0, None));
        };
        let known = redis::cmd("SENTINEL")
            .arg("MASTER")
            .arg(&self.name)
            .query_async::<HashMap<String, String>>(&mut connection)
            .await?;
        let epoch = known.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        Ok((epoch, Some(Address { host, port })))
    }

    /// A connection to the primary.
    async fn primary(&self, waiting: bool) -> Result<MultiplexedConnection> {
        let no_primary = |why: String| {
            Error::unavailable(format!(
                "cannot reach the primary '{}' by the Sentinels of {}: {why}; check that they run and that --redis / ONWARD_REDIS names them",
                self.name, self.url
            ))
            .outage()
        };
        let questions = self.addresses.iter().map(|sentinel| self.ask(sentinel));
        let answers = ask(questions).await.map_err(|error| no_primary(error.to_string()))?;
        let mut candidates: Vec<Address> = Vec::new();
        for address in answers.into_iter().flatten() {
            if !candidates.contains(&address) {
                candidates.push(address);
            }
        }
        let mut failure = "none of them knows that name".to_owned();
        for address in candidates {
            match self.connect(&address, waiting).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = format!("{address}: {error}"),
            }
        }
        Err(no_primary(failure))
    }

    async fn connect(
        &self,
        address: &Address,
        waiting: bool,
    ) -> RedisResult<MultiplexedConnection> {
        let mut connection = match waiting {
            true => self.servers.waiting(address).await?,
            false => self.servers.prompt(address).await?,
        };
        // Not ROLE, which asks for the rights of an administrator.
        let mut info = redis::cmd("INFO");
        let info: String = info.arg("replication").query_async(&mut connection).await?;
        match info.lines().any(|line| line.trim_end() == "role:master") {
            true => Ok(connection),
            false => Err(RedisError::from((ErrorKind::Client, "it is not the primary at present"))),
        }
    }
}

impl Connector for Sentinels {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn shared(&self) -> BoxFuture<'_, Result<Link>> {
        Box::pin(async { self.primary(false).await.map(Link::from) })
    }

    fn blocking<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, Result<Link>> {
        Box::pin(async {
            let permit = self.servers.permit()?;
            self.primary(true).await.map(|connection| Link::from(connection).holding(permit))
        })
    }
}
