//! A decision under way. It goes on beside whatever else its round waits for.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, MaybeDone, maybe_done};

use super::ready::Ready;
use crate::commit::context::BranchContext;
use crate::commit::log::entry::LogEntry;
use crate::model::error::{Error, Result};

/// A batch that is being decided.
pub struct Deciding {
    pub(super) ready: Box<Ready>,
    pub(super) decision: Decision,
}

/// What is at the place of a batch in the log afterwards, and whether it is that batch.
pub(super) type Decision = MaybeDone<BoxFuture<'static, Result<(Arc<LogEntry>, bool)>>>;

impl Deciding {
    /// Begins when it is waited for.
    pub(super) fn of(context: &BranchContext, ready: Box<Ready>) -> Self {
        let (context, encoded) = (context.clone(), ready.encoded.clone());
        let decision = async move {
            context.faults.pass("decide").await?;
            context.lake.decide(&encoded).await
        };
        Self { ready, decision: maybe_done(decision.boxed()) }
    }
}

impl std::fmt::Debug for Deciding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deciding").field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// Waits for the end of a decision.
pub(super) async fn end_of(mut decision: Decision) -> Result<(Arc<LogEntry>, bool)> {
    let mut decision = Pin::new(&mut decision);
    decision.as_mut().await;
    let asked_twice = || Err(Error::internal("a decision was asked for twice"));
    decision.take_output().unwrap_or_else(asked_twice)
}

/// Waits for `work`, and goes on with `other` meanwhile, as far as that comes.
pub(super) async fn beside<F: Future, T>(
    mut other: Pin<&mut MaybeDone<F>>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        // First, so that what it is about to ask for is asked for before `work` goes on.
        let _ = other.as_mut().poll(context);
        work.as_mut().poll(context)
    })
    .await
}
