//! A Redis cluster, known by some of its servers.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::coord::options::LaneOptions;
use crate::model::error::{Error, Result};

use super::address::Servers;
use super::connector::Connector;
use super::dial::Dialer;
use super::link::Link;
use super::routed::Routed;
use super::slots::slot_of;
use super::topology::Topology;

/// A cluster, known by some of its servers.
#[derive(Debug)]
pub(super) struct Cluster {
    url: String,
    topology: Arc<Topology>,
}

impl Cluster {
    pub(super) fn new(servers: Servers, options: &LaneOptions) -> Self {
        let url = servers.to_string();
        let dialer = Dialer::new(servers.tls, servers.login, 0, options);
        let topology = Topology::new(dialer, servers.addresses);
        Self { url, topology: Arc::new(topology) }
    }

    async fn waiting(&self, key: &str) -> Result<Link> {
        let permit = self.topology.dialer.permit()?;
        let open = async {
            let address = self.topology.address(Some(slot_of(key.as_bytes()))).await?;
            let opened = self.topology.dialer.waiting(&address).await;
            opened.inspect_err(|_| self.topology.doubt())
        };
        let connection = open.await.map_err(|error| {
            Error::unavailable(format!("cannot connect to the Redis cluster {}: {error}", self.url))
                .outage()
        })?;
        Ok(Link::from(connection).holding(permit))
    }
}

impl Connector for Cluster {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn shared(&self) -> BoxFuture<'_, Result<Link>> {
        // Its servers are connected to when a call goes there.
        let routed = Routed::new(Arc::clone(&self.topology));
        Box::pin(std::future::ready(Ok(Link::from(routed))))
    }

    fn blocking<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Link>> {
        Box::pin(self.waiting(key))
    }

    fn changes(&self) -> u64 {
        self.topology.changes()
    }
}
