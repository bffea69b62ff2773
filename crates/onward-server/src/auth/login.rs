//! Logins: who shows an id and its secret, one after the other, as long as he does not guess.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use super::brake::Brake;
use super::keys::Keys;
use crate::error::{ApiError, ApiResult};
use crate::metrics::LOGINS_FAILED;
use onward::internals::repo::access_keys::AccessKey;

/// Logins that are looked into at the same time, at most; those of one who tries take one of them.
/// As many as a byte has values.
const DOORS: usize = 256;

/// Where all log in.
pub struct Logins {
    pub(super) keys: Keys,
    pub(super) brake: Brake,
    /// Where logins wait for each other, by who tries.
    doors: [Mutex<()>; DOORS],
}

impl Logins {
    /// Logins with these keys.
    pub fn new(keys: Keys) -> Self {
        let doors = std::array::from_fn(|_| Mutex::new(()));
        Self { keys, brake: Brake::default(), doors }
    }

    /// The key of this id and secret, shown by somebody at the address `from`. Who fails too often
    /// is not listened to for a while, and nothing is read for him.
    pub async fn log_in(&self, from: &str, id: &str, secret: &str) -> ApiResult<Arc<AccessKey>> {
        if !Keys::can_be(id, secret) {
            return Err(wrong());
        }
        // Others at the same address may have guessed: that is not his fault.
        if let Some(key) = self.keys.proven(id, secret).await? {
            return Ok(key);
        }
        // One after the other: of many who are right the first proves it for all, and of many who
        // guess no more are heard than if they came one by one.
        let _turn = self.turn(from, id).await;
        if let Some(key) = self.keys.proven(id, secret).await? {
            return Ok(key);
        }
        if let Some(wait) = self.brake.begin(from, id) {
            return Err(braked(wait));
        }
        // While nothing can be read nobody has guessed.
        let look = self.keys.look(id).await;
        let look = look.inspect_err(|_| self.brake.withdraw(from, id))?;
        let key = self.keys.check(look, secret).await?.ok_or_else(wrong)?;
        self.brake.succeeded(from, id);
        Ok(key)
    }

    async fn turn(&self, from: &str, id: &str) -> Option<MutexGuard<'_, ()>> {
        let hash = blake3::hash(format!("{from} {id}").as_bytes());
        let door = hash.as_bytes().first().and_then(|byte| self.doors.get(usize::from(*byte)))?;
        Some(door.lock().await)
    }
}

/// What is told to who is not listened to for a while.
pub(super) fn braked(wait: Duration) -> ApiError {
    ApiError::overloaded(
        "too many logins with this access key, or from this address, have failed: wait, and check the secret",
        wait,
    )
}

fn wrong() -> ApiError {
    metrics::counter!(LOGINS_FAILED).increment(1);
    ApiError::unauthenticated("the access key id or its secret is wrong")
}
