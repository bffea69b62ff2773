//! Looks at a branch as it is: its head and what is staged at some paths, from one moment.
//!
//! Many readers share one call to Redis. A reader that comes while a call is under way waits for
//! the next one, which begins after it came: what it sees is never older than its request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::commit::context::BranchContext;
use crate::commit::gathering::Gathering;
use crate::commit::log::head::Head;
use crate::coord::areas::Area;
use crate::coord::staging::{NAMED_MAX, StagedValue, Wanted, Which};
use crate::coord::{Answer, HeadView};
use crate::model::error::{Error, Result};
use crate::model::path::ObjectPath;
use crate::tree::Metarange;

/// One call takes the readers who come without a pause.
const GATHERING: Gathering = Gathering { passes: 2, enough: usize::MAX };

/// A branch at one moment.
#[derive(Debug)]
pub(super) struct Glance {
    pub(super) head: HeadView,
    /// Sealed areas, oldest first.
    pub(super) areas: Vec<Area>,
    /// The content of the head.
    pub(super) metarange: Metarange,
}

/// What one reader gets: the branch, and what is staged of the reader's paths.
pub(super) type Glanced = (Arc<Glance>, Vec<StagedValue>);

struct Reader {
    paths: Vec<ObjectPath>,
    answer: oneshot::Sender<Result<Answer<Glanced>>>,
}

/// The readers of one branch in this process.
#[derive(Debug)]
pub(super) struct Glances {
    context: BranchContext,
    state: Mutex<Readers>,
}

#[derive(Default)]
struct Readers {
    waiting: Vec<Reader>,
    /// Whether a task makes calls for those who wait. It ends when nobody does.
    busy: bool,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Glances {
    pub(super) fn new(context: BranchContext) -> Self {
        Self { context, state: Mutex::default() }
    }

    /// Looks at the branch and at what is staged of `paths`, at most [`NAMED_MAX`].
    pub(super) async fn look(self: &Arc<Self>, paths: Vec<ObjectPath>) -> Result<Answer<Glanced>> {
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

    fn state(&self) -> MutexGuard<'_, Readers> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self: Arc<Self>) {
        let mut serving = Serving { glances: &self, done: false };
        let mut latest: Option<Arc<Glance>> = None;
        loop {
            GATHERING.gather(|| self.state().waiting.len()).await;
            let Some(readers) = self.take() else {
                serving.done = true;
                return;
            };
            match self.call(&readers, latest.take()).await {
                Ok(Answer::Given((glance, values))) => {
                    latest = Some(Arc::clone(&glance));
                    share(readers, &glance, values);
                }
                Ok(Answer::Absent) => all(readers, || Ok(Answer::Absent)),
                Ok(Answer::Ended) => all(readers, || Ok(Answer::Ended)),
                Err(error) => all(readers, || Err(error.again())),
            }
        }
    }

    /// As many readers as one call serves; `None` at the end, when nobody waits.
    fn take(&self) -> Option<Vec<Reader>> {
        let mut state = self.state();
        let mut paths = 0;
        let fits = |reader: &Reader| {
            paths += reader.paths.len();
            paths <= NAMED_MAX
        };
        let count = state.waiting.iter().map(fits).take_while(|fits| *fits).count();
        // A single reader has no more paths than that.
        let count = count.max(1).min(state.waiting.len());
        let readers: Vec<Reader> = state.waiting.drain(..count).collect();
        state.busy = !readers.is_empty();
        state.busy.then_some(readers)
    }

    async fn call(
        &self,
        readers: &[Reader],
        latest: Option<Arc<Glance>>,
    ) -> Result<Answer<Glanced>> {
        let context = &self.context;
        let paths: Vec<&str> =
            readers.iter().flat_map(|reader| &reader.paths).map(ObjectPath::as_str).collect();
        let wanted = Wanted::Paths(&paths);
        let page = match context.redis.staged(Which::Staged, wanted).await?.given_or_none() {
            Ok(page) => page,
            Err(none) => return Ok(none),
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
        Ok(Answer::Given((glance, page.values)))
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
            *self.glances.state() = Readers::default();
        }
    }
}

/// Gives each reader what concerns it.
fn share(readers: Vec<Reader>, glance: &Arc<Glance>, values: Vec<StagedValue>) {
    let values: HashMap<&str, &StagedValue> =
        values.iter().map(|value| (value.path.as_str(), value)).collect();
    for Reader { paths, answer } in readers {
        let own = paths.iter().filter_map(|path| values.get(path.as_str()));
        let own = own.map(|value| StagedValue::clone(value)).collect();
        // A reader that has gone needs no answer.
        let _ = answer.send(Ok(Answer::Given((Arc::clone(glance), own))));
    }
}

fn all(readers: Vec<Reader>, answer: impl Fn() -> Result<Answer<Glanced>>) {
    for reader in readers {
        let _ = reader.answer.send(answer());
    }
}
