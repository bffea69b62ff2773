//! A brake on guessing: who fails to log in too often is not listened to for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Deadline;

/// Failures of one address within [`WINDOW`] until it is not listened to.
pub const FAILURES_MAX: u32 = 10;

/// How long failures count, and how long nobody is listened to afterwards.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Addresses that are kept in mind, at most; beyond them all are forgotten.
const ADDRESSES_MAX: usize = 65_536;

/// Failed logins by address.
#[derive(Default)]
pub struct Brake {
    failures: Mutex<HashMap<String, (u32, Deadline)>>,
}

impl Brake {
    /// How long `from` has to wait before it is listened to; `None` if it need not.
    pub fn wait(&self, from: &str) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, until) = failures.get(from)?;
        (*count >= FAILURES_MAX && !until.is_over()).then(|| until.left())
    }

    /// Takes down a failure.
    pub fn failed(&self, from: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES_MAX {
            failures.clear();
        }
        let (count, until) =
            failures.entry(from.to_owned()).or_insert((0, Deadline::after(WINDOW)));
        if until.is_over() {
            (*count, *until) = (0, Deadline::after(WINDOW));
        }
        *count += 1;
    }

    /// Takes down a success: what went before was a slip.
    pub fn succeeded(&self, from: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_fails_too_often_has_to_wait_and_nobody_else() {
        let brake = Brake::default();
        for _ in 0..FAILURES_MAX {
            assert_eq!(brake.wait("a"), None);
            brake.failed("a");
        }
        assert!(brake.wait("a").is_some_and(|wait| wait <= WINDOW));
        assert_eq!(brake.wait("b"), None);
        brake.succeeded("a");
        assert_eq!(brake.wait("a"), None);
    }
}
