//! Where connections come from: the port between [`Lanes`](super::Lanes) and a way to reach Redis.
//!
//! A [`Connector`] knows the servers, a [`Link`] is one connection to them. Lanes knows neither
//! sockets nor addresses, so a program can bring connections of its own, over any byte stream.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, Value};

#[cfg(not(feature = "tls"))]
use crate::model::error::Error;
use crate::model::error::Result;

use self::cluster::{Cluster, Routed};
use self::place::{Kind, Servers};
use self::sentinel::Sentinels;
use self::server::OneServer;
use super::lanes::LaneOptions;

mod cluster;
mod dial;
mod place;
mod sentinel;
mod server;
mod slots;

/// A way to reach Redis. Every connection is opened anew, to where calls are to go at that moment.
pub trait Connector: fmt::Debug + Send + Sync {
    /// Where it leads, without passwords: for messages.
    fn url(&self) -> String;

    /// A connection that many tasks use at the same time.
    fn shared(&self) -> BoxFuture<'_, Result<Link>>;

    /// A connection of the caller's own, for reads of `key` that wait in the server.
    fn blocking<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Link>>;

    /// How often it was found out that calls go to another server now. That one may lack the
    /// newest writes, so it counts like a lost connection.
    fn changes(&self) -> u64 {
        0
    }
}

/// The connector that a URL asks for.
pub(super) fn connector(url: &str, options: &LaneOptions) -> Result<Arc<dyn Connector>> {
    let Some(servers) = Servers::parse(url)? else {
        if url.starts_with("rediss://") || url.starts_with("valkeys://") {
            prepare_tls()?;
        }
        return Ok(Arc::new(OneServer::new(url, options)?));
    };
    if servers.tls {
        prepare_tls()?;
    }
    Ok(match servers.kind.clone() {
        Kind::Cluster => Arc::new(Cluster::new(servers, options)),
        Kind::Sentinel { name, login } => Arc::new(Sentinels::new(servers, name, login, options)),
    })
}

/// Names the library that encrypts, where nobody has done so: without one, connecting panics.
#[cfg(feature = "tls")]
fn prepare_tls() -> Result<()> {
    // Refused when the process has one already, which does as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn prepare_tls() -> Result<()> {
    Err(Error::invalid(
        "the Redis URL asks for TLS, which this build leaves out: build Onward with --features tls, or use a URL without it (redis://, redis-sentinel://, redis-cluster://)",
    ))
}

/// One connection. Clones share it.
pub struct Link {
    wire: Wire,
    /// The connection's place in a pool. A clone has none: the place is free again when the link
    /// that was opened goes, whatever calls are still under way.
    place: Option<Place>,
}

/// Whatever gives a place in a pool back when it is dropped.
pub type Place = Box<dyn Any + Send + Sync>;

#[derive(Clone)]
enum Wire {
    /// To one server.
    Plain(MultiplexedConnection),
    /// To the servers of a cluster.
    Routed(Routed),
}

impl Link {
    /// Whether it replaces what is broken of it by itself, and counts that as a change.
    pub(super) fn heals(&self) -> bool {
        matches!(self.wire, Wire::Routed(_))
    }

    /// A link that holds a place in a pool for as long as it lives.
    #[must_use]
    pub fn holding(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

impl From<MultiplexedConnection> for Link {
    fn from(connection: MultiplexedConnection) -> Self {
        Self { wire: Wire::Plain(connection), place: None }
    }
}

impl From<Routed> for Link {
    fn from(routed: Routed) -> Self {
        Self { wire: Wire::Routed(routed), place: None }
    }
}

impl Clone for Link {
    fn clone(&self) -> Self {
        Self { wire: self.wire.clone(), place: None }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("holds_place", &self.place.is_some()).finish_non_exhaustive()
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
