//! Calls to the servers of a cluster: each goes to the server that has the slot of its keys.
//!
//! Calls are not made again here. Whoever calls has to know when another server took over, because
//! it may lack the newest writes; so what a server says of that becomes the answer, the map of
//! slots is corrected, and [`Lanes`](crate::coord::Lanes) makes the call again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, RedisResult, Value};
use tokio::sync::OnceCell;

use crate::coord::failure::code;

use super::address::Address;
use super::slots::slot_of_command;
use super::topology::Topology;

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
    /// A link whose connections are opened when a call goes there.
    pub(super) fn new(topology: Arc<Topology>) -> Self {
        Self(Arc::new(Nodes { topology, open: Mutex::default() }))
    }

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
        match (code(error), named) {
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
            // One that never was there has not lost data.
            if node.initialized() {
                self.0.topology.note_loss();
            }
        }
    }
}
