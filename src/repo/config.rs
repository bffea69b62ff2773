//! Where Onward's state is, and how a process works on it.

use std::time::Duration;

use crate::commit::CoordinatorOptions;
use crate::coord::LaneOptions;
use crate::objects::Checksum;

/// Names and branches that one process remembers, at most.
pub(super) const NAMES_KEPT: usize = 65_536;

/// For how long a repository is believed to be in the life that it was in when last asked.
const LIVES_BELIEVED: Duration = Duration::from_secs(20);

/// How to connect.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Redis: `redis://HOST:PORT`, `unix:///PATH`, `redis-sentinel://…/NAME`, `redis-cluster://…`, with
    /// `rediss` in place of `redis` encrypted (feature `tls`).
    pub redis: String,
    /// The object store: `file:///PATH`, `memory://`, and others by feature.
    pub storage: String,
    /// Whose name is on commits, unless the request says otherwise.
    pub committer: String,
    /// How long a commit waits for its outcome before it is told to be still queued.
    pub timeout: Duration,
    /// What uploads are summed with.
    pub checksum: Checksum,
    /// Whether a storage is used on which branches can fork (see
    /// [`Onward::check_storage`](crate::Onward::check_storage)). With one Redis nothing was lost on any
    /// of those; with two that both believe to be the primary, acknowledged commits were.
    pub accept_unsafe_storage: bool,
    /// For how long a repository is believed to be in the life that it was in when last asked; whoever
    /// uses it then asks the object store. For tests. No promise.
    #[doc(hidden)]
    pub lives_believed: Duration,
    /// Connections to Redis: limits for tests and measurements. No promise.
    #[doc(hidden)]
    pub lanes: LaneOptions,
    /// The process's part in the protocol: limits for tests and measurements. No promise.
    #[doc(hidden)]
    pub coordinator: CoordinatorOptions,
}

impl Config {
    /// The longest time that a caller can wait for an outcome.
    pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

    /// A configuration with default limits.
    pub fn new(redis: impl Into<String>, storage: impl Into<String>) -> Self {
        Self {
            redis: redis.into(),
            storage: storage.into(),
            committer: "onward".into(),
            timeout: Duration::from_secs(300),
            checksum: Checksum::default(),
            accept_unsafe_storage: false,
            lives_believed: LIVES_BELIEVED,
            lanes: LaneOptions::default(),
            coordinator: CoordinatorOptions::default(),
        }
    }

    /// The name on commits.
    #[must_use]
    pub fn committer(mut self, committer: impl Into<String>) -> Self {
        self.committer = committer.into();
        self
    }

    /// Uses the storage even where branches can fork on it.
    #[must_use]
    pub fn accept_unsafe_storage(mut self) -> Self {
        self.accept_unsafe_storage = true;
        self
    }

    /// For a process that makes a few requests and ends: it runs rounds for others only as long
    /// as its own ops need them.
    #[must_use]
    pub fn short_lived(mut self) -> Self {
        self.coordinator.queue.linger = false;
        self
    }
}
