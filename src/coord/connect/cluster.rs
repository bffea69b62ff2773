//! A Redis cluster: every call goes to the server that has the slot of its keys.
//!
//! Calls are not made again here. Whoever calls has to know when another server took over, because
//! it may lack the newest writes; so what a server says of that becomes the answer, the map of
//! slots is corrected, and [`Lanes`](crate::coord::Lanes) makes the call again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::OnceCell;

use crate::coord::attempts::Attempts;
use crate::coord::lanes::LaneOptions;
use crate::model::error::{Error, Result};

use super::dial::{Dialer, ask};
use super::place::{Address, Servers};
use super::slots::{SlotMap, slot_of, slot_of_command};
use super::{Connector, Link};

/// A cluster, known by some of its servers.
#[derive(Debug)]
pub(super) struct Cluster {
    url: String,
    topology: Arc<Topology>,
}

impl Cluster {
    pub(super) fn new(servers: Servers, options: &LaneOptions) -> Self {
        let url = servers.to_string();
        let topology = Topology {
            dialer: Dialer::new(servers.tls, servers.login, 0, options),
            seeds: servers.addresses,
            known: Mutex::default(),
            refreshing: Attempts::default(),
            changes: AtomicU64::new(0),
        };
        Self { url, topology: Arc::new(topology) }
    }

    async fn waiting(&self, key: &str) -> Result<Link> {
        let place = self.topology.dialer.place()?;
        let open = async {
            let address = self.topology.address(Some(slot_of(key.as_bytes()))).await?;
            let opened = self.topology.dialer.waiting(&address).await;
            opened.inspect_err(|_| self.topology.doubt())
        };
        let connection = open.await.map_err(|error| {
            Error::unavailable(format!("cannot connect to the Redis cluster {}: {error}", self.url))
                .outage()
        })?;
        Ok(Link::from(connection).holding(place))
    }
}

impl Connector for Cluster {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn shared(&self) -> BoxFuture<'_, Result<Link>> {
        // Its servers are connected to when a call goes there.
        let nodes = Nodes { topology: Arc::clone(&self.topology), open: Mutex::default() };
        Box::pin(std::future::ready(Ok(Link::from(Routed(Arc::new(nodes))))))
    }

    fn blocking<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Link>> {
        Box::pin(self.waiting(key))
    }

    fn changes(&self) -> u64 {
        self.topology.changes.load(Ordering::Acquire)
    }
}

/// Who has which slots, as last heard. All links of a cluster share it.
#[derive(Debug)]
struct Topology {
    dialer: Dialer,
    /// The servers that the URL names, asked besides those that have slots.
    seeds: Vec<Address>,
    /// A std mutex: held for a look, never across an await.
    known: Mutex<Known>,
    /// One task at a time asks.
    refreshing: Attempts<RedisError>,
    /// How often a slot was found with another server, or the connection to one was lost.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    slots: SlotMap,
    /// Whether it was heard and not found wrong since.
    fresh: bool,
}

impl Topology {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server of a slot; any server, where the call is about none.
    async fn address(&self, slot: Option<u16>) -> RedisResult<Address> {
        if let Some(address) = self.known_address(slot) {
            return Ok(address);
        }
        self.refresh().await?;
        self.known_address(slot).ok_or_else(|| {
            self.doubt();
            let kind = ErrorKind::Server(ServerErrorKind::ClusterDown);
            RedisError::from((kind, "no server of the cluster has the slot"))
        })
    }

    fn known_address(&self, slot: Option<u16>) -> Option<Address> {
        let known = self.known();
        let found = match slot {
            Some(slot) => known.slots.owner(slot).cloned(),
            None => known.slots.servers().into_iter().next(),
        };
        found.filter(|_| known.fresh)
    }

    /// The map may be wrong: it is asked for again before the next call.
    fn doubt(&self) {
        self.known().fresh = false;
    }

    /// A server says that a slot is at another.
    fn moved(&self, slot: u16, address: Address) {
        let mut known = self.known();
        if known.slots.owner(slot) == Some(&address) {
            return;
        }
        // A server that had no slots has taken over from one that failed, with all it had. Where
        // one slot moves, others may not have heard of it yet, and are not asked.
        if !known.slots.servers().contains(&address) {
            known.fresh = false;
        }
        known.slots.learn(slot, address);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    async fn refresh(&self) -> RedisResult<()> {
        let there = || self.known().fresh.then_some(());
        self.refreshing.share(there, self.ask_all()).await
    }

    async fn ask_all(&self) -> RedisResult<()> {
        let mut servers = self.known().slots.servers();
        servers.extend(self.seeds.iter().cloned());
        let questions = servers.iter().map(|server| self.ask(server));
        let slots = ask(questions).await?.into_iter().next().unwrap_or_default();
        let mut known = self.known();
        if !known.slots.is_empty() && slots.differs(&known.slots) {
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
        *known = Known { slots, fresh: true };
        Ok(())
    }

    /// The map as one server has it, and the newest epoch that server has heard of.
    async fn ask(&self, server: &Address) -> RedisResult<(u64, SlotMap)> {
        let mut connection = self.dialer.prompt(server).await?;
        let info = redis::cmd("CLUSTER").arg("INFO").query_async::<String>(&mut connection).await?;
        let epoch = info
            .lines()
            .find_map(|line| line.strip_prefix("cluster_current_epoch:"))
            .and_then(|epoch| epoch.trim().parse().ok())
            .unwrap_or(0);
        let slots =
            redis::cmd("CLUSTER").arg("SLOTS").query_async::<Value>(&mut connection).await?;
        let map = SlotMap::parse(&slots, server).ok_or_else(|| {
            RedisError::from((ErrorKind::Parse, "the reply to CLUSTER SLOTS cannot be read"))
        })?;
        Ok((epoch, map))
    }
}

/// A shared link to all servers of a cluster.
#[derive(Clone)]
pub(super) struct Routed(Arc<Nodes>);

struct Nodes {
    topology: Arc<Topology>,
    open: Mutex<BTreeMap<Address, Arc<Node>>>,
}

/// The connection to one server, opened by the first call that goes there.
type Node = OnceCell<MultiplexedConnection>;

impl Routed {
    /// Makes one call where its keys are.
    pub(super) async fn call(&self, call: &Cmd) -> RedisResult<Value> {
        let Nodes { topology, .. } = &*self.0;
        let slot = slot_of_command(call);
        let address = topology.address(slot).await?;
        let result = self.call_at(&address, call, false).await;
        let Err(error) = &result else {
            return result;
        };
        // A server that does not know its own address leaves it out.
        let named = error.redirect_node().and_then(|(named, slot)| {
            let named = match named.strip_prefix(':') {
                Some(port) => format!("{}:{port}", address.host),
                None => named.to_owned(),
            };
            Some((Address::told(&named)?, slot))
        });
        match (error.code(), named) {
            (Some("MOVED"), Some((named, slot))) => topology.moved(slot, named),
            // The slot is on its way, and the keys are there already.
            (Some("ASK"), Some((named, _))) => return self.call_at(&named, call, true).await,
            (Some("CLUSTERDOWN" | "READONLY" | "MASTERDOWN"), _) => topology.doubt(),
            _ if error.is_io_error() => topology.doubt(),
            _ => {}
        }
        result
    }

    async fn call_at(&self, address: &Address, call: &Cmd, asking: bool) -> RedisResult<Value> {
        let node = self.node(address);
        let dialer = &self.0.topology.dialer;
        let result = match node.get_or_try_init(|| dialer.prompt(address)).await {
            Err(error) => Err(error),
            Ok(connection) => {
                let mut connection = connection.clone();
                match asking {
                    false => call.query_async(&mut connection).await,
                    // Both travel together, so that nobody's call comes in between.
                    true => redis::pipe()
                        .cmd("ASKING")
                        .ignore()
                        .add_command(call.clone())
                        .query_async::<(Value,)>(&mut connection)
                        .await
                        .map(|(value,)| value),
                }
            }
        };
        // The connections to the others are as good as before.
        if result.as_ref().is_err_and(RedisError::is_io_error) {
            self.forget(address, &node);
        }
        result
    }

    fn nodes(&self) -> std::sync::MutexGuard<'_, BTreeMap<Address, Arc<Node>>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, address: &Address) -> Arc<Node> {
        Arc::clone(self.nodes().entry(address.clone()).or_default())
    }

    fn forget(&self, address: &Address, node: &Arc<Node>) {
        let mut nodes = self.nodes();
        if nodes.get(address).is_some_and(|current| Arc::ptr_eq(current, node)) {
            nodes.remove(address);
            // What comes back at this address may have lost data. One that never was there has not.
            if node.initialized() {
                self.0.topology.changes.fetch_add(1, Ordering::AcqRel);
            }
        }
    }
}
