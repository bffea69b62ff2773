//! Why calls to Redis are put off: whoever waits for one past its deadline is told this in place of
//! nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::model::error::Error;

/// The newest reason for which a call is being made again. It holds until that call succeeds.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Whether there is one, so that a call that succeeds costs no lock.
    any: AtomicBool,
    newest: Mutex<Option<(&'static str, String)>>,
}

impl Waits {
    /// Notes that call `name` will be made again because of `error`.
    pub(super) fn note(&self, name: &'static str, error: &Error) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = Some((name, error.to_string()));
        self.any.store(true, Ordering::Release);
    }

    /// Notes that a call succeeded.
    pub(super) fn over(&self, name: &'static str) {
        if self.any.load(Ordering::Acquire) {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            newest.take_if(|(waiting, _)| *waiting == name);
            self.any.store(newest.is_some(), Ordering::Release);
        }
    }

    /// The reason, where there is one.
    pub(super) fn reason(&self) -> Option<String> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.as_ref().map(|(_, reason)| reason.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_holds_until_its_call_succeeds() {
        let waits = Waits::default();
        assert_eq!(waits.reason(), None);
        waits.note("submit", &Error::unavailable("no replicas"));
        waits.over("view");
        assert_eq!(waits.reason().as_deref(), Some("no replicas"));
        waits.over("submit");
        assert_eq!(waits.reason(), None);
    }
}
