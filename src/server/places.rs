//! How much one access key has under way at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::{ApiError, ApiResult};

/// Counts what is under way, by access key.
#[derive(Clone)]
pub struct Places {
    what: &'static str,
    limit: usize,
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

/// One that is under way; given back when dropped.
pub struct Place {
    places: Places,
    key: String,
}

impl Places {
    /// At most `limit` of `what` for each key.
    pub fn new(what: &'static str, limit: usize) -> Self {
        Self { what, limit, taken: Arc::default() }
    }

    /// Takes a place, or says that there is none.
    pub fn take(&self, key: &str) -> ApiResult<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key.to_owned()).or_default();
        if *count >= self.limit {
            return Err(ApiError::overloaded(
                format!(
                    "{} {} of this access key are under way, the limit: wait for some of them",
                    self.limit, self.what
                ),
                Duration::from_secs(1),
            ));
        }
        *count += 1;
        Ok(Place { places: self.clone(), key: key.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}
