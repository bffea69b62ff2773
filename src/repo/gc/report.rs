//! What a collection tells.

use std::time::Duration;

use crate::objects::Listed;

/// Objects of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Objects that stay.
    pub kept: u64,
    /// How many bytes they have.
    pub kept_bytes: u64,
    /// How many of them nothing names: they stay because they are younger than the grace period.
    pub young: u64,
    /// Objects that were removed; in a dry run, that would be.
    pub removed: u64,
    /// How many bytes went with them.
    pub removed_bytes: u64,
}

impl Tally {
    /// An object stays.
    #[doc(hidden)]
    pub fn keep(&mut self, listed: &Listed) {
        self.kept += 1;
        self.kept_bytes += listed.size;
    }

    /// An object that nothing names stays as it is young.
    #[doc(hidden)]
    pub fn keep_young(&mut self, listed: &Listed) {
        self.keep(listed);
        self.young += 1;
    }

    /// An object goes.
    #[doc(hidden)]
    pub fn remove(&mut self, listed: &Listed) {
        self.removed += 1;
        self.removed_bytes += listed.size;
    }
}

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcReport {
    /// Range files, kept and removed.
    pub ranges: Tally,
    /// Lists of long runs.
    pub runs: Tally,
    /// Uploaded objects, kept and removed.
    pub data: Tally,
    /// Checkpoints of branches, kept and removed.
    pub checkpoints: Tally,
    /// Log entries that can be reached.
    pub entries: u64,
    /// Whether nothing was removed because that was asked.
    pub dry_run: bool,
    /// How long it took.
    pub took: Duration,
}

impl GcReport {
    /// Objects that were removed, of every kind.
    pub fn removed(&self) -> u64 {
        let tallies = [self.ranges, self.runs, self.data, self.checkpoints];
        tallies.iter().map(|tally| tally.removed).sum()
    }
}

/// What a collection tells while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum GcEvent<'a> {
    /// So many log entries, runs and ranges are marked.
    Marked {
        /// Log entries that were read.
        entries: u64,
        /// Distinct runs that were found.
        runs: u64,
        /// Distinct ranges that were found.
        ranges: u64,
    },
    /// So many files of tables were read to find out what is needed, and so many are.
    Followed {
        /// Files that were read.
        read: u64,
        /// Files that are needed, counted again where several name one.
        named: u64,
    },
    /// An object was removed; in a dry run, it would be.
    Removed {
        /// Key of the object that went.
        key: &'a str,
        /// Its size in bytes.
        bytes: u64,
    },
}

/// Who is told.
pub type Told<'a> = &'a mut (dyn FnMut(GcEvent<'_>) + Send);
