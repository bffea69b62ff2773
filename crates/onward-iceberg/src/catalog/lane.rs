//! The lane of a table: commits that wait for it in this sidecar, in the order they came, behind its door.
//!
//! While the door is open all that wait are taken into one round. Who is stale there and cannot be brought onto the
//! head is told so (409), one at a time: the door is then held for him, and others wait until he is through. Nobody
//! waits longer than [`WAIT_MAX`]: whoever does is told 409 as well, which is true, as nothing of his commit is done.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onward::internals::clock::Deadline;
use tokio::sync::{Notify, oneshot};

use super::asked::{Asked, Mode};
use super::door::{Door, Held, Who};
use super::error::{CatalogError, Kind, Result};
use super::loaded::Loaded;
use super::prepare::Site;
use super::round::{Verdict, round};

/// The longest that a commit waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(25);
/// Commits and leases that wait for one table.
const QUEUE_MAX: usize = 1024;
/// Commits that one round takes.
const ROUND_MAX: usize = 128;

/// The lane of one table on one branch.
pub(super) struct Lane {
    site: Site,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Turn>,
    door: Door,
    is_running: bool,
}

struct Turn {
    who: Who,
    until: Deadline,
    what: What,
}

enum What {
    Commit(Box<Asked>, oneshot::Sender<Result<Arc<Loaded>>>),
    Lease(oneshot::Sender<Result<Lease>>),
}

/// What a lane does next.
enum Next {
    Round(Vec<Turn>),
    Lend(Who, oneshot::Sender<Result<Lease>>),
    Wait(Duration),
    Nothing,
}

/// The table is its holder's: no round is made meanwhile. Given back when dropped.
pub(super) struct Lease {
    lane: Arc<Lane>,
    who: Who,
    /// Tells the lane by being dropped.
    _held: oneshot::Sender<()>,
}

impl Lease {
    /// The holder was told that others were first: whether the door is held for him.
    pub(super) fn hold(&self) -> bool {
        self.lane.lock().door.hold_for(&self.who) == Held::Yes
    }

    /// The holder is through.
    pub(super) fn is_through(&self) {
        self.lane.lock().door.is_through(&self.who);
    }
}

impl Lane {
    pub(super) fn new(site: Site) -> Self {
        Self { site, state: Mutex::default(), changed: Notify::new() }
    }

    /// The table that it is for.
    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// Commits to the table in its turn.
    pub(super) async fn commit(self: &Arc<Self>, asked: Asked) -> Result<Arc<Loaded>> {
        let (sender, told) = oneshot::channel();
        self.join(asked.who.clone(), What::Commit(Box::new(asked), sender))?;
        told.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Waits for the table to be the caller's alone in this sidecar.
    pub(super) async fn lease(self: &Arc<Self>, who: Who) -> Result<Lease> {
        let (sender, told) = oneshot::channel();
        self.join(who, What::Lease(sender))?;
        told.await.unwrap_or_else(|_| Err(ended()))
    }

    /// A principal loads the table.
    pub(super) fn seen(&self, principal: &str) {
        self.lock().door.seen(principal);
    }

    /// Whether there is nothing that would be lost with it.
    pub(super) fn is_idle(&self) -> bool {
        let mut state = self.lock();
        !state.is_running && state.queue.is_empty() && state.door.is_idle()
    }

    fn join(self: &Arc<Self>, who: Who, what: What) -> Result<()> {
        let mut state = self.lock();
        if state.queue.len() >= QUEUE_MAX {
            return Err(CatalogError::new(
                Kind::Unavailable,
                format!(
                    "{QUEUE_MAX} commits wait for {} already, and nothing was done: send it again",
                    self.site.ident
                ),
            ));
        }
        state.queue.push_back(Turn { who, until: Deadline::after(WAIT_MAX), what });
        match std::mem::replace(&mut state.is_running, true) {
            true => self.changed.notify_one(),
            false => drop(tokio::spawn(Arc::clone(self).run())),
        }
        Ok(())
    }

    /// Works until nobody waits.
    async fn run(self: Arc<Self>) {
        loop {
            let next = self.lock().next();
            match next {
                Next::Round(turns) => self.round(turns).await,
                Next::Lend(who, sender) => {
                    let (held, ended) = oneshot::channel();
                    // Whoever asked may be gone: then it is given back at once.
                    let lease = Lease { lane: Arc::clone(&self), who, _held: held };
                    drop(sender.send(Ok(lease)));
                    let _ = ended.await;
                }
                Next::Wait(length) => {
                    let _ = tokio::time::timeout(length, self.changed.notified()).await;
                }
                Next::Nothing => return,
            }
        }
    }

    async fn round(&self, turns: Vec<Turn>) {
        let asked: Vec<&Asked> = turns
            .iter()
            .filter_map(|turn| match &turn.what {
                What::Commit(asked, _) => Some(asked.as_ref()),
                What::Lease(_) => None,
            })
            .collect();
        let verdicts = round(&self.site, &asked).await;
        let mut state = self.lock();
        let mut waiting_on = VecDeque::new();
        for (turn, verdict) in turns.into_iter().zip(verdicts) {
            waiting_on.extend(state.settle(turn, verdict));
        }
        while let Some(turn) = waiting_on.pop_back() {
            state.queue.push_front(turn);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Next {
        self.tell_late();
        let held_for = self.door.held_for();
        let front = match held_for {
            None => (!self.queue.is_empty()).then_some(0),
            Some(_) => self.queue.iter().position(|turn| self.door.is_for(&turn.who)),
        };
        let Some(turn) = front.and_then(|front| self.queue.remove(front)) else {
            return match held_for.filter(|_| !self.queue.is_empty()) {
                Some(length) => Next::Wait(length),
                None => {
                    self.is_running = false;
                    Next::Nothing
                }
            };
        };
        let turn = match turn.what {
            What::Lease(sender) => return Next::Lend(turn.who, sender),
            What::Commit(..) => turn,
        };
        let mut turns = vec![turn];
        // He for whom the door was held goes alone; else all that wait in front of the next lease.
        let is_commit = |turn: &Turn| matches!(turn.what, What::Commit(..));
        while held_for.is_none()
            && turns.len() < ROUND_MAX
            && self.queue.front().is_some_and(is_commit)
        {
            turns.extend(self.queue.pop_front());
        }
        Next::Round(turns)
    }

    /// Tells those who have waited too long.
    fn tell_late(&mut self) {
        while let Some(at) = self.queue.iter().position(|turn| turn.until.is_over())
            && let Some(turn) = self.queue.remove(at)
        {
            let late = CatalogError::commit_failed(format!(
                "others were first for {} s, and nothing of this commit was done: load the table and try again",
                WAIT_MAX.as_secs()
            ));
            turn.tell(Err(late));
        }
    }

    /// Tells what became of a commit, or gives it back to wait on.
    fn settle(&mut self, turn: Turn, verdict: Verdict) -> Option<Turn> {
        let told = match verdict {
            Verdict::Later => return Some(turn),
            Verdict::Landed(loaded) => Ok(loaded),
            Verdict::Refused(error) => Err(error),
            Verdict::Stale(error) => match turn.mode() {
                Mode::Optimistic => Err(error),
                Mode::Usual | Mode::Commute => match self.door.hold_for(&turn.who) {
                    Held::ForAnother => return Some(turn),
                    Held::Yes | Held::Enough => {
                        turn.tell(Err(error));
                        return None;
                    }
                },
            },
        };
        self.door.is_through(&turn.who);
        turn.tell(told);
        None
    }
}

impl Turn {
    fn mode(&self) -> Mode {
        match &self.what {
            What::Commit(asked, _) => asked.mode,
            What::Lease(_) => Mode::Usual,
        }
    }

    /// Whoever asked may be gone: then nobody is told.
    fn tell(self, told: Result<Arc<Loaded>>) {
        match self.what {
            What::Commit(_, sender) => drop(sender.send(told)),
            What::Lease(sender) => {
                if let Err(error) = told {
                    drop(sender.send(Err(error)));
                }
            }
        }
    }
}

fn ended() -> CatalogError {
    CatalogError::new(
        Kind::CommitStateUnknown,
        "the sidecar is stopping, and whether the commit was made is not known: load the table",
    )
}
