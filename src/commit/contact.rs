//! Whether what this process hears of a branch from Redis can be believed.

use std::sync::atomic::{AtomicU64, Ordering};

/// When Redis was last compared with a branch's log, counted in lost connections.
///
/// A Redis that this process meets for the first time, or for the first time since it lost a
/// connection, may have lost data: it can be a replica that took over, or one restarted from an old
/// save.
#[derive(Debug, Default)]
pub struct Contact {
    /// Lost connections by then, and one; 0 before the first comparison.
    compared_at: AtomicU64,
}

impl Contact {
    /// Whether Redis was compared with the log and no connection was lost since. `losses` is how
    /// many were lost so far.
    pub fn is_compared(&self, losses: u64) -> bool {
        self.compared_at.load(Ordering::Acquire) > losses
    }

    /// Notes that Redis is up to the log, by a comparison that began after `losses` lost connections.
    pub fn note(&self, losses: u64) {
        self.compared_at.fetch_max(losses.saturating_add(1), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_doubted_until_the_next_comparison() {
        let contact = Contact::default();
        assert!(!contact.is_compared(0), "never compared");
        contact.note(0);
        assert!(contact.is_compared(0) && !contact.is_compared(1));
        contact.note(2);
        contact.note(1);
        assert!(contact.is_compared(2), "a comparison that ends late takes nothing back");
    }
}
