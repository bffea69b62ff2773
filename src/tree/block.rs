//! A block: the unit of reading and caching. Some records in order, each key without the prefix it
//! shares with the key before it.
//!
//! A record is encoded as LEB128 integers and bytes:
//!
//! | field | meaning |
//! |---|---|
//! | shared | bytes of the path that equal the start of the path before |
//! | suffix | length, then the rest of the path |
//! | op | index in its batch of the op that wrote it |
//! | value | length, then the encoded value |
//!
//! A block is small and always decoded as a whole, into a table of offsets that is searched by
//! bisection; so there are no restart points on disk. A block knows nothing of files, compression
//! or checksums.

use std::cmp::Reverse;

use bytes::Bytes;

use super::record::{Key, MAX_VALUE_LEN, Record, stored_path};
use crate::model::codec::{Decoder, put_bytes, put_u64};
use crate::model::error::{Error, Result};
use crate::model::path::ObjectPath;

/// A block is closed when its records reach this many bytes.
pub const BLOCK_BYTES: usize = 16 * 1024;
/// No block is longer than this when decoded: what it held before it was full, and one record.
pub const MAX_BLOCK_BYTES: usize = BLOCK_BYTES + MAX_VALUE_LEN + ObjectPath::MAX_LEN + 64;

/// Encodes records one after the other.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    bytes: Vec<u8>,
    last_path: String,
    last_op: u16,
    records: u32,
}

impl BlockBuilder {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    pub(crate) fn last(&self) -> Key<'_> {
        (&self.last_path, Reverse(self.last_op))
    }

    /// Appends a record. The caller has checked the order and the limits.
    pub(crate) fn push(&mut self, path: &str, op: u16, value: &[u8]) {
        let shared = if self.records == 0 { 0 } else { shared_prefix(&self.last_path, path) };
        let suffix = path.as_bytes().get(shared..).unwrap_or_default();
        put_u64(&mut self.bytes, shared as u64);
        put_bytes(&mut self.bytes, suffix);
        put_u64(&mut self.bytes, u64::from(op));
        put_bytes(&mut self.bytes, value);
        self.last_path.clear();
        self.last_path.push_str(path);
        self.last_op = op;
        self.records += 1;
    }

    /// The encoded records.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// How many bytes two texts share at their start.
pub(crate) fn shared_prefix(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count()
}

/// Offsets of one record. `same_path` saves a comparison where a path has several versions.
#[derive(Debug, Clone, Copy)]
struct Slot {
    path: (u32, u32),
    value: (u32, u32),
    op: u16,
    same_path: bool,
}

/// A decoded block: immutable, shared between readers.
#[derive(Debug)]
pub(crate) struct Block {
    /// All paths, one behind the other.
    paths: String,
    /// The encoded block; values are slices of it.
    bytes: Bytes,
    slots: Vec<Slot>,
}

impl Block {
    /// Decodes `records` records and checks that they are in order and nothing follows. The
    /// caller bounds the length of `bytes`.
    pub(crate) fn decode(bytes: Bytes, records: usize) -> Result<Self> {
        // A record takes at least six bytes, so a lying count cannot reserve more than the block.
        if records > bytes.len() {
            return Err(Error::corrupt(format!("{records} records do not fit the block")));
        }
        if u32::try_from(bytes.len()).is_err() {
            return Err(Error::corrupt("block is longer than 4 GiB"));
        }
        let mut paths = Vec::with_capacity(bytes.len());
        let mut slots: Vec<Slot> = Vec::with_capacity(records);
        let mut decoder = Decoder::new(&bytes);
        for _ in 0..records {
            let slot = decode_record(&mut decoder, &mut paths, slots.last(), bytes.len())?;
            slots.push(slot);
        }
        decoder.finish()?;
        let paths = String::from_utf8(paths).map_err(|_| Error::corrupt("a path is not UTF-8"))?;
        if !slots.iter().all(|slot| paths.is_char_boundary(slot.path.0 as usize)) {
            return Err(Error::corrupt("a path is not UTF-8"));
        }
        Ok(Self { paths, bytes, slots })
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of memory it takes, for the cache.
    pub(crate) fn weight(&self) -> usize {
        self.paths.len() + self.bytes.len() + self.slots.len() * size_of::<Slot>() + 128
    }

    fn slot(&self, at: usize) -> Option<&Slot> {
        self.slots.get(at)
    }

    fn path_of(&self, slot: &Slot) -> &str {
        self.paths.get(slot.path.0 as usize..slot.path.1 as usize).unwrap_or_default()
    }

    pub(crate) fn path(&self, at: usize) -> Option<&str> {
        self.slot(at).map(|slot| self.path_of(slot))
    }

    pub(crate) fn op(&self, at: usize) -> Option<u16> {
        self.slot(at).map(|slot| slot.op)
    }

    /// Whether the record at `at` has the path of the record before it, in this block.
    pub(crate) fn same_path(&self, at: usize) -> bool {
        self.slot(at).is_some_and(|slot| slot.same_path)
    }

    pub(crate) fn value(&self, at: usize) -> Option<&[u8]> {
        let slot = self.slot(at)?;
        self.bytes.get(slot.value.0 as usize..slot.value.1 as usize)
    }

    /// The value as a slice of the block, which it keeps alive.
    pub(crate) fn shared_value(&self, at: usize) -> Option<Bytes> {
        let slot = self.slot(at)?;
        Some(self.bytes.slice(slot.value.0 as usize..slot.value.1 as usize))
    }

    /// Index of the first record not in front of `key`.
    pub(crate) fn lower_bound(&self, key: Key<'_>) -> usize {
        self.slots.partition_point(|slot| (self.path_of(slot), Reverse(slot.op)) < key)
    }

    /// Index of the first record whose path is not in front of `bound`.
    pub(crate) fn lower_bound_path(&self, bound: &[u8]) -> usize {
        self.slots.partition_point(|slot| self.path_of(slot).as_bytes() < bound)
    }

    /// All records, for runs that are small enough to be held as a whole.
    pub(crate) fn into_records(self) -> Result<Vec<Record>> {
        let mut records = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let path = stored_path(self.path_of(slot))?;
            let value = self.bytes.slice(slot.value.0 as usize..slot.value.1 as usize);
            records.push(Record { path, op: slot.op, value });
        }
        Ok(records)
    }
}

/// Reads one record, appending its whole path to `paths`.
fn decode_record(
    decoder: &mut Decoder<'_>,
    paths: &mut Vec<u8>,
    before: Option<&Slot>,
    total: usize,
) -> Result<Slot> {
    let shared = decoder.length()?;
    let suffix = decoder.bytes()?;
    let (last_start, last_end) =
        before.map_or((0, 0), |slot| (slot.path.0 as usize, slot.path.1 as usize));
    if shared > last_end - last_start {
        return Err(Error::corrupt("a path shares more than the path before has"));
    }
    let path_len = shared.saturating_add(suffix.len());
    if path_len == 0 || path_len > ObjectPath::MAX_LEN {
        return Err(Error::corrupt(format!("a path is {path_len} bytes long")));
    }
    let start = paths.len();
    paths.extend_from_within(last_start..last_start + shared);
    paths.extend_from_slice(suffix);
    let end = paths.len();
    let op = u16::try_from(decoder.u64()?).map_err(|_| Error::corrupt("op is over 65535"))?;
    let value_len = decoder.length()?;
    if value_len > MAX_VALUE_LEN {
        return Err(Error::corrupt(format!("a value is {value_len} bytes long")));
    }
    let value_start = total - decoder.remaining();
    decoder.take(value_len)?;
    let order = before.map(|slot| {
        let last = paths.get(last_start..last_end).unwrap_or_default();
        let this = paths.get(start..end).unwrap_or_default();
        (last.cmp(this), slot.op.cmp(&op).reverse())
    });
    let same_path = match order {
        None | Some((std::cmp::Ordering::Less, _)) => false,
        Some((std::cmp::Ordering::Equal, std::cmp::Ordering::Less)) => true,
        Some(_) => return Err(Error::corrupt("records are out of order")),
    };
    Ok(Slot {
        path: (offset(start)?, offset(end)?),
        value: (offset(value_start)?, offset(value_start + value_len)?),
        op,
        same_path,
    })
}

fn offset(value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::corrupt("block is longer than 4 GiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_returns_what_it_was_given() {
        let mut builder = BlockBuilder::default();
        let records =
            [("a/1", 3, "x"), ("a/1", 1, "y"), ("a/12", 0, ""), ("b", 7, "zz"), ("é", 0, "1")];
        for (path, op, value) in records {
            builder.push(path, op, value.as_bytes());
        }
        let bytes = Bytes::from(builder.finish());
        let block = Block::decode(bytes.clone(), records.len()).unwrap();
        for (at, (path, op, value)) in records.into_iter().enumerate() {
            assert_eq!(block.path(at), Some(path));
            assert_eq!(block.op(at), Some(op));
            assert_eq!(block.value(at), Some(value.as_bytes()));
            assert_eq!(block.same_path(at), at == 1);
        }
        assert_eq!(block.lower_bound(("a/1", Reverse(2))), 1);
        assert_eq!(block.lower_bound(("a/1", Reverse(0))), 2);
        assert_eq!(block.lower_bound_path(b"a/1"), 0);
        assert_eq!(block.lower_bound_path(b"z"), 4);
        assert!(Block::decode(bytes.clone(), 4).is_err());
        assert!(Block::decode(bytes.clone(), 6).is_err());
        for cut in 0..bytes.len() {
            assert!(Block::decode(bytes.slice(..cut), records.len()).is_err());
        }
    }

    #[test]
    fn records_out_of_order_are_refused() {
        for pair in [[("b", 0), ("a", 0)], [("a", 0), ("a", 0)], [("a", 1), ("a", 2)]] {
            let mut builder = BlockBuilder::default();
            for (path, op) in pair {
                builder.push(path, op, b"");
            }
            assert!(Block::decode(Bytes::from(builder.finish()), 2).is_err());
        }
    }
}
