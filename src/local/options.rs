//! How a local instance is started.

use std::time::Duration;

/// How a local instance is started and how long is waited for it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Programs to try as the server, the first that is installed wins.
    pub programs: Vec<String>,
    /// The longest wait for a server to start (it loads its data first) or to stop.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            programs: vec!["redis-server".to_owned(), "valkey-server".to_owned()],
            patience: Duration::from_secs(60),
        }
    }
}
