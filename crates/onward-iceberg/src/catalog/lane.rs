//! The lane of a table: commits that wait for it in this sidecar, in the order they came, behind its door.
//!
//! While the door is open all that wait are taken into one round. Who is stale there and cannot be brought onto the
//! head is told so (409), one at a time: the door is then held for him, and others wait until he is through. Nobody
//! waits longer than [`WAIT_MAX`] for his turn: whoever does is told 409 as well, which is true, as nothing of his
//! commit is done. Then he waits for the round that he is in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onward::internals::clock::{Deadline, Stopwatch};
use tokio::sync::{Notify, oneshot};

use super::asked::{Asked, Mode};
use super::door::{Door, Held, Who};
use super::error::{CatalogError, Kind, Result};
use super::history::not_said;
use super::loaded::Loaded;
use super::prepare::Site;
use super::round::{Verdict, round, unknown};

/// The longest that a commit waits for its turn; a transaction, for that of all of its tables.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(25);
/// Commits and leases that wait for one table.
const QUEUE_MAX: usize = 1024;
/// How long a round is put off for those that the last one told, at most; and no longer than a quarter of that one.
const GATHERING_MAX: Duration = Duration::from_millis(25);
/// Commits that one round takes: with those that other sidecars offer, as many as a commit of the branch can name.
const ROUND_MAX: usize = 76;

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
    /// Whether appends to the table commute, as far as is known.
    commutes: bool,
    /// Commits that the last round has told, whose clients may come back at once.
    expected: usize,
    /// How long they are waited for.
    gathering: Option<Deadline>,
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
    /// The holder was told that others were first: the door is held for him, if it can be.
    pub(super) fn hold(&self) {
        self.lane.lock().door.hold_for(&self.who);
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
    pub(super) async fn commit(self: &Arc<Self>, mut asked: Asked) -> Result<Arc<Loaded>> {
        // A copy of one that has landed waits for nobody.
        if let Some(loaded) = self.site.known(&asked).await {
            self.lock().door.is_through(&asked.who);
            self.changed.notify_one();
            return Ok(loaded);
        }
        let (commutes, is_awaited) = {
            let state = self.lock();
            (asked.mode == Mode::Commute || state.commutes, state.door.is_for(&asked.who))
        };
        // Everybody waits for him for whom the door is held.
        if commutes && asked.mode != Mode::Optimistic && !is_awaited {
            self.site.read_ahead(&mut asked).await;
        }
        let (sender, told) = oneshot::channel();
        let (who, until) = (asked.who.clone(), Deadline::after(WAIT_MAX));
        self.join(Turn { who, until, what: What::Commit(Box::new(asked), sender) })?;
        told.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Waits for the table to be the caller's alone in this sidecar.
    pub(super) async fn lease(self: &Arc<Self>, who: Who, until: Deadline) -> Result<Lease> {
        let (sender, told) = oneshot::channel();
        self.join(Turn { who, until, what: What::Lease(sender) })?;
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

    fn join(self: &Arc<Self>, turn: Turn) -> Result<()> {
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
        state.queue.push_back(turn);
        match std::mem::replace(&mut state.is_running, true) {
            true => self.changed.notify_one(),
            false => drop(tokio::spawn(Arc::clone(self).run())),
        }
        Ok(())
    }

    /// Works until nobody waits.
    async fn run(self: Arc<Self>) {
        let _working = Working(&self.state);
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

    async fn round(&self, mut turns: Vec<Turn>) {
        let asked: Vec<&Asked> = turns
            .iter()
            .filter_map(|turn| match &turn.what {
                What::Commit(asked, _) => Some(asked.as_ref()),
                What::Lease(_) => None,
            })
            .collect();
        let began = Stopwatch::start();
        let told = round(&self.site, &asked).await;
        let (verdicts, offered): (Vec<_>, Vec<_>) = told.into_iter().unzip();
        for (turn, offered) in turns.iter_mut().zip(offered) {
            if let What::Commit(asked, _) = &mut turn.what {
                asked.was_offered = offered;
            }
        }
        let mut state = self.lock();
        let landed = verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Landed(loaded) => Some(loaded),
            _ => None,
        });
        if let Some(newest) = landed.clone().next_back() {
            state.commutes = newest.metadata.appends_commute();
        }
        state.expected = if state.commutes { landed.count() } else { 0 };
        state.gathering = Some(Deadline::after(GATHERING_MAX.min(began.elapsed() / 4)));
        state.settle_all(turns.into_iter().zip(verdicts));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Somebody works for those who wait. Where he ends by a fault of ours, they are told that nobody knows, and the next
/// who comes is worked for again.
struct Working<'a>(&'a Mutex<State>);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = lock(self.0);
            state.is_running = false;
            state.queue.clear();
        }
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
        // Rounds cost the same for one as for many, and those that the last one told come back.
        if held_for.is_none()
            && let Some(left) = self.still_gathering()
        {
            self.queue.push_front(turn);
            return Next::Wait(left);
        }
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

    /// How long it is worth waiting for more; none where all that can be expected wait already. The first commit is
    /// not in the queue any more.
    fn still_gathering(&self) -> Option<Duration> {
        let left = self.gathering.as_ref()?.left();
        let is_worth_it = !left.is_zero() && self.queue.len() + 1 < self.expected;
        is_worth_it.then_some(left)
    }

    /// Tells those who have waited too long.
    fn tell_late(&mut self) {
        while let Some(at) = self.queue.iter().position(|turn| turn.until.is_over())
            && let Some(turn) = self.queue.remove(at)
        {
            let late = match (turn.was_offered(), turn.is_sought()) {
                (true, _) => unknown(),
                (false, true) => not_said(),
                (false, false) => CatalogError::commit_failed(format!(
                    "others were first for {} s, and nothing of this commit was done: load the table and try again",
                    WAIT_MAX.as_secs()
                )),
            };
            turn.tell(Err(late));
        }
    }

    /// Tells what became of the commits of a round. Those that wait on stand in front again, in their order.
    fn settle_all(&mut self, settled: impl IntoIterator<Item = (Turn, Verdict)>) {
        let mut waiting_on = Vec::new();
        for (turn, verdict) in settled {
            waiting_on.extend(self.settle(turn, verdict));
        }
        while let Some(turn) = waiting_on.pop() {
            self.queue.push_front(turn);
        }
    }

    /// Tells what became of a commit, or gives it back to wait on.
    fn settle(&mut self, mut turn: Turn, verdict: Verdict) -> Option<Turn> {
        let told = match verdict {
            Verdict::Later => return Some(turn),
            Verdict::Sought => {
                if let What::Commit(asked, _) = &mut turn.what {
                    asked.pieces += 1;
                }
                return Some(turn);
            }
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

    /// Whether other sidecars may be landing it.
    fn was_offered(&self) -> bool {
        matches!(&self.what, What::Commit(asked, _) if asked.was_offered)
    }

    /// Whether the log does not say yet whether it has landed.
    fn is_sought(&self) -> bool {
        matches!(&self.what, What::Commit(asked, _) if asked.pieces > 0)
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
        "the sidecar is stopping, or failed, and whether the commit was made is not known: load the table",
    )
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use tokio::sync::oneshot::Receiver;
    use tokio::time::advance;

    use super::*;

    type Told = Receiver<Result<Arc<Loaded>>>;

    fn comes(state: &mut State, id: i64) -> Told {
        let (sender, told) = oneshot::channel();
        let asked = Asked::of_snapshot(id, &format!("p{id}"), String::new(), String::new());
        let (who, until) = (asked.who.clone(), Deadline::after(WAIT_MAX));
        state.queue.push_back(Turn { who, until, what: What::Commit(Box::new(asked), sender) });
        told
    }

    /// What stands for having landed.
    fn through() -> Verdict {
        Verdict::Refused(CatalogError::invalid("through"))
    }

    fn stale() -> Verdict {
        Verdict::Stale(CatalogError::commit_failed("stale"))
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_loses_twice() {
        let mut state = State::default();
        let mut head = 0;
        // What each knows of the table, who waits, and how often he lost.
        let mut writers: Vec<(i32, Told, usize)> =
            (1..=16).map(|id| (0, comes(&mut state, id), 0)).collect();
        let mut landed = Vec::new();
        for _ in 0..1000 {
            if let Next::Round(turns) = state.next() {
                let judge = |turn: Turn| {
                    let nth = usize::try_from(turn.who.snapshots[0]).unwrap() - 1;
                    let is_first = writers[nth].0 == head;
                    head += i32::from(is_first);
                    (turn, if is_first { through() } else { stale() })
                };
                let settled: Vec<_> = turns.into_iter().map(judge).collect();
                state.settle_all(settled);
            }
            // A client takes a while until it is back.
            advance(Duration::from_millis(200)).await;
            for (nth, (knows, told, lost)) in writers.iter_mut().enumerate() {
                match told.try_recv() {
                    Ok(Err(error)) if error.kind == Kind::CommitFailed => {
                        assert!(error.message.contains("stale"), "{error}");
                        *lost += 1;
                        *knows = head;
                        *told = comes(&mut state, i64::try_from(nth).unwrap() + 1);
                    }
                    Ok(_) => landed.push(nth),
                    Err(_) => {}
                }
            }
        }
        landed.sort_unstable();
        assert_eq!(landed, (0..16).collect::<Vec<_>>());
        let lost: Vec<usize> = writers.iter().map(|(_, _, lost)| *lost).collect();
        assert!(lost.iter().all(|lost| *lost <= 1), "{lost:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_so_and_that_nobody_knows_where_others_were_offered_it() {
        let mut state = State::default();
        let (mut alone, mut offered) = (comes(&mut state, 1), comes(&mut state, 2));
        if let What::Commit(asked, _) = &mut state.queue.back_mut().unwrap().what {
            asked.was_offered = true;
        }
        advance(WAIT_MAX).await;
        assert!(matches!(state.next(), Next::Nothing));
        let kind = |told: &mut Told| told.try_recv().unwrap().unwrap_err().kind;
        assert_eq!(kind(&mut alone), Kind::CommitFailed);
        assert_eq!(kind(&mut offered), Kind::CommitStateUnknown);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_of_ours_leaves_nobody_waiting() {
        let state = Mutex::new(State { is_running: true, ..State::default() });
        let mut told = comes(&mut state.lock().unwrap(), 1);
        drop(Working(&state));
        assert!(state.lock().unwrap().is_running, "it ended as it should");
        let broken = catch_unwind(AssertUnwindSafe(|| {
            let _working = Working(&state);
            panic!("a fault of ours");
        }));
        assert!(broken.is_err());
        assert!(!lock(&state).is_running);
        assert!(matches!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
    }
}
