//! Where connections come from: a [`Connector`] knows the servers, a [`Link`] is one connection to
//! them. [`Lanes`](super::Lanes) knows neither sockets nor addresses, so a program can bring
//! connections of its own, over any byte stream.

use std::sync::Arc;

#[cfg(not(feature = "tls"))]
use crate::model::error::Error;
use crate::model::error::Result;

use self::address::{Kind, Servers};
use self::cluster::Cluster;
use self::sentinel::Sentinels;
use self::server::OneServer;
use super::options::LaneOptions;

mod address;
mod cluster;
mod connector;
mod dial;
mod link;
mod permit;
mod routed;
mod sentinel;
mod server;
mod slots;
mod topology;
#[cfg(unix)]
mod unix;

pub use connector::Connector;
pub use link::Link;
pub use permit::Permit;

/// The connector that a URL asks for.
pub(super) fn connector(url: &str, options: &LaneOptions) -> Result<Arc<dyn Connector>> {
    let Some(servers) = Servers::parse(url)? else {
        if url.starts_with("rediss://") || url.starts_with("valkeys://") {
            prepare_tls()?;
        }
        #[cfg(unix)]
        if let Some(socket) = unix::UnixServer::at(url, options)? {
            return Ok(Arc::new(socket));
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

/// Without an implementation of cryptography in the process, connecting panics.
#[cfg(feature = "tls")]
fn prepare_tls() -> Result<()> {
    crate::encryption::ready();
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn prepare_tls() -> Result<()> {
    Err(Error::invalid(
        "the Redis URL asks for TLS, which this build leaves out: build Onward with --features tls, or use a URL without it (redis://, redis-sentinel://, redis-cluster://)",
    ))
}
