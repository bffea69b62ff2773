//! How Redis is reached, and the limits of a call to it.

use std::time::Duration;

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct LaneOptions {
    /// Shared connections. One carries over 100,000 small calls a second.
    pub lanes: usize,
    /// How long one call may take before its reply counts as lost.
    pub response_timeout: Duration,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long calls are tried again while Redis does not answer or cannot accept writes.
    pub patience: Duration,
    /// Connections for blocking reads, at most.
    pub blocking: usize,
}

impl Default for LaneOptions {
    fn default() -> Self {
        Self {
            lanes: 2,
            response_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            patience: Duration::from_secs(5),
            blocking: 1024,
        }
    }
}

/// The longest that one blocking read may wait in the server.
pub const BLOCK_MAX: Duration = Duration::from_secs(5);
