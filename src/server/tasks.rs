//! Work that goes on behind a request's answer: imports, dumps, restores.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::Response;
use futures::FutureExt;
use http::StatusCode;
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult, json as answer};
use crate::clock;
use crate::model::error::Result;

/// How long somebody who asks again is told to wait when there is no room for more tasks.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What there is to say of a task.
#[derive(Debug, Clone)]
pub struct TaskStatus {
    /// When that was last so, milliseconds since the Unix epoch.
    pub updated_ms: i64,
    /// What came of it; `None` while it goes on.
    pub result: Option<Result<Value, String>>,
}

struct Task {
    status: TaskStatus,
    handle: Option<tokio::task::AbortHandle>,
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

    /// Begins a task of `owner` and answers with its id: 202.
    pub fn begin(
        &self,
        owner: &str,
        work: impl Future<Output = Result<Value>> + Send + 'static,
    ) -> ApiResult<Response> {
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
        let (tasks, name) = (self.clone(), id.clone());
        let running = tokio::spawn(async move {
            // One that ends in a bug is told to have ended, too.
            let result = match AssertUnwindSafe(work).catch_unwind().await {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(_) => Err("it ended early, by a bug: please report it".to_owned()),
            };
            if let Some(task) = tasks.lock().get_mut(&name) {
                task.status = TaskStatus { updated_ms: clock::now_ms(), result: Some(result) };
                task.handle = None;
            }
        });
        let status = TaskStatus { updated_ms: clock::now_ms(), result: None };
        let (handle, owner) = (Some(running.abort_handle()), owner.to_owned());
        all.insert(id.clone(), Task { status, handle, owner });
        Ok(answer(StatusCode::ACCEPTED, json!({"id": id})))
    }

    /// What there is to say of a task, if this sidecar knows it.
    pub fn status(&self, id: &str, owner: &str) -> Option<TaskStatus> {
        self.lock().get(id).filter(|task| task.owner == owner).map(|task| task.status.clone())
    }

    /// Ends a task that goes on. Returns whether it did.
    pub fn cancel(&self, id: &str, owner: &str) -> Option<bool> {
        let mut all = self.lock();
        let task = all.get_mut(id).filter(|task| task.owner == owner)?;
        let Some(handle) = task.handle.take() else { return Some(false) };
        handle.abort();
        let result = Some(Err("it was cancelled".to_owned()));
        task.status = TaskStatus { updated_ms: clock::now_ms(), result };
        Some(true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Task>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
