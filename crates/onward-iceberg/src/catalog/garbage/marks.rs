//! What is marked, and what is yet to be followed.

use std::collections::HashMap;

use onward::internals::repo::gc::{Names, Need};
use onward::{Error, Result};

use super::graph::Graph;
use super::spool::Spool;

/// Metadata files, manifest lists and manifests, at most: some 2 GiB of memory.
const FILES_MAX: usize = 1 << 25;

/// Files that were read, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Read {
    /// Files of metadata, and the lists beside them of what tables have lost.
    pub metadata: u64,
    /// Manifest lists, of snapshots.
    pub lists: u64,
    /// Manifests, of lists.
    pub manifests: u64,
}

impl Read {
    pub(super) fn all(&self) -> u64 {
        self.metadata + self.lists + self.manifests
    }
}

pub(super) struct Marks {
    /// Files of metadata that entries name, to be read.
    pub pending: Spool,
    /// Lists of what tables have lost, which entries name, to be read.
    pub lost: Spool,
    /// Files of metadata that are young, to be read where no entry names them.
    pub young: Spool,
    /// What is read or about to be, and for whom.
    seen: HashMap<u128, Need>,
    /// Every file that is needed.
    pub names: Names,
    pub graph: Graph,
    pub read: Read,
    pub named: u64,
    /// Why nothing may be removed at all.
    pub halted: Option<String>,
}

impl Marks {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            pending: Spool::new()?,
            lost: Spool::new()?,
            young: Spool::new()?,
            seen: HashMap::new(),
            names: Names::new()?,
            graph: Graph::default(),
            read: Read::default(),
            named: 0,
            halted: None,
        })
    }

    /// Whether nobody came by yet, or nobody who needs what is there.
    pub(super) fn first(&mut self, id: u128, need: Need) -> Result<bool> {
        match self.seen.get(&id) {
            Some(Need::Needed) => return Ok(false),
            Some(Need::Recent) if need == Need::Recent => return Ok(false),
            _ => {}
        }
        if self.seen.len() >= FILES_MAX {
            return Err(Error::invalid(format!(
                "the tables have more than {FILES_MAX} files of metadata and manifests: collecting them would take too much memory"
            )));
        }
        self.seen.insert(id, need);
        Ok(true)
    }
}
