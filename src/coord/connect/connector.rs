//! The port between [`Lanes`](crate::coord::Lanes) and a way to reach Redis.

use std::fmt;

use futures::future::BoxFuture;

use crate::model::error::Result;

use super::link::Link;

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
