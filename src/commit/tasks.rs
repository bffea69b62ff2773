//! The tasks that serve one branch in this process, and where they start.

use std::sync::Arc;

use super::accept::acceptor::accept;
use super::accept::queue::BranchQueue;
use super::accept::shared::{QueueOptions, Shared};
use super::context::BranchContext;
use super::help::helper::Helper;

/// Starts the acceptor and the helper of a branch. They end with the queue.
pub fn start(context: BranchContext, options: QueueOptions) -> BranchQueue {
    let shared = Arc::new(Shared::new(context, options));
    let (queue, arrivals) = BranchQueue::new(Arc::clone(&shared));
    tokio::spawn(accept(Arc::clone(&shared), arrivals));
    tokio::spawn(Helper::new(shared).run());
    queue
}
