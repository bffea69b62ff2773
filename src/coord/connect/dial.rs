//! Opens connections to servers that are known by their addresses.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult,
};

use crate::coord::options::{BLOCK_MAX, LaneOptions};
use crate::model::error::Result;

use super::address::{Address, Login};
use super::permit::{Permit, Permits};

/// Servers that are asked the same question at the same time, at most.
pub(super) const ASKED_MAX: usize = 16;

/// Opens connections to servers that ask for the same login.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) tls: bool,
    login: Login,
    db: i64,
    connect_timeout: Duration,
    response_timeout: Duration,
    /// For connections that wait in a server.
    permits: Permits,
}

impl Dialer {
    pub(super) fn new(tls: bool, login: Login, db: i64, options: &LaneOptions) -> Self {
        Self {
            tls,
            login,
            db,
            connect_timeout: options.connect_timeout,
            response_timeout: options.response_timeout,
            permits: Permits::new(options.blocking),
        }
    }

    /// A connection whose calls are answered at once.
    pub(super) async fn prompt(&self, address: &Address) -> RedisResult<MultiplexedConnection> {
        self.dial(address, self.response_timeout).await
    }

    /// A connection whose calls may wait in the server.
    pub(super) async fn waiting(&self, address: &Address) -> RedisResult<MultiplexedConnection> {
        self.dial(address, BLOCK_MAX + self.response_timeout).await
    }

    /// The right to one more connection that waits.
    pub(super) fn permit(&self) -> Result<Permit> {
        self.permits.take()
    }

    async fn dial(
        &self,
        address: &Address,
        response_timeout: Duration,
    ) -> RedisResult<MultiplexedConnection> {
        let Address { host, port } = address.clone();
        let at = match self.tls {
            false => ConnectionAddr::Tcp(host, port),
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        };
        let mut settings = RedisConnectionInfo::default().set_db(self.db);
        if let Some(user) = &self.login.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.login.password {
            settings = settings.set_password(password);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(response_timeout));
        let client = Client::open(at.into_connection_info()?.set_redis_settings(settings))?;
        let dialing = client.get_multiplexed_async_connection_with_config(&config);
        // A server that takes connections and says nothing must not hold anybody up.
        match tokio::time::timeout(self.connect_timeout, dialing).await {
            Ok(connection) => connection,
            Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        }
    }
}

/// What several servers say of the same thing, the newest first by the epoch that each gives. More
/// than half of the answers are enough; without them, those that come before all have failed.
pub(super) async fn ask<T>(
    questions: impl ExactSizeIterator<Item = impl Future<Output = RedisResult<(u64, T)>>>,
) -> RedisResult<Vec<T>> {
    let asked = questions.len().min(ASKED_MAX);
    let mut pending: FuturesUnordered<_> = questions.take(ASKED_MAX).collect();
    let mut answers = Vec::with_capacity(asked);
    let mut failure = None;
    while answers.len() * 2 <= asked
        && let Some(answer) = pending.next().await
    {
        match answer {
            Ok(answer) => answers.push(answer),
            Err(error) => failure = Some(error),
        }
    }
    if let (true, Some(error)) = (answers.is_empty(), failure) {
        return Err(error);
    }
    answers.sort_by_key(|(epoch, _)| std::cmp::Reverse(*epoch));
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}
