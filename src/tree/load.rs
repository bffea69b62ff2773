//! Reading pieces through the caches: run lists, range indexes and blocks.
//!
//! Pieces are immutable and named by content, so nothing cached is ever out of date.

use std::sync::Arc;

use bytes::Bytes;

use super::block::Block;
use super::frame::unpack;
use super::handle::Tree;
use super::inline::InlineRun;
use super::range::{MAGIC, check_magic};
use super::range_index::{RangeIndex, Trailer};
use super::run::{RangeRef, RunPlace, RunRef, decode_ranges, encode_ranges};
use super::store::Span;
use crate::model::codec::{Decoder, check_version, put_u64};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{RangeId, RunId};

/// First read of a range file: its index fits nearly always.
const TAIL_BYTES: u64 = 16 * 1024;
/// The longest list of ranges when decoded.
const MAX_LIST_BYTES: usize = 512 * 1024 * 1024;
const LIST_VERSION: u8 = 1;

/// Where the records of a run are, as readers want it.
#[derive(Debug, Clone)]
pub(crate) enum Located {
    Inline(Arc<InlineRun>),
    Ranges(Arc<[RangeRef]>),
}

impl Tree {
    /// Finds the records of a run.
    pub(crate) async fn locate(&self, run: &RunRef) -> Result<Located> {
        match &run.place {
            RunPlace::Inline(at) => {
                let run = self.inline(*at).await?;
                Ok(Located::Inline(run))
            }
            RunPlace::Ranges(ranges) => Ok(Located::Ranges(ranges.as_slice().into())),
            RunPlace::Stored { .. } => self.stored_list(run.id).await.map(Located::Ranges),
        }
    }

    /// The ranges of a run whose list is stored.
    pub(crate) async fn stored_list(&self, id: RunId) -> Result<Arc<[RangeRef]>> {
        let load = async {
            let bytes = self.pieces.store.read_run(id).await?;
            decode_list(&bytes).map_err(|error| named(error, format_args!("list of run {id}")))
        };
        self.pieces.lists.get_or_insert_async(&id, load).await
    }

    /// The index of a range file.
    pub(crate) async fn index(&self, range: &RangeRef) -> Result<Arc<RangeIndex>> {
        self.pieces.indexes.get_or_insert_async(&range.id, self.read_index(range)).await
    }

    /// The index of a range file, read from the store and compared with what names it.
    pub(crate) async fn read_index(&self, range: &RangeRef) -> Result<Arc<RangeIndex>> {
        let index = self.read_index_of(range.id).await?;
        if index.range != *range {
            let error = Error::corrupt("its summary is not what its run says");
            return Err(in_range(error, range.id));
        }
        Ok(index)
    }

    /// The index of a range file of which only the name is known.
    pub(crate) async fn read_index_of(&self, id: RangeId) -> Result<Arc<RangeIndex>> {
        let at_range = |error| in_range(error, id);
        let mut tail = self.pieces.store.read_range(id, Span::Last(TAIL_BYTES)).await?;
        let trailer = match Trailer::read(&tail) {
            Err(error) if error.kind() == ErrorKind::NewerVersion => {
                return Err(at_range(self.newer_or_damaged(id, error).await?));
            }
            trailer => trailer.map_err(at_range)?,
        };
        if trailer.tail_len() > tail.len() {
            let span = Span::Last(trailer.tail_len() as u64);
            tail = self.pieces.store.read_range(id, span).await?;
        }
        RangeIndex::read(id, trailer, &tail).map(Arc::new).map_err(at_range)
    }

    /// What a trailer that claims a newer version stands for: that, where the header says the same,
    /// and damage where it does not.
    async fn newer_or_damaged(&self, id: RangeId, newer: Error) -> Result<Error> {
        let span = Span::From { offset: 0, len: MAGIC.len() as u64 };
        let header = self.pieces.store.read_range(id, span).await?;
        Ok(match header.first_chunk::<8>().map(|header| check_magic(*header)) {
            Some(Err(error)) if error.kind() == ErrorKind::NewerVersion => newer,
            _ => Error::corrupt("header and trailer do not belong together"),
        })
    }

    /// A block, through the cache.
    pub(crate) async fn block(&self, index: &RangeIndex, no: usize) -> Result<Arc<Block>> {
        let key = block_key(index, no);
        let load = async {
            let frames = self.frames(index, no, 1).await?;
            decode_block(index, no, &frames).map(Arc::new)
        };
        self.pieces.blocks.get_or_insert_async(&key, load).await
    }

    /// A block, if it is in the cache.
    pub(crate) fn cached_block(&self, index: &RangeIndex, no: usize) -> Option<Arc<Block>> {
        self.pieces.blocks.get(&block_key(index, no))
    }

    /// Puts a block into the cache.
    pub(crate) fn keep_block(&self, index: &RangeIndex, no: usize, block: Arc<Block>) {
        self.pieces.blocks.insert(block_key(index, no), block);
    }

    /// The frames of up to `count` blocks from `no` on, in one read.
    pub(crate) async fn frames(
        &self,
        index: &RangeIndex,
        no: usize,
        count: usize,
    ) -> Result<Bytes> {
        let handles = index.blocks.iter().skip(no).take(count.max(1));
        let offset = index.blocks.get(no).map_or(0, |handle| handle.offset);
        let len = handles.map(|handle| handle.len as u64).sum();
        let id = index.range.id;
        let bytes = self.pieces.store.read_range(id, Span::From { offset, len }).await?;
        if bytes.len() as u64 != len {
            return Err(in_range(Error::corrupt("file ends inside a block"), id));
        }
        Ok(bytes)
    }
}

fn block_key(index: &RangeIndex, no: usize) -> (RangeId, u32) {
    (index.range.id, u32::try_from(no).unwrap_or(u32::MAX))
}

/// Decodes the block whose frame is at the start of `frames`.
pub(crate) fn decode_block(index: &RangeIndex, no: usize, frames: &Bytes) -> Result<Block> {
    let read = || {
        let handle = index.blocks.get(no).ok_or_else(|| Error::internal("no such block"))?;
        if frames.len() < handle.len {
            return Err(Error::corrupt("file ends inside a block"));
        }
        handle.read(&frames.slice(..handle.len))
    };
    read().map_err(|error| in_range(error.context(format_args!("block {no}")), index.range.id))
}

/// Names the range in an error about its bytes.
pub(crate) fn in_range(error: Error, id: RangeId) -> Error {
    named(error, format_args!("range {id}"))
}

fn named(error: Error, what: std::fmt::Arguments<'_>) -> Error {
    match error.kind() {
        ErrorKind::Corrupt | ErrorKind::NewerVersion => error.context(what),
        _ => error,
    }
}

/// Encodes a stored list: version, length of the content, one frame.
pub(crate) fn encode_list(ranges: &[RangeRef]) -> Result<Bytes> {
    let content = encode_ranges(ranges);
    if content.len() > MAX_LIST_BYTES {
        return Err(Error::invalid("the list of a run's ranges is over its limit of 512 MiB"));
    }
    let mut out = vec![LIST_VERSION];
    put_u64(&mut out, content.len() as u64);
    super::frame::Packer::new()?.pack(&content, &mut out)?;
    Ok(Bytes::from(out))
}

pub(crate) fn decode_list(bytes: &Bytes) -> Result<Arc<[RangeRef]>> {
    let mut decoder = Decoder::new(bytes);
    let version = decoder.u8()?;
    check_version("a list of ranges", version, LIST_VERSION)?;
    let len = decoder.length()?;
    if len > MAX_LIST_BYTES {
        return Err(Error::corrupt("list is over its limit of 512 MiB"));
    }
    let frame = bytes.slice(bytes.len() - decoder.remaining()..);
    decode_ranges(&unpack(&frame, len)?).map(Arc::from)
}
