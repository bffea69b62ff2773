//! Work that goes on behind a request's answer: imports, dumps, restores.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::Response;
use futures::FutureExt;
use http::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::error::{ApiError, ApiResult, json as answer};
use onward::internals::clock;
use onward::{Error, Result};

/// How long somebody who asks again is told to wait when there is no room for more tasks.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long somebody who calls a task off waits for its end, at most.
const CALL_OFF_WAIT: Duration = Duration::from_secs(60);

const BUG: &str = "it ended early, by a bug: please report it";

/// What there is to say of a task.
#[derive(Debug, Clone)]
pub struct TaskStatus {
    /// When that was last so, milliseconds since the Unix epoch.
    pub updated_ms: i64,
    /// What came of it; `None` while it goes on.
    pub result: Option<Result<Value, String>>,
}

/// What came of calling a task off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalledOff {
    /// It has ended without having done anything.
    InTime,
    /// It had ended otherwise before; its status says how.
    TooLate,
    /// It goes on for now; its status will say how it ends.
    NotYet,
}

struct Task {
    status: TaskStatus,
    /// Tells the task to end.
    call_off: CancellationToken,
    /// Says that it has ended.
    ended: CancellationToken,
    /// Whether it ended because it was told to.
    was_called_off: bool,
    /// Whose it is: nobody else sees or ends it.
    owner: String,
}

/// The tasks of a sidecar. They end with it; what they have committed stays.
#[derive(Clone)]
pub struct Tasks {
    limit: usize,
    all: Arc<Mutex<HashMap<String, Task>>>,
}

impl Tasks {
    /// At most `limit` tasks are under way or remembered.
    pub fn new(limit: usize) -> Self {
        Self { limit, all: Arc::default() }
    }

    /// Begins a task of `owner` and answers with its id: 202. The work is given what calls it off, and
    /// ends with `None` if that was in time.
    pub fn begin<F>(
        &self,
        owner: &str,
        work: impl FnOnce(CancellationToken) -> F,
    ) -> ApiResult<Response>
    where
        F: Future<Output = Result<Option<Value>>> + Send + 'static,
    {
        let mut all = self.lock();
        if all.len() >= self.limit {
            all.retain(|_, task| task.status.result.is_none());
        }
        if all.len() >= self.limit {
            return Err(ApiError::overloaded(
                format!("{} tasks are under way, the limit: wait for some of them", self.limit),
                RETRY_AFTER,
            ));
        }
        let id = clock::new_op_id().to_string();
        let task = Task {
            status: TaskStatus { updated_ms: clock::now_ms(), result: None },
            call_off: CancellationToken::new(),
            ended: CancellationToken::new(),
            was_called_off: false,
            owner: owner.to_owned(),
        };
        let (tasks, name) = (self.clone(), id.clone());
        let work = work(task.call_off.clone());
        tokio::spawn(async move {
            // One that ends in a bug is told to have ended, too.
            let ended = AssertUnwindSafe(work).catch_unwind().await;
            tasks.note(&name, ended.unwrap_or_else(|_| Err(Error::internal(BUG))));
        });
        all.insert(id.clone(), task);
        Ok(answer(StatusCode::ACCEPTED, json!({"id": id})))
    }

    fn note(&self, id: &str, ended: Result<Option<Value>>) {
        let mut all = self.lock();
        let Some(task) = all.get_mut(id) else { return };
        task.was_called_off = matches!(ended, Ok(None));
        let result = match ended {
            Ok(Some(done)) => Ok(done),
            Ok(None) => Err("it was cancelled".to_owned()),
            Err(error) => Err(error.for_callers()),
        };
        task.status = TaskStatus { updated_ms: clock::now_ms(), result: Some(result) };
        task.ended.cancel();
    }

    /// What there is to say of a task, if this sidecar knows it.
    pub fn status(&self, id: &str, owner: &str) -> Option<TaskStatus> {
        self.lock().get(id).filter(|task| task.owner == owner).map(|task| task.status.clone())
    }

    /// Calls a task off, and waits until it has ended, at most for [`CALL_OFF_WAIT`]: what it has
    /// handed over may be on its way.
    pub async fn call_off(&self, id: &str, owner: &str) -> Option<CalledOff> {
        let ended = self.tell_to_end(id, owner)?;
        let Some(ended) = ended else { return Some(CalledOff::TooLate) };
        if tokio::time::timeout(CALL_OFF_WAIT, ended.cancelled()).await.is_err() {
            return Some(CalledOff::NotYet);
        }
        let was_called_off = self.lock().get(id).is_some_and(|task| task.was_called_off);
        Some(if was_called_off { CalledOff::InTime } else { CalledOff::TooLate })
    }

    /// Tells a task to end. Returns what says that it has; `None` within of one that has ended before.
    fn tell_to_end(&self, id: &str, owner: &str) -> Option<Option<CancellationToken>> {
        let all = self.lock();
        let task = all.get(id).filter(|task| task.owner == owner)?;
        let goes_on = task.status.result.is_none();
        if goes_on {
            task.call_off.cancel();
        }
        Some(goes_on.then(|| task.ended.clone()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Task>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
