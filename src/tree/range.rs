//! The range file: written once, named by its content, read in pieces.
//!
//! | part | content |
//! |---|---|
//! | header | `onwardR` and the format version, 8 bytes |
//! | blocks | frames (content, compressed or not, and a CRC-32C) of blocks ([`super::block`]), without gaps |
//! | index | one frame: summary, then for each block its last key, lengths and record count |
//! | trailer | 32 bytes: index offset (8), index frame length (4), index content length (4), zeros (4), CRC-32C of those 20 bytes (4), `onwardR` and the format version (8) |
//!
//! Integers of the trailer are little endian. The bytes are a function of the records alone. The
//! name is a hash of the records and not of the file, so another compression gives the same name.

use std::cmp::Reverse;

use bytes::Bytes;

use super::block::{BLOCK_BYTES, BlockBuilder, shared_prefix};
use super::boundary::{MAX_RANGE_BYTES, is_cut};
use super::frame::Packer;
use super::record::{Totals, put_record};
use super::run::RangeRef;
use crate::model::codec::{check_version, put_bytes, put_u64};
use crate::model::error::{Error, Result};
use crate::model::ids::{RangeId, first_16};
use crate::model::path::ObjectPath;

pub(crate) const MAGIC: [u8; 8] = *b"onwardR\x01";

/// Checks the eight bytes at both ends of a file.
pub(crate) fn check_magic(found: [u8; 8]) -> Result<()> {
    let [kind @ .., version] = found;
    let [known_kind @ .., known] = MAGIC;
    if kind != known_kind {
        return Err(Error::corrupt("not a range file"));
    }
    check_version("a range file", version, known)
}
pub(crate) const TRAILER_LEN: usize = 32;

/// A full block that waits for its compression, which happens off the pushing task.
struct FullBlock {
    content: Vec<u8>,
    last_path: String,
    last_op: u16,
    records: u32,
}

/// Collects the records of one range.
pub(crate) struct RangeBuilder {
    hasher: blake3::Hasher,
    /// Records not yet hashed: long updates are what BLAKE3 is fast at.
    unhashed: Vec<u8>,
    first: Option<String>,
    totals: Totals,
    several_versions: bool,
    block: BlockBuilder,
    full: Vec<FullBlock>,
    full_bytes: usize,
    file: FileParts,
}

/// What is already in its final form.
#[derive(Default)]
struct FileParts {
    bytes: Vec<u8>,
    index: Vec<u8>,
    blocks: u64,
    last_path: String,
}

impl RangeBuilder {
    pub(crate) fn new() -> Self {
        Self {
            hasher: blake3::Hasher::new_derive_key("onward 2026 range"),
            unhashed: Vec::new(),
            first: None,
            totals: Totals::default(),
            several_versions: false,
            block: BlockBuilder::default(),
            full: Vec::new(),
            full_bytes: 0,
            file: FileParts { bytes: MAGIC.to_vec(), ..FileParts::default() },
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.totals.records == 0
    }

    /// Whether the range ends in front of a record with another path than the last one pushed.
    pub(crate) fn is_complete(&self) -> bool {
        !self.is_empty() && is_cut(self.last_path(), self.totals.records, self.totals.bytes)
    }

    fn last_path(&self) -> &str {
        match self.full.last() {
            Some(full) if self.block.records() == 0 => &full.last_path,
            None if self.block.records() == 0 => &self.file.last_path,
            _ => self.block.last().0,
        }
    }

    /// Appends a record; the caller has checked the order and the limits.
    pub(crate) fn push(&mut self, path: &str, op: u16, value: &[u8]) -> Result<()> {
        if self.is_empty() {
            self.first = Some(path.to_owned());
        } else {
            self.several_versions |= self.last_path() == path;
        }
        self.totals.add(path, op, value);
        put_record(&mut self.unhashed, path, op, value);
        if self.unhashed.len() >= 64 * 1024 {
            self.hasher.update(&self.unhashed);
            self.unhashed.clear();
        }
        self.block.push(path, op, value);
        if self.block.len() >= BLOCK_BYTES {
            self.close_block();
            // Only one path with very many versions makes a range this long. It cannot be cut,
            // so compress what waits instead of holding all of it.
            if self.full_bytes as u64 > 2 * MAX_RANGE_BYTES {
                self.pack_blocks(&mut Packer::new()?)?;
            }
        }
        Ok(())
    }

    fn close_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        let records = block.records();
        let (last_path, Reverse(last_op)) = block.last();
        let last_path = last_path.to_owned();
        let content = block.finish();
        self.full_bytes += content.len();
        self.full.push(FullBlock { content, last_path, last_op, records });
    }

    fn pack_blocks(&mut self, packer: &mut Packer) -> Result<()> {
        for full in self.full.drain(..) {
            let len = packer.pack(&full.content, &mut self.file.bytes)?;
            let shared = shared_prefix(&self.file.last_path, &full.last_path);
            put_u64(&mut self.file.index, shared as u64);
            put_bytes(
                &mut self.file.index,
                full.last_path.as_bytes().get(shared..).unwrap_or_default(),
            );
            put_u64(&mut self.file.index, u64::from(full.last_op));
            put_u64(&mut self.file.index, len as u64);
            put_u64(&mut self.file.index, full.content.len() as u64);
            put_u64(&mut self.file.index, u64::from(full.records));
            self.file.blocks += 1;
            self.file.last_path = full.last_path;
        }
        self.full_bytes = 0;
        Ok(())
    }

    /// Compresses and puts the file together: some milliseconds of work for each MiB.
    pub(crate) fn finish(mut self) -> Result<(RangeRef, Bytes)> {
        let mut packer = Packer::new()?;
        if self.block.records() > 0 {
            self.close_block();
        }
        self.pack_blocks(&mut packer)?;
        self.hasher.update(&self.unhashed);
        let id = RangeId(first_16(&self.hasher.finalize()));
        let first = self.first.ok_or_else(|| Error::internal("a range without records"))?;
        let range = RangeRef {
            id,
            first: ObjectPath::new(first)?,
            last: ObjectPath::new(self.file.last_path.as_str())?,
            records: self.totals.records,
            deletes: self.totals.deletes,
            bytes: self.totals.bytes,
            conditions: self.totals.conditions,
            settled: !self.several_versions && !self.totals.unsettled,
        };
        let mut file = self.file.bytes;
        append_index(&range, self.file.blocks, &self.file.index, &mut packer, &mut file)?;
        Ok((range, Bytes::from(file)))
    }
}

fn append_index(
    range: &RangeRef,
    blocks: u64,
    handles: &[u8],
    packer: &mut Packer,
    file: &mut Vec<u8>,
) -> Result<()> {
    let mut index = super::run::encode_ranges(std::slice::from_ref(range));
    put_u64(&mut index, blocks);
    index.extend_from_slice(handles);
    let too_long = |_| Error::internal(format!("the index of range {} is too long", range.id));
    let offset = file.len() as u64;
    let frame_len = packer.pack(&index, file)?;
    let mut trailer = Vec::with_capacity(TRAILER_LEN);
    trailer.extend_from_slice(&offset.to_le_bytes());
    trailer.extend_from_slice(&u32::try_from(frame_len).map_err(too_long)?.to_le_bytes());
    trailer.extend_from_slice(&u32::try_from(index.len()).map_err(too_long)?.to_le_bytes());
    trailer.extend_from_slice(&[0; 4]);
    let crc = crc32c::crc32c(&trailer);
    trailer.extend_from_slice(&crc.to_le_bytes());
    trailer.extend_from_slice(&MAGIC);
    file.extend_from_slice(&trailer);
    Ok(())
}
