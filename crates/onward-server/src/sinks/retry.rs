//! When what failed is tried again.

use std::time::Duration;

use onward::internals::clock::{Deadline, jittered};

/// The wait after a first failure, at most.
const FIRST: Duration = Duration::from_millis(500);

/// The wait after many, at most; unless the receiver asks for more.
pub const LONGEST: Duration = Duration::from_secs(300);

/// The failures of one branch, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    failures: u32,
    until: Deadline,
}

impl Retry {
    /// After one more failure than `before`; no earlier than the receiver asks for.
    pub fn after(before: Option<&Self>, asked: Option<Duration>) -> Self {
        let failures = before.map_or(0, |before| before.failures);
        let wait = jittered(longest(failures)).max(asked.unwrap_or_default());
        Self { failures: failures.saturating_add(1), until: Deadline::after(wait) }
    }

    /// Whether it is time.
    pub fn is_due(&self) -> bool {
        self.until.is_over()
    }
}

/// The longest wait after so many failures and one more: twice the last one.
fn longest(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(20)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_no_shorter_than_was_asked_for() {
        let waits: Vec<u64> =
            (0..12).map(|failures| longest(failures).as_millis() as u64).collect();
        assert_eq!(waits[..5], [500, 1000, 2000, 4000, 8000]);
        assert_eq!(waits[11], 300_000);
        assert_eq!(longest(u32::MAX), LONGEST);
        let asked = Retry::after(None, Some(Duration::from_secs(3600)));
        assert!(!asked.is_due() && asked.until.left() > LONGEST);
        let again = Retry::after(Some(&asked), None);
        assert_eq!(again.failures, 2);
    }
}
