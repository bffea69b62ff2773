//! One branch in this process: all that its rounds, its acceptor and its readers share.

use std::sync::Arc;

use crate::coord::view::View;
use crate::coord::{Answer, RedisBranch};
use crate::model::ids::BranchUid;
use crate::model::name::BranchName;

use super::contact::Contact;
use super::counters::Counters;
use super::faults::Faults;
use super::log::lake::Lake;
use super::sharing::Sharing;

/// Ops in a batch, at most: the `batch_limit` of the bound on rounds.
pub const BATCH_MAX: usize = 1024;

/// One branch, and all that running its rounds takes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BranchContext(Arc<BranchParts>);

/// What a [`BranchContext`] shares.
#[derive(Debug)]
pub struct BranchParts {
    /// What Redis has of it.
    pub redis: RedisBranch,
    /// Whether it was compared with the log.
    pub contact: Contact,
    /// Those who look at its head.
    pub looks: Sharing<Answer<View>>,
    /// The repository, as the object store has it.
    pub lake: Lake,
    /// The branch's name.
    pub name: BranchName,
    /// The incarnation of the name.
    pub uid: BranchUid,
    /// What this process has done.
    pub counters: Arc<Counters>,
    /// Points of a round at which a test can make it fail.
    pub faults: Faults,
}

impl From<BranchParts> for BranchContext {
    fn from(parts: BranchParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for BranchContext {
    type Target = BranchParts;

    fn deref(&self) -> &BranchParts {
        &self.0
    }
}
