//! What all tables of a deployment share.

use std::sync::Arc;
use std::time::Duration;

use onward::Onward;
use onward::internals::clock::Stopwatch;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use super::gone::Gone;
use super::known::Recent;
use super::loaded::Kept;
use super::measured::Measured;
use super::walked::Logs;
use crate::table::Lists;

/// Snapshots that are known to have landed when the table has them no more.
const LANDED_MAX: usize = 200_000;

/// Lists of what tables have lost that are kept, by where they lie: some kilobytes each.
const GONE_MAX: usize = 256;
/// Tables that are known to be worked on by other sidecars too.
const SHARED_MAX: usize = 10_000;
/// Commits whose files are read ahead, and kept until they have had their turn: some 200 KiB of each at most.
const AHEAD_MAX: usize = 128;
/// How long a table counts as one of those, since another sidecar was faster there.
const SHARED_FOR: Duration = Duration::from_secs(60);

/// What is known of tables, whichever they are.
pub(super) struct Shared {
    pub(super) onward: Onward,
    /// Metadata that was read or written lately.
    pub(super) kept: Kept,
    /// Snapshots that have landed lately, each by a hash of its place, table and id.
    pub(super) landed: Recent<[u8; 32], ()>,
    /// Manifest lists that were written lately.
    pub(super) lists: Lists,
    /// Lists of what tables have lost, which were written lately.
    pub(super) gone: Cache<String, Arc<Gone>>,
    /// What the logs of branches say of tables, as far as they were read.
    pub(super) logs: Logs,
    /// Places for what is read ahead.
    pub(super) ahead: Arc<Semaphore>,
    /// When another sidecar was faster, by table, and whether appends to it commuted then.
    outrun: Recent<String, (Stopwatch, bool)>,
    pub(super) measured: Measured,
}

impl Shared {
    /// Of a deployment, with nothing known yet.
    pub(super) fn new(onward: Onward) -> Self {
        Self {
            onward,
            kept: Kept::default(),
            landed: Recent::new(LANDED_MAX),
            lists: Lists::default(),
            gone: Cache::new(GONE_MAX),
            logs: Logs::default(),
            ahead: Arc::new(Semaphore::new(AHEAD_MAX)),
            outrun: Recent::new(SHARED_MAX),
            measured: Measured::default(),
        }
    }

    /// Whether another sidecar works on a table, too, whose appends commute: by what tells that from others.
    pub(super) fn is_shared(&self, table: &String) -> bool {
        let last = self.outrun.get(table);
        last.is_some_and(|(last, commutes)| commutes && last.elapsed() < SHARED_FOR)
    }

    /// Another sidecar was faster, on a table whose appends commute or do not.
    pub(super) fn was_outrun(&self, table: String, commutes: bool) {
        self.outrun.insert(table, (Stopwatch::start(), commutes));
    }
}
