//! [`Tree`]: what everything that reads and writes the tree holds on to, the store below and the
//! caches over it.

use std::fmt;
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::block::Block;
use super::inline::InlineRun;
use super::options::TreeOptions;
use super::range_index::RangeIndex;
use super::run::{InlineAddress, RangeRef};
use super::store::TreeStore;
use crate::model::error::Result;
use crate::model::ids::{BranchUid, RangeId, RunId, Ticket};

/// Reads and writes commits' contents. Cheap to clone; clones share their caches.
#[derive(Clone)]
pub struct Tree {
    pub(crate) pieces: Arc<Pieces>,
    supposed: Option<Arc<Supposed>>,
}

/// Runs inside a log entry that is not there yet.
struct Supposed {
    uid: BranchUid,
    first: Ticket,
    runs: Vec<Arc<InlineRun>>,
}

impl Tree {
    /// A tree over `store`.
    pub fn new(store: Arc<dyn TreeStore>, options: TreeOptions) -> Self {
        Self { pieces: Arc::new(Pieces::new(store, options)), supposed: None }
    }

    /// The same tree as if the log entry of branch `uid` that begins at `first` were there, with these
    /// runs in it. Nobody else sees them: should another entry come to stand there, who reads the tree
    /// without the supposition reads that one.
    #[must_use]
    pub fn supposing(&self, uid: BranchUid, first: Ticket, runs: Vec<Arc<InlineRun>>) -> Self {
        let supposed = Some(Arc::new(Supposed { uid, first, runs }));
        Self { pieces: Arc::clone(&self.pieces), supposed }
    }

    /// A run inside a log entry.
    pub(crate) async fn inline(&self, at: InlineAddress) -> Result<Arc<InlineRun>> {
        let supposed = self.supposed.as_ref();
        let run = supposed
            .filter(|entry| (entry.uid, entry.first) == (at.uid, at.first))
            .and_then(|entry| entry.runs.get(usize::from(at.segment)));
        match run {
            Some(run) => Ok(Arc::clone(run)),
            None => self.pieces.store.read_inline(at).await,
        }
    }

    /// The store below.
    pub fn store(&self) -> &Arc<dyn TreeStore> {
        &self.pieces.store
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("options", &self.pieces.options).finish_non_exhaustive()
    }
}

/// The store and what is remembered of it.
pub(crate) struct Pieces {
    pub(crate) store: Arc<dyn TreeStore>,
    pub(crate) options: TreeOptions,
    pub(crate) blocks: Cache<(RangeId, u32), Arc<Block>, BlockWeight>,
    pub(crate) indexes: Cache<RangeId, Arc<RangeIndex>, IndexWeight>,
    pub(crate) lists: Cache<RunId, Arc<[RangeRef]>, ListWeight>,
}

impl Pieces {
    pub(crate) fn new(store: Arc<dyn TreeStore>, options: TreeOptions) -> Self {
        let items = |bytes: u64, each: u64| usize::try_from(bytes / each).unwrap_or(1).max(16);
        let blocks = Cache::with_weighter(
            items(options.block_cache_bytes, 24 * 1024),
            options.block_cache_bytes,
            BlockWeight,
        );
        let indexes = Cache::with_weighter(
            items(options.index_cache_bytes, 16 * 1024),
            options.index_cache_bytes,
            IndexWeight,
        );
        let lists = list_cache(options.list_cache_bytes);
        Self { store, options, blocks, indexes, lists }
    }
}

/// One shard: a long list is a large part of the whole cache and would not fit a shard of many.
fn list_cache(bytes: u64) -> Cache<RunId, Arc<[RangeRef]>, ListWeight> {
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(1024)
        .weight_capacity(bytes)
        .build();
    match options {
        Ok(options) => Cache::with_options(
            options,
            ListWeight,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        ),
        Err(_) => Cache::with_weighter(1024, bytes, ListWeight),
    }
}

#[derive(Debug, Clone)]
pub(crate) struct BlockWeight;
#[derive(Debug, Clone)]
pub(crate) struct IndexWeight;
#[derive(Debug, Clone)]
pub(crate) struct ListWeight;

impl Weighter<(RangeId, u32), Arc<Block>> for BlockWeight {
    fn weight(&self, _: &(RangeId, u32), block: &Arc<Block>) -> u64 {
        block.weight() as u64
    }
}

impl Weighter<RangeId, Arc<RangeIndex>> for IndexWeight {
    fn weight(&self, _: &RangeId, index: &Arc<RangeIndex>) -> u64 {
        index.weight() as u64
    }
}

impl Weighter<RunId, Arc<[RangeRef]>> for ListWeight {
    fn weight(&self, _: &RunId, list: &Arc<[RangeRef]>) -> u64 {
        // Two paths of a common length besides the struct; exact sums would cost a walk.
        (list.len() * (size_of::<RangeRef>() + 192) + 64) as u64
    }
}
