//! Looks at a branch as it is: its head and what is staged at some paths, from one moment.
//!
//! Many readers share one call to Redis. A reader that comes while a call is under way waits for
//! the next one, which begins after it came: what it sees is never older than its request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::clock;
use crate::commit::context::BranchContext;
use crate::commit::log::head::Head;
use crate::coord::areas::Area;
use crate::coord::staging::{PAGE_MAX, StagedValue, Wanted, Which};
use crate::coord::{Answer, HeadView};
use crate::model::error::{Error, Result};
use crate::model::path::ObjectPath;
use crate::tree::Metarange;

/// Passes of the scheduler without a newcomer after which a call takes those who have come.
const GATHER_IDLE: u32 = 2;

/// A branch at one moment.
#[derive(Debug)]
pub(super) struct Glance {
    pub(super) head: HeadView,
    /// Sealed areas, oldest first.
    pub(super) areas: Vec<Area>,
    /// The content of the head.
    pub(super) metarange: Metarange,
}

/// What one reader gets.
#[derive(Debug)]
pub(super) enum Glanced {
    /// The branch is not in this Redis.
    Absent,
    /// The branch has ended.
    Deleted,
    /// The branch, and what is staged of the reader's paths.
    There(Arc<Glance>, Vec<StagedValue>),
}

struct Reader {
    paths: Vec<ObjectPath>,
    answer: oneshot::Sender<Result<Glanced>>,
}

/// The readers of one branch in this process.
#[derive(Debug)]
pub(super) struct Glances {
    context: BranchContext,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Reader>,
    /// Whether a task makes calls for those who wait. It ends when nobody does.
    busy: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Glances {
    pub(super) fn new(context: BranchContext) -> Self {
        Self { context, state: Mutex::default() }
    }

    /// Looks at the branch and at what is staged of `paths`, at most [`PAGE_MAX`].
    pub(super) async fn look(self: &Arc<Self>, paths: Vec<ObjectPath>) -> Result<Glanced> {
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut state = self.state();
            state.waiting.push(Reader { paths, answer });
            !std::mem::replace(&mut state.busy, true)
        };
        if is_first {
            // A task of its own: a reader that gives up must not leave the others waiting.
            tokio::spawn(Arc::clone(self).serve());
        }
        answered.await.map_err(|_| Error::unavailable("this process is shutting down"))?
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self: Arc<Self>) {
        let mut serving = Serving { glances: &self, done: false };
        let mut latest: Option<Arc<Glance>> = None;
        loop {
            self.gather().await;
            let Some(readers) = self.take() else {
                serving.done = true;
                return;
            };
            match self.call(&readers, latest.take()).await {
                Ok(Called::There(glance, values)) => {
                    latest = Some(Arc::clone(&glance));
                    share(readers, &glance, values);
                }
                Ok(Called::Absent) => all(readers, || Ok(Glanced::Absent)),
                Ok(Called::Deleted) => all(readers, || Ok(Glanced::Deleted)),
                Err(error) => all(readers, || Err(error.again())),
            }
        }
    }

    /// Lets tasks that are ready to run go first, as long as that brings more readers.
    async fn gather(&self) {
        let mut idle = 0;
        let mut count = self.state().waiting.len();
        while idle < GATHER_IDLE {
            clock::yield_now().await;
            let now = self.state().waiting.len();
            idle = if now > count { 0 } else { idle + 1 };
            count = now;
        }
    }

    /// As many readers as one call serves; `None` at the end, when nobody waits.
    fn take(&self) -> Option<Vec<Reader>> {
        let mut state = self.state();
        let mut paths = 0;
        let fits = |reader: &Reader| {
            paths += reader.paths.len();
            paths <= PAGE_MAX
        };
        let count = state.waiting.iter().map(fits).take_while(|fits| *fits).count();
        // A single reader has no more paths than that.
        let count = count.max(1).min(state.waiting.len());
        let readers: Vec<Reader> = state.waiting.drain(..count).collect();
        state.busy = !readers.is_empty();
        state.busy.then_some(readers)
    }

    async fn call(&self, readers: &[Reader], latest: Option<Arc<Glance>>) -> Result<Called> {
        let context = &self.context;
        let paths: Vec<&str> =
            readers.iter().flat_map(|reader| &reader.paths).map(ObjectPath::as_str).collect();
        let wanted = Wanted::Paths(&paths);
        let page = match context.redis.staged(Which::Staged, wanted).await? {
            Answer::Absent => return Ok(Called::Absent),
            Answer::Ended => return Ok(Called::Deleted),
            Answer::Given(page) => page,
        };
        let same = |glance: &Arc<Glance>| glance.head == page.head && glance.areas == page.areas;
        let glance = match latest.filter(same) {
            Some(glance) => glance,
            None => {
                let metarange = match page.head.commit {
                    Some(_) => Head::load(&context.lake, context.uid, &page.head).await?.metarange,
                    None => Metarange::default(),
                };
                Arc::new(Glance { head: page.head, areas: page.areas, metarange })
            }
        };
        Ok(Called::There(glance, page.values))
    }
}

/// Whoever serves the readers. Should it end by a panic, or with its runtime, those who wait are
/// told, and the next one to come serves again.
struct Serving<'a> {
    glances: &'a Glances,
    /// Whether it ended because nobody waits. By now somebody else may serve.
    done: bool,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if !self.done {
            *self.glances.state() = State::default();
        }
    }
}

/// What a call for several readers came to.
enum Called {
    Absent,
    Deleted,
    There(Arc<Glance>, Vec<StagedValue>),
}

/// Gives each reader what concerns it.
fn share(readers: Vec<Reader>, glance: &Arc<Glance>, values: Vec<StagedValue>) {
    let values: HashMap<&str, &StagedValue> =
        values.iter().map(|value| (value.path.as_str(), value)).collect();
    for Reader { paths, answer } in readers {
        let own = paths.iter().filter_map(|path| values.get(path.as_str()));
        let own = own.map(|value| StagedValue::clone(value)).collect();
        // A reader that has gone needs no answer.
        let _ = answer.send(Ok(Glanced::There(Arc::clone(glance), own)));
    }
}

fn all(readers: Vec<Reader>, answer: impl Fn() -> Result<Glanced>) {
    for reader in readers {
        let _ = reader.answer.send(answer());
    }
}
