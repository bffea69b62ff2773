//! The right to one more connection that waits in a server.

use std::any::Any;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::model::error::{Error, Result};

/// Whatever gives a permit back to its pool when it is dropped.
pub type Permit = Box<dyn Any + Send + Sync>;

/// The permits that a process has.
#[derive(Debug)]
pub(super) struct Permits(Arc<Semaphore>);

impl Permits {
    /// So many, and one at the least.
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.max(1))))
    }

    /// One of them, if there is one left: every one is held for as long as somebody needs it.
    pub(super) fn take(&self) -> Result<Permit> {
        match Arc::clone(&self.0).try_acquire_owned() {
            Ok(permit) => Ok(Box::new(permit)),
            Err(_) => Err(Error::unavailable(
                "every connection for blocking reads that this process may have is in use",
            )),
        }
    }
}
