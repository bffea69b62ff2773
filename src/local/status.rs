//! What can be said of a local instance.

use std::time::Duration;

/// What is known about a local instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalStatus {
    /// URL of its Redis, running or not.
    pub redis_url: String,
    /// URL of its storage.
    pub storage_url: String,
    /// How its Redis is.
    pub server: ServerState,
}

/// How the Redis of a local instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerState {
    /// No server runs.
    Stopped,
    /// A server runs and answers.
    Running {
        /// Its process id.
        pid: u32,
        /// Its version, such as `7.0.15`.
        version: String,
        /// How long it runs.
        uptime: Duration,
        /// Memory that it uses, in bytes.
        used_memory: u64,
    },
    /// A server runs but does not answer now: it loads its data, is paused, or is stuck.
    Silent,
}
