//! What all tables of a deployment share.

use onward::Onward;

use super::known::Recent;
use super::loaded::Kept;

/// Snapshots that are known to have landed when the table has them no more.
const LANDED_MAX: usize = 200_000;

/// What is known of tables, whichever they are.
pub(super) struct Shared {
    pub(super) onward: Onward,
    /// Metadata that was read or written lately.
    pub(super) kept: Kept,
    /// Snapshots that have landed lately, each by a hash of its place, table and id.
    pub(super) landed: Recent<[u8; 32], ()>,
}

impl Shared {
    /// Of a deployment, with nothing known yet.
    pub(super) fn new(onward: Onward) -> Self {
        Self { onward, kept: Kept::default(), landed: Recent::new(LANDED_MAX) }
    }
}
