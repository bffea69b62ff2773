//! Why a stale commit stays one.

use std::io;

use crate::table::avro::Unreadable;

/// Why a commit was not rebased.
#[derive(Debug)]
pub(in crate::table) enum NotRebased {
    /// It cannot be.
    Not(String),
    /// Files that it takes were not at hand.
    Unavailable(io::Error),
}

impl NotRebased {
    pub(super) fn not(reason: impl Into<String>) -> Self {
        Self::Not(reason.into())
    }
}

impl From<Unreadable> for NotRebased {
    fn from(error: Unreadable) -> Self {
        Self::Not(error.to_string())
    }
}
