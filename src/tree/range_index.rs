//! Opening a range file: its trailer and index, checked before anything in them is used.

use std::cmp::Reverse;

use bytes::Bytes;

use super::block::{Block, MAX_BLOCK_BYTES};
use super::frame::unpack;
use super::range::{MAGIC, TRAILER_LEN, check_magic};
use super::record::Key;
use super::run::{RangeRef, decode_range_ref};
use crate::model::codec::Decoder;
use crate::model::error::{Error, Result};
use crate::model::ids::RangeId;
use crate::model::path::ObjectPath;

/// The longest index, in bytes: enough for a range of some GiB.
const MAX_INDEX_BYTES: usize = 64 * 1024 * 1024;

/// The most blocks of a range file: enough for a range of some GiB.
const MAX_BLOCKS: usize = 1 << 17;
/// The most bytes of their last paths. These share what they begin with, so that an index can name
/// far more than it has; of a range of some GiB it is half of this.
const MAX_LAST_PATH_BYTES: usize = 128 * 1024 * 1024;

/// Where a block is and what it ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockHandle {
    pub(crate) last_path: Box<str>,
    pub(crate) last_op: u16,
    /// First byte of the frame in the file.
    pub(crate) offset: u64,
    /// Length of the frame.
    pub(crate) len: usize,
    /// Length of the content.
    pub(crate) content_len: usize,
    pub(crate) records: usize,
}

impl BlockHandle {
    fn last(&self) -> Key<'_> {
        (&self.last_path, Reverse(self.last_op))
    }

    /// Unpacks the block from its frame.
    pub(crate) fn read(&self, frame: &Bytes) -> Result<Block> {
        if frame.len() != self.len {
            return Err(Error::corrupt("file ends inside a block"));
        }
        let block = Block::decode(unpack(frame, self.content_len)?, self.records)?;
        let last = block.len().checked_sub(1);
        let last_path = last.and_then(|at| block.path(at));
        if last_path != Some(&*self.last_path)
            || last.and_then(|at| block.op(at)) != Some(self.last_op)
        {
            return Err(Error::corrupt("a block does not end with the key its index names"));
        }
        Ok(block)
    }
}

/// The decoded index of a range file.
#[derive(Debug)]
pub(crate) struct RangeIndex {
    pub(crate) range: RangeRef,
    pub(crate) blocks: Vec<BlockHandle>,
    /// Length of the whole file.
    pub(crate) file_len: u64,
}

/// What the trailer says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trailer {
    offset: u64,
    frame_len: usize,
    content_len: usize,
}

impl Trailer {
    /// Reads the trailer off the end of a file.
    pub(crate) fn read(tail: &Bytes) -> Result<Self> {
        let (_, trailer) = tail
            .split_last_chunk::<TRAILER_LEN>()
            .ok_or_else(|| Error::corrupt("file is shorter than its trailer"))?;
        let [covered @ .., c0, c1, c2, c3, m0, m1, m2, m3, m4, m5, m6, m7] = trailer;
        check_magic([*m0, *m1, *m2, *m3, *m4, *m5, *m6, *m7])?;
        if crc32c::crc32c(covered) != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
            return Err(Error::corrupt("checksum of the trailer does not match"));
        }
        let [offset @ .., f0, f1, f2, f3, l0, l1, l2, l3, _, _, _, _] = *covered;
        let frame_len = u32::from_le_bytes([f0, f1, f2, f3]) as usize;
        let content_len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if frame_len > MAX_INDEX_BYTES || content_len > MAX_INDEX_BYTES {
            return Err(Error::corrupt("index is over the limit"));
        }
        Ok(Self { offset: u64::from_le_bytes(offset), frame_len, content_len })
    }

    /// How many of the file's last bytes hold index and trailer.
    pub(crate) fn tail_len(&self) -> usize {
        self.frame_len + TRAILER_LEN
    }
}

impl RangeIndex {
    /// Decodes the index from the end of the file, which must hold [`Trailer::tail_len`] bytes.
    pub(crate) fn read(id: RangeId, trailer: Trailer, tail: &Bytes) -> Result<Self> {
        let start = tail.len().checked_sub(trailer.tail_len());
        let start = start.ok_or_else(|| Error::corrupt("file ends inside its index"))?;
        let file_len = trailer
            .offset
            .checked_add(trailer.tail_len() as u64)
            .ok_or_else(|| Error::corrupt("index lies outside of the file"))?;
        let whole_file = file_len == tail.len() as u64;
        if file_len < tail.len() as u64 || (whole_file && !tail.starts_with(&MAGIC)) {
            return Err(Error::corrupt("header and trailer do not belong together"));
        }
        let frame = tail.slice(start..start + trailer.frame_len);
        let content = unpack(&frame, trailer.content_len)?;
        let index = decode_index(&content, file_len)?;
        let end = index.blocks.last().map_or(0, |block| block.offset + block.len as u64);
        if index.range.id != id || end != trailer.offset {
            return Err(Error::corrupt("index belongs to another file"));
        }
        Ok(index)
    }

    /// Index of the first block that ends at or behind `key`.
    pub(crate) fn block_of(&self, key: Key<'_>) -> usize {
        self.blocks.partition_point(|block| block.last() < key)
    }

    /// Index of the first block that ends with a path not in front of `bound`.
    pub(crate) fn block_of_path(&self, bound: &[u8]) -> usize {
        self.blocks.partition_point(|block| block.last_path.as_bytes() < bound)
    }

    /// Bytes of memory it takes, for the cache.
    pub(crate) fn weight(&self) -> usize {
        let paths: usize = self.blocks.iter().map(|block| block.last_path.len()).sum();
        paths + self.blocks.len() * size_of::<BlockHandle>() + 512
    }
}

pub(crate) fn decode_index(content: &[u8], file_len: u64) -> Result<RangeIndex> {
    let (range, mut decoder) = decode_summary(content)?;
    let count = decoder.length()?;
    if count > content.len().min(MAX_BLOCKS) {
        return Err(Error::corrupt(format!("{count} blocks do not fit the index")));
    }
    let mut blocks: Vec<BlockHandle> = Vec::with_capacity(count);
    let mut offset = MAGIC.len() as u64;
    let (mut records, mut path_bytes) = (0, 0);
    for _ in 0..count {
        let block = decode_handle(&mut decoder, blocks.last(), offset)?;
        offset += block.len as u64;
        records += block.records as u64;
        path_bytes += block.last_path.len();
        if path_bytes > MAX_LAST_PATH_BYTES {
            return Err(Error::corrupt("the last paths of its blocks are over the limit"));
        }
        blocks.push(block);
    }
    decoder.finish()?;
    let last = blocks.last().map(|block| &*block.last_path);
    if last != Some(range.last.as_str()) || records != range.records {
        return Err(Error::corrupt("blocks of the index do not add up to its summary"));
    }
    Ok(RangeIndex { range, blocks, file_len })
}

/// The summary is a list of one range reference.
fn decode_summary(content: &[u8]) -> Result<(RangeRef, Decoder<'_>)> {
    let mut decoder = Decoder::new(content);
    if decoder.length()? != 1 {
        return Err(Error::corrupt("index has no summary"));
    }
    let range = decode_range_ref(&mut decoder)?;
    if range.first > range.last {
        return Err(Error::corrupt("a range starts behind its end"));
    }
    Ok((range, decoder))
}

fn decode_handle(
    decoder: &mut Decoder<'_>,
    before: Option<&BlockHandle>,
    offset: u64,
) -> Result<BlockHandle> {
    let before_path = before.map_or("", |block| &*block.last_path);
    let shared = decoder.length()?;
    let prefix = before_path.as_bytes().get(..shared);
    let prefix = prefix.ok_or_else(|| Error::corrupt("a key shares more than there is"))?;
    let path = [prefix, decoder.bytes()?].concat();
    let path = String::from_utf8(path).map_err(|_| Error::corrupt("a path is not UTF-8"))?;
    let last_op = u16::try_from(decoder.u64()?).map_err(|_| Error::corrupt("op is over 65535"))?;
    let len = decoder.length()?;
    let content_len = decoder.length()?;
    let records = decoder.length()?;
    let frame_overhead = 5;
    if path.is_empty()
        || path.len() > ObjectPath::MAX_LEN
        || content_len > MAX_BLOCK_BYTES
        || len > content_len + frame_overhead
        || records == 0
        || records > content_len
    {
        return Err(Error::corrupt("a block of the index is outside of its limits"));
    }
    let block = BlockHandle { last_path: path.into(), last_op, offset, len, content_len, records };
    if before.is_some_and(|before| before.last() >= block.last()) {
        return Err(Error::corrupt("blocks of the index are out of order"));
    }
    Ok(block)
}
