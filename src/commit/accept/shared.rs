//! What the tasks of one branch in this process share: who waits, what was seen last, and the end.
//!
//! Two tasks serve a branch. The *acceptor* gathers ops while its last call is under way and submits
//! them together. The *helper* runs rounds or follows those of other processes while anybody here
//! waits; with nobody waiting it makes no requests at all.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::coord::submit::{Submission, SubmitLimits};
use crate::coord::view::View;

use super::crowd::Crowd;
use super::rate::Rate;
use super::waiting::Waiters;
use crate::commit::context::BranchContext;

/// The shortest time that is left to a timer.
pub(in crate::commit) const TIMER: Duration = Duration::from_millis(2);

/// How a process behaves on its branches.
#[derive(Debug, Clone, Copy)]
pub struct QueueOptions {
    /// Limits of acceptance.
    pub limits: SubmitLimits,
    /// Whether this process goes on running rounds for others when its own ops are done. A process
    /// that is about to end does not.
    pub linger: bool,
    /// How long the holder of a turn may make no visible progress before this process runs a
    /// round all the same.
    pub patience: Duration,
    /// How many producers a branch knows.
    pub producers: ProducerLimits,
}

/// How many producers a branch knows. Past that those are forgotten that have done nothing for longest.
#[derive(Debug, Clone, Copy)]
pub struct ProducerLimits {
    /// So many; past it as many are forgotten as leave seven eighths of it.
    pub kept: usize,
    /// How long one has done nothing that is forgotten, at the least. Younger ones stay, however many
    /// they are.
    pub idle: Duration,
}

impl Default for ProducerLimits {
    fn default() -> Self {
        Self { kept: 100_000, idle: Duration::from_secs(30 * 24 * 3600) }
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            limits: SubmitLimits { queue: 131_072, sealed: 256 },
            linger: true,
            patience: Duration::from_secs(30),
            producers: ProducerLimits::default(),
        }
    }
}

/// What the tasks of one branch share.
#[derive(Debug)]
pub(in crate::commit) struct Shared {
    pub(in crate::commit) context: BranchContext,
    pub(in crate::commit) options: QueueOptions,
    /// Wakes the helper: somebody waits, the turn was granted with an acceptance, or the end.
    pub(in crate::commit) wake: Notify,
    /// Tells [`BranchQueue::close`] that the helper has ended.
    pub(in crate::commit) ended: Notify,
    /// Tells [`Shared::submit_along`] that its op is on its way, or must not wait any longer.
    pub(super) rode: Notify,
    /// Tells [`BranchQueue::join`] that a call that submits ops has come to its end.
    pub(super) answered: Notify,
    pub(in crate::commit) rate: Rate,
    /// A std mutex: held for map operations, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(in crate::commit) struct State {
    pub(in crate::commit) waiters: Waiters,
    pub(in crate::commit) crowd: Crowd,
    /// The view that came with the newest acceptance; one with the turn is kept until it is used.
    pub(in crate::commit) latest: Option<View>,
    pub(in crate::commit) closing: bool,
    pub(in crate::commit) closed: bool,
    /// An op of this process for which nobody waits: it goes with the next ops that are submitted.
    pub(in crate::commit) rider: Option<Submission>,
    /// Why the last round failed, until one succeeds.
    pub(in crate::commit) last_error: Option<String>,
}

impl State {
    /// Whether the turn was granted with an acceptance and not used yet.
    pub(in crate::commit) fn has_turn(&self) -> bool {
        self.latest.as_ref().is_some_and(|view| view.turn_is_mine)
    }
}

impl Shared {
    pub(in crate::commit) fn new(context: BranchContext, options: QueueOptions) -> Self {
        Self {
            context,
            options,
            wake: Notify::new(),
            ended: Notify::new(),
            rode: Notify::new(),
            answered: Notify::new(),
            rate: Rate::default(),
            state: Mutex::default(),
        }
    }

    pub(in crate::commit) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
