//! What the catalog counts of its own work, so that tests can hold it to that.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of offers to other sidecars, and what it took to say whether commits have landed, counted.
#[derive(Debug, Default)]
pub(super) struct Measured {
    beaten_most: AtomicU64,
    passed_by_most: AtomicU64,
    read: AtomicU64,
    heard: AtomicU64,
    files: AtomicU64,
}

/// What a sidecar has looked at, since it started, to say whether commits have landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looked {
    /// Commits of logs that were read.
    pub read: u64,
    /// Commits whose words about tables were gone through, whether they were read for it or before.
    pub heard: u64,
    /// Lists of what tables have lost, and pages of them, that were read.
    pub files: u64,
}

impl Measured {
    /// This sidecar was beaten so often behind an offer.
    pub(super) fn beaten(&self, times: u64) {
        self.beaten_most.fetch_max(times, Ordering::Relaxed);
    }

    /// So many versions of a table have come since an offer without it.
    pub(super) fn passed_by(&self, versions: u64) {
        self.passed_by_most.fetch_max(versions, Ordering::Relaxed);
    }

    /// A commit of a log was read.
    pub(super) fn reads(&self) {
        self.read.fetch_add(1, Ordering::Relaxed);
    }

    /// What a commit says was gone through.
    pub(super) fn hears(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// A list of what a table has lost was read, or a page of one.
    pub(super) fn reads_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// What was looked at.
    pub(super) fn looked(&self) -> Looked {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Looked { read: of(&self.read), heard: of(&self.heard), files: of(&self.files) }
    }

    /// The most of each: beaten, and passed by.
    pub(super) fn most(&self) -> (u64, u64) {
        let of = |most: &AtomicU64| most.load(Ordering::Relaxed);
        (of(&self.beaten_most), of(&self.passed_by_most))
    }
}
