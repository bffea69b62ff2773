//! One connection to Redis, whatever it leads to.

use std::fmt;
use std::sync::Arc;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, Value};

use tokio::task::AbortHandle;

use super::permit::Permit;
use super::routed::Routed;

/// One connection. Clones share it.
pub struct Link {
    wire: Wire,
    /// The connection's permit. A clone has none: the permit is given back when the link that was
    /// opened goes, whatever calls are still under way.
    permit: Option<Permit>,
    /// What moves its bytes, where the connection does not see to that itself.
    driver: Option<Arc<Driver>>,
}

/// The task that moves a connection's bytes. It ends with this: whoever waits in the server, and is waited
/// for no longer, must not go on holding a connection there.
pub(super) struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Clone)]
enum Wire {
    /// To one server.
    Plain(MultiplexedConnection),
    /// To the servers of a cluster.
    Routed(Routed),
}

impl Link {
    /// Whether it replaces what is broken of it by itself, and counts that as a change.
    pub(in crate::coord) fn heals(&self) -> bool {
        matches!(self.wire, Wire::Routed(_))
    }

    /// A link whose bytes a task moves.
    #[must_use]
    pub(super) fn driven_by(mut self, driver: AbortHandle) -> Self {
        self.driver = Some(Arc::new(Driver(driver)));
        self
    }

    /// A link that holds a permit of a pool for as long as it lives.
    #[must_use]
    pub fn holding(mut self, permit: Permit) -> Self {
        self.permit = Some(permit);
        self
    }
}

impl From<MultiplexedConnection> for Link {
    fn from(connection: MultiplexedConnection) -> Self {
        Self { wire: Wire::Plain(connection), permit: None, driver: None }
    }
}

impl From<Routed> for Link {
    fn from(routed: Routed) -> Self {
        Self { wire: Wire::Routed(routed), permit: None, driver: None }
    }
}

impl Clone for Link {
    fn clone(&self) -> Self {
        Self { wire: self.wire.clone(), permit: None, driver: self.driver.clone() }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("holds_permit", &self.permit.is_some()).finish_non_exhaustive()
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.wire {
            Wire::Plain(connection) => connection.req_packed_command(cmd),
            Wire::Routed(routed) => Box::pin(routed.call(cmd)),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.wire {
            Wire::Plain(connection) => connection.req_packed_commands(pipeline, offset, count),
            Wire::Routed(_) => {
                let why = (ErrorKind::Client, "pipelines have no place in a cluster here");
                Box::pin(std::future::ready(Err(RedisError::from(why))))
            }
        }
    }

    fn get_db(&self) -> i64 {
        match &self.wire {
            Wire::Plain(connection) => connection.get_db(),
            Wire::Routed(_) => 0,
        }
    }
}
