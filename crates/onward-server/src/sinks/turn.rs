//! The turn of a branch: what comes next on it is sent, one event after the other, until one fails, nothing is left, or
//! others are to have their turn.

use std::time::Duration;

use onward::Error;
use onward::internals::clock::Stopwatch;
use onward::internals::repo::sinks::{BranchEvent, Followed, Next, Sink, SinkView};
use tokio_util::sync::CancellationToken;

use super::envelope::Envelope;
use super::sender::{Sender, Sent};

/// Branches whose events are under way at the same time.
pub const BRANCHES: usize = 8;

/// How long a branch has its turn: so long what was delivered is not saved, at most, and one delivery more.
const LENGTH: Duration = Duration::from_secs(1);

/// Events of a branch in a turn, at most.
const EVENTS_MAX: usize = 256;

/// What became of a branch's turn.
#[derive(Debug)]
pub struct Turn {
    /// The branch as it was.
    pub before: Followed,
    /// Where it is now: everything in front of that was delivered.
    pub at: Followed,
    /// Events that were delivered.
    pub delivered: u64,
    /// How the turn ended.
    pub end: TurnEnd,
}

/// How a turn ended.
#[derive(Debug)]
pub enum TurnEnd {
    /// There may be more.
    Open,
    /// The branch is over, and all of it was delivered.
    Finished,
    /// An event was not taken.
    Failed {
        /// How long the receiver asks to be left alone.
        retry_after: Option<Duration>,
        /// Why it was not.
        reason: String,
    },
    /// The receiver wants no more.
    Gone,
    /// What comes next cannot be read.
    Unreadable(Error),
}

/// What takes part in a turn.
pub struct Parts<'a> {
    /// The repository's name.
    pub repo: &'a str,
    /// The sink whose turn it is.
    pub sink: &'a Sink,
    /// The branches of the sink.
    pub view: &'a SinkView,
    /// Where events go.
    pub sender: &'a Sender,
    /// Says that this process is to deliver no more.
    pub stop: &'a CancellationToken,
}

impl Parts<'_> {
    /// Gives a branch its turn.
    pub async fn take(&self, before: Followed) -> Turn {
        let mut follower = self.view.follow(before.clone());
        let (mut delivered, begun) = (0, Stopwatch::start());
        let end = loop {
            if self.stop.is_cancelled() {
                break TurnEnd::Open;
            }
            let (event, after) = match follower.next().await {
                Ok(Next::Nothing) => break TurnEnd::Open,
                Ok(Next::Event(event, after)) => (event, Some(after)),
                Ok(Next::End(event)) => (event, None),
                Err(error) => break TurnEnd::Unreadable(error),
            };
            match self.send(&event).await {
                Sent::Taken { .. } => {}
                Sent::Gone => break TurnEnd::Gone,
                Sent::Failed { retry_after, reason, .. } => {
                    break TurnEnd::Failed { retry_after, reason };
                }
            }
            delivered += u64::from(self.sink.kinds.contains(&event.kind()));
            match after {
                Some(after) => follower.go_on(*after),
                None => break TurnEnd::Finished,
            }
            if delivered >= EVENTS_MAX as u64 || begun.elapsed() >= LENGTH {
                break TurnEnd::Open;
            }
        };
        Turn { before, at: follower.at().clone(), delivered, end }
    }

    /// Sends an event, if it is of a kind that the sink takes.
    async fn send(&self, event: &BranchEvent) -> Sent {
        if !self.sink.kinds.contains(&event.kind()) {
            return Sent::Taken { status: None };
        }
        self.sender.send(&Envelope::of(self.repo, event)).await
    }
}
