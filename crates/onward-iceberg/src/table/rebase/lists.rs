//! Manifest lists that were written lately: the next append to a table begins with the last one.

use std::fmt;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::table::avro::list::List;

/// Entries of all lists that are kept, at most: some hundred bytes each.
const ENTRIES_MAX: u64 = 100_000;
/// Lists that are kept, about.
const LISTS: usize = 256;

#[derive(Debug, Clone)]
struct ByEntries;

impl Weighter<String, List> for ByEntries {
    fn weight(&self, _: &String, list: &List) -> u64 {
        list.entries().len().max(1) as u64
    }
}

/// Lists by their locations. Files of that name are written once, so that what is kept is what lies there.
pub struct Lists(Cache<String, List, ByEntries>);

impl Default for Lists {
    fn default() -> Self {
        Self(Cache::with_weighter(LISTS, ENTRIES_MAX, ByEntries))
    }
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists").finish_non_exhaustive()
    }
}

impl Lists {
    /// The list at a location, where it was written for this version of the format.
    pub(super) fn get(&self, location: &str, version: u8) -> Option<List> {
        self.0.get(location).filter(|list| list.version() == version)
    }

    pub(super) fn keep(&self, location: String, list: List) {
        self.0.insert(location, list);
    }
}
