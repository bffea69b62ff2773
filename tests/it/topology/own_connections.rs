//! A program that brings its own connections: byte streams inside the process.

use std::sync::Arc;

use futures::future::BoxFuture;
use onward::internals::commit::faults::Faults;
use onward::internals::coord::{Connector, Lanes, Link};
use onward::internals::objects::Objects;
use onward::{Config, Onward};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use tokio::net::UnixStream;

use crate::support::lake::entry;
use crate::support::redis::RedisServer;

/// Pipes to a server: nothing that Lanes could know an address of.
#[derive(Debug)]
struct Pipes(std::path::PathBuf);

impl Pipes {
    async fn open(&self) -> onward::Result<Link> {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let mut server = UnixStream::connect(&self.0).await.unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut theirs, &mut server).await });
        let info = RedisConnectionInfo::default();
        let config = AsyncConnectionConfig::new();
        let opened = MultiplexedConnection::new_with_config(&info, ours, config).await;
        let (connection, driver) = opened.unwrap();
        tokio::spawn(driver);
        Ok(Link::from(connection))
    }
}

impl Connector for Pipes {
    fn url(&self) -> String {
        "pipes".to_owned()
    }

    fn shared(&self) -> BoxFuture<'_, onward::Result<Link>> {
        Box::pin(self.open())
    }

    fn blocking<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, onward::Result<Link>> {
        Box::pin(self.open())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_may_be_brought_along_and_run_over_any_stream() {
    let redis = RedisServer::new();
    let objects = Objects::open("memory://").unwrap();
    let config = Config::new("unused", objects.url());
    let connector = Arc::new(Pipes(redis.socket()));
    let lanes = Lanes::with_connector(connector, config.lanes.clone()).await.unwrap();
    let onward = Onward::assemble(config, lanes, objects, Faults::default());
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let change = onward.repo("lake").branch("main").change();
    let outcome = change.put("a", entry(1)).message("over a pipe").commit().await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    assert_eq!(onward.coordinator().lanes().url(), "pipes");
}
