//! What a process remembers of access keys, and for how long it goes by that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use onward::internals::clock::Stopwatch;
use onward::internals::repo::access_keys::AccessKey;
use subtle::ConstantTimeEq;

use super::secrets::Tag;

/// How long what is known of a key is used without a look at the storage.
const FRESH: Duration = Duration::from_secs(5);

/// How long it is used while the look is under way.
const STALE_MAX: Duration = Duration::from_secs(30);

/// Keys that a process knows, at most.
const KNOWN_MAX: usize = 10_000;

/// Ids of which a process knows that there is no key, at most.
const ABSENT_MAX: usize = 10_000;

/// What is known of a key.
#[derive(Clone)]
pub struct Known {
    /// The key as it was read.
    pub key: Arc<AccessKey>,
    read: Stopwatch,
    /// Whether somebody looks whether it is still so.
    refreshing: bool,
    /// The last secret that was found right.
    proven: Option<Tag>,
}

impl Known {
    /// Whether this secret was found right.
    pub fn is_proven(&self, tag: &Tag) -> bool {
        self.proven.is_some_and(|proven| proven.ct_eq(tag).into())
    }
}

/// What can be used of an id.
pub enum Remembered {
    /// Nothing: it has to be read.
    Nothing,
    /// What there is, or that there is no key.
    Usable(Option<Known>),
    /// What there was a while ago: the caller has to look whether it is still so.
    Aging(Known),
}

/// What a process remembers.
#[derive(Default)]
pub struct Memory {
    known: HashMap<String, Known>,
    /// When an id was looked for that no key has.
    absent: HashMap<String, Stopwatch>,
}

impl Memory {
    /// Remembers a key that was read from `read` on. What was found right of the same secret stays so.
    pub fn know(&mut self, id: &str, key: AccessKey, read: Stopwatch) -> Known {
        let same = self.known.get(id).filter(|known| known.key.hash == key.hash);
        let proven = same.and_then(|known| known.proven);
        let known = Known { key: Arc::new(key), read, refreshing: false, proven };
        self.absent.remove(id);
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(id.to_owned(), known.clone());
        known
    }

    /// Remembers that an id was looked for from `read` on and that there is no key of it.
    pub fn miss(&mut self, id: &str, read: Stopwatch) {
        self.known.remove(id);
        if self.absent.len() >= ABSENT_MAX {
            self.absent.clear();
        }
        self.absent.insert(id.to_owned(), read);
    }

    /// Remembers nothing of an id.
    pub fn forget(&mut self, id: &str) {
        self.known.remove(id);
        self.absent.remove(id);
    }

    /// A look at an id has failed: somebody else may try.
    pub fn failed(&mut self, id: &str) {
        if let Some(known) = self.known.get_mut(id) {
            known.refreshing = false;
        }
    }

    /// Remembers that a secret is right, if the key is still the one that it was compared with.
    pub fn prove(&mut self, id: &str, hash: &str, tag: Tag) {
        if let Some(known) = self.known.get_mut(id).filter(|known| known.key.hash == hash) {
            known.proven = Some(tag);
        }
    }

    /// Whether this secret was the last one found right of an id, however long ago.
    pub fn is_proven(&self, id: &str, tag: &Tag) -> bool {
        self.known.get(id).is_some_and(|known| known.is_proven(tag))
    }

    /// What is remembered of an id. Of all who ask one is told that it ages.
    pub fn recall(&mut self, id: &str) -> Remembered {
        if self.absent.get(id).is_some_and(|read| read.elapsed() <= FRESH) {
            return Remembered::Usable(None);
        }
        let Some(known) = self.known.get_mut(id) else { return Remembered::Nothing };
        let age = known.read.elapsed();
        let refresh = age > FRESH && !known.refreshing;
        known.refreshing |= refresh;
        match age < STALE_MAX {
            false => Remembered::Nothing,
            true if refresh => Remembered::Aging(known.clone()),
            true => Remembered::Usable(Some(known.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_are_remembered_up_to_a_limit() {
        let mut memory = Memory::default();
        for n in 0..2 * ABSENT_MAX {
            memory.miss(&format!("junk{n}"), Stopwatch::start());
            assert!(memory.absent.len() <= ABSENT_MAX);
        }
    }
}
