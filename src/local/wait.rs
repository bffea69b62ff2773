//! Waiting, with a deadline, for what nobody announces.

use std::time::Duration;

use crate::clock::Deadline;

const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `condition` holds; whether it did before the deadline.
pub(super) fn wait_until(deadline: &Deadline, mut condition: impl FnMut() -> bool) -> bool {
    loop {
        if condition() {
            return true;
        }
        if deadline.is_over() {
            return false;
        }
        std::thread::sleep(PAUSE.min(deadline.left()));
    }
}
