//! Going on through an outage of Redis: the same op under the same id, until the caller's deadline.

use std::time::Duration;

use crate::clock::{Deadline, Stopwatch};
use crate::coord::submit::Submission;
use crate::model::error::Result;
use crate::model::outcome::{Details, Outcome};

use super::queue::{Admission, BranchQueue};
use super::waiting::rounds_bound;
use crate::commit::mend::reconcile::find_in_log;

/// Pauses between attempts. Each attempt has the patience of a call to Redis of its own.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// How long after the first attempt Redis still knows an op however fast its branch is decided. An
/// attempt that begins before reaches Redis within the patience of a call and the opening of a
/// connection, which is while outcomes are kept in any case.
const KNOWN_FOR: Duration = Duration::from_secs(3);

/// Makes `attempt` again while Redis cannot be reached, until `deadline`; once, without one.
pub async fn persist<T, F: Future<Output = Result<T>>>(
    deadline: Option<Deadline>,
    mut attempt: impl FnMut() -> F,
) -> Result<T> {
    let mut pause = PAUSE_FIRST;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let left = deadline.map_or(Duration::ZERO, |deadline| deadline.left());
        if !error.is_outage() || left <= pause {
            return Err(error);
        }
        tracing::info!(%error, left_s = left.as_secs(), "Redis is away; going on until the deadline");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

impl BranchQueue {
    /// As [`submit`](Self::submit), again and again under the same op id while Redis is away.
    pub async fn submit_until(
        &self,
        submission: Submission,
        deadline: Option<Deadline>,
    ) -> Result<Admission> {
        let seen = self.seen();
        let begun = Stopwatch::start();
        persist(deadline, || async {
            // An earlier attempt may have been accepted, and be decided and forgotten by now.
            if begun.elapsed() > KNOWN_FOR {
                // The log is read once Redis is back, not again and again until then.
                let _ = self.context().look(0).await?;
                if let Some(outcome) = self.decided_since(seen, &submission, begun).await? {
                    return Ok(Admission::Settled(Box::new(outcome)));
                }
            }
            self.submit(submission.clone()).await
        })
        .await
    }

    /// What the log says of an op that was first submitted when every outcome up to ticket `seen`
    /// was known. A process that has seen none of this branch would have to read all of its log,
    /// and relies on what Redis knows.
    async fn decided_since(
        &self,
        seen: u64,
        submission: &Submission,
        begun: Stopwatch,
    ) -> Result<Option<Outcome>> {
        if seen == 0 {
            return Ok(None);
        }
        let (context, op_id) = (self.context(), submission.op_id);
        let found = find_in_log(&context.lake, context.uid, op_id, seen).await?;
        Ok(found.map(|(ticket, record)| {
            let (rounds_bound, waited) = (rounds_bound(1), begun.elapsed());
            record.outcome(ticket, Details { rounds_bound, waited, ..Details::of(op_id) })
        }))
    }
}
