//! A brake on guessing: who fails to log in too often is not listened to for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Deadline;

/// Failures within a minute until nobody listens.
pub const FAILURES_MAX: u32 = 10;

/// How long failures count, and how long nobody is listened to afterwards.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Who is kept in mind, at most; beyond them all are forgotten.
const KEPT_MAX: usize = 65_536;

/// Failed logins, by address and access key: who guesses must not lock out others behind the same
/// proxy.
#[derive(Default)]
pub struct Brake {
    failures: Mutex<HashMap<String, (u32, Deadline)>>,
}

impl Brake {
    /// Takes down a login of `who` as a failure until it is known to be none; how long `who` has to
    /// wait instead, if there were too many.
    pub fn begin(&self, who: &str) -> Option<Duration> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= KEPT_MAX {
            failures.clear();
        }
        let (count, until) = failures.entry(who.to_owned()).or_insert((0, Deadline::after(WINDOW)));
        if until.is_over() {
            (*count, *until) = (0, Deadline::after(WINDOW));
        }
        if *count >= FAILURES_MAX {
            return Some(until.left());
        }
        *count += 1;
        None
    }

    /// Takes down a success: what went before was a slip.
    pub fn succeeded(&self, who: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_too_often_has_to_wait_and_nobody_else() {
        let brake = Brake::default();
        for _ in 0..FAILURES_MAX {
            assert_eq!(brake.begin("a"), None);
        }
        assert!(brake.begin("a").is_some_and(|wait| wait <= WINDOW));
        assert_eq!(brake.begin("b"), None);
        brake.succeeded("a");
        assert_eq!(brake.begin("a"), None);
    }
}
