//! An op of this process for which nobody waits: it rides along with those of others.

use std::time::Duration;

use crate::coord::submit::Submission;
use crate::model::error::Result;

use super::shared::Shared;

/// How long an op that can wait is held back for others to go with.
const RIDE_MAX: Duration = Duration::from_millis(200);

impl Shared {
    /// Submits an op for which nobody waits together with the next ones that somebody waits for,
    /// if some come soon: by itself it would begin a round, and they would have to wait for that.
    pub(in crate::commit) async fn submit_along(&self, submission: Submission) -> Result<()> {
        let Some(submission) = self.ride(submission).await else { return Ok(()) };
        // Where the branch is not in Redis there is nothing to fold or to forget.
        let reply = self.context.redis.submit(self.options.limits, &[submission]).await?.given();
        // Where the turn came with the acceptance it is for this process to use.
        if let Some(reply) = reply.filter(|reply| reply.view.turn_is_mine) {
            self.state().latest = Some(reply.view);
        }
        self.wake.notify_one();
        Ok(())
    }

    /// Waits for others to go with. What is left to be submitted; one goes along at a time.
    async fn ride(&self, submission: Submission) -> Option<Submission> {
        {
            let mut state = self.state();
            if state.rider.is_some() {
                return Some(submission);
            }
            state.rider = Some(submission);
        }
        // Whether the call that it went with succeeded does not matter: it is planned anew.
        let _ = tokio::time::timeout(RIDE_MAX, self.rode.notified()).await;
        self.state().rider.take()
    }
}
