//! The values that were asked for last, and no more of them than a limit: one that has to give way is the one that was
//! asked for longest ago. Knows nothing of sessions.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Values by their keys.
#[derive(Debug)]
pub struct Recent<K, V> {
    /// Each with when it was asked for.
    values: HashMap<K, (u64, V)>,
    /// Keys by that.
    order: BTreeMap<u64, K>,
    asked: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: BTreeMap::new(), asked: 0 }
    }
}

impl<K: Clone + Eq + Hash, V: Clone + Default> Recent<K, V> {
    /// The value of a key, a new one where there is none. With `most` of them or more, those give way that were asked
    /// for longest ago; of those that must not, nobody does.
    pub fn get(&mut self, key: K, most: usize, may_go: impl Fn(&V) -> bool) -> V {
        self.asked += 1;
        if let Some((asked, value)) = self.values.get_mut(&key) {
            self.order.remove(asked);
            *asked = self.asked;
            self.order.insert(self.asked, key);
            return value.clone();
        }
        while self.values.len() >= most
            && let Some(oldest) = self.oldest(&may_go)
        {
            if let Some(key) = self.order.remove(&oldest) {
                self.values.remove(&key);
            }
        }
        let value = V::default();
        self.order.insert(self.asked, key.clone());
        self.values.insert(key, (self.asked, value.clone()));
        value
    }

    fn oldest(&self, may_go: impl Fn(&V) -> bool) -> Option<u64> {
        let goes = |key: &K| self.values.get(key).is_some_and(|(_, value)| may_go(value));
        self.order.iter().find(|(_, key)| goes(key)).map(|(asked, _)| *asked)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_was_asked_for_longest_ago_gives_way_and_nothing_else() {
        let mut recent: Recent<u32, Arc<()>> = Recent::default();
        let mut get = |key: u32| recent.get(key, 4, |value| Arc::strong_count(value) == 1);
        let one = get(1);
        let seen: Vec<usize> = [2, 3, 4].map(|key| Arc::as_ptr(&get(key)) as usize).to_vec();
        // 2 is asked for again, so 3 is the oldest that nobody holds.
        assert_eq!(Arc::as_ptr(&get(2)) as usize, seen[0]);
        get(5);
        assert!(Arc::ptr_eq(&get(1), &one));
        assert_eq!(Arc::as_ptr(&get(2)) as usize, seen[0]);
        assert_eq!(Arc::as_ptr(&get(4)) as usize, seen[2]);
        assert_eq!(recent.values.len(), 4);
        assert_eq!(recent.order.len(), 4);
        assert!(!recent.values.contains_key(&3) && recent.values.contains_key(&5));
    }

    #[test]
    fn what_is_in_use_stays_however_many_there_are() {
        let mut recent: Recent<u32, Arc<()>> = Recent::default();
        let held: Vec<Arc<()>> =
            (0..9).map(|key| recent.get(key, 4, |value| Arc::strong_count(value) == 1)).collect();
        for (key, held) in (0..).zip(&held) {
            assert!(Arc::ptr_eq(&recent.get(key, 4, |_| true), held));
        }
        drop(held);
        recent.get(10, 4, |value| Arc::strong_count(value) == 1);
        assert_eq!((recent.values.len(), recent.order.len()), (4, 4));
    }
}
