//! What the operations share.

use tokio::sync::Semaphore;

use crate::state::AppState;

/// Large uploads at the same time: each may have 48 MiB in memory.
const UPLOADS_MAX: usize = 64;

/// What answers operations.
pub struct Gateway {
    /// What all requests of the sidecar share.
    pub app: AppState,
    /// Places for large uploads.
    pub uploads: Semaphore,
}

impl Gateway {
    /// Over a deployment.
    pub fn new(app: AppState) -> Self {
        Self { app, uploads: Semaphore::new(UPLOADS_MAX) }
    }
}
