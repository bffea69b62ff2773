//! An inline run: records small enough to live inside a log entry, held in memory as a whole.
//!
//! The encoding is one block with a short header; compression is left to the log entry around it.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | format version, 1 |
//! | 4 | CRC-32C of what follows, little endian |
//! | LEB128 | number of records |
//! | rest | the records, see [`super::block`] |

use std::cmp::Reverse;
use std::sync::OnceLock;

use bytes::Bytes;

use super::block::{Block, BlockBuilder};
use super::record::{MAX_VALUE_LEN, Record, Totals, put_record, value_too_long};
use super::run::{InlineAddress, RunPlace, RunRef};
use crate::model::codec::{Decoder, check_version, put_u64};
use crate::model::error::{Error, Result};
use crate::model::ids::{RunId, first_16};
use crate::model::path::ObjectPath;

/// The most records of an inline run.
pub const MAX_RECORDS: usize = 65_536;
/// The longest encoding of an inline run, in bytes.
pub const MAX_ENCODED_LEN: usize = 64 * 1024 * 1024;

const VERSION: u8 = 1;

/// Sorted records in memory.
#[derive(Debug, Default)]
pub struct InlineRun {
    records: Vec<Record>,
    /// Computed when first asked for: most readers never do.
    id: OnceLock<RunId>,
    encoded_len: OnceLock<usize>,
}

impl PartialEq for InlineRun {
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records
    }
}

impl InlineRun {
    /// Sorts `records` and makes a run of them. Of records with the same path and op, the last
    /// one given wins.
    ///
    /// Fails with [`crate::ErrorKind::InvalidInput`] over [`MAX_RECORDS`] or [`MAX_VALUE_LEN`].
    pub fn from_records(mut records: Vec<Record>) -> Result<Self> {
        if let Some(record) = records.iter().find(|record| record.value.len() > MAX_VALUE_LEN) {
            return Err(value_too_long(&record.path, record.value.len()));
        }
        // Equal keys end up with the last one given in front, which is the one `dedup` keeps.
        records.reverse();
        records.sort_by(|a, b| a.key().cmp(&b.key()));
        records.dedup_by(|a, b| a.key() == b.key());
        if records.len() > MAX_RECORDS {
            return Err(Error::invalid(format!(
                "an inline run of {} records is over the limit of {MAX_RECORDS}: write ranges",
                records.len()
            )));
        }
        Ok(Self { records, ..Self::default() })
    }

    /// The canonical bytes: equal runs have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut block = BlockBuilder::default();
        for record in &self.records {
            block.push(record.path.as_str(), record.op, &record.value);
        }
        let block = block.finish();
        let mut body = Vec::with_capacity(block.len() + 4);
        put_u64(&mut body, self.records.len() as u64);
        body.extend_from_slice(&block);
        let mut out = Vec::with_capacity(body.len() + 5);
        out.push(VERSION);
        out.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        out.extend_from_slice(&body);
        self.encoded_len.get_or_init(|| out.len());
        out
    }

    /// The run as bytes, unless it takes more than `max`.
    pub fn encode_within(&self, max: usize) -> Option<Vec<u8>> {
        Some(self.encode()).filter(|encoded| encoded.len() <= max)
    }

    /// Reads what [`InlineRun::encode`] wrote. Fails with [`crate::ErrorKind::Corrupt`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::decode_parts(bytes).map_err(|error| error.context("inline run"))
    }

    fn decode_parts(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_ENCODED_LEN {
            return Err(Error::corrupt(format!("{} bytes are over the limit", bytes.len())));
        }
        let mut decoder = Decoder::new(bytes);
        let version = decoder.u8()?;
        check_version("an inline run", version, VERSION)?;
        let stored_crc = decoder.take(4)?;
        let body = decoder.take(decoder.remaining())?;
        if stored_crc != crc32c::crc32c(body).to_le_bytes() {
            return Err(Error::corrupt("checksum does not match"));
        }
        let mut decoder = Decoder::new(body);
        let count = decoder.length()?;
        if count > MAX_RECORDS {
            return Err(Error::corrupt(format!("{count} records are over the limit")));
        }
        let block = Bytes::copy_from_slice(decoder.take(decoder.remaining())?);
        let records = Block::decode(block, count)?.into_records()?;
        Ok(Self { records, encoded_len: OnceLock::from(bytes.len()), ..Self::default() })
    }

    /// The content hash.
    pub fn id(&self) -> RunId {
        *self.id.get_or_init(|| {
            let mut hasher = blake3::Hasher::new_derive_key("onward 2026 inline run");
            let mut scratch = Vec::with_capacity(32 * 1024);
            for record in &self.records {
                put_record(&mut scratch, record.path.as_str(), record.op, &record.value);
                if scratch.len() >= 16 * 1024 {
                    hasher.update(&scratch);
                    scratch.clear();
                }
            }
            hasher.update(&scratch);
            RunId(first_16(&hasher.finalize()))
        })
    }

    /// A reference to this run, to be found at `at`.
    pub fn run_ref(&self, at: InlineAddress) -> RunRef {
        let mut totals = Totals::default();
        for record in &self.records {
            totals.add(record.path.as_str(), record.op, &record.value);
        }
        RunRef {
            id: self.id(),
            records: totals.records,
            deletes: totals.deletes,
            bytes: totals.bytes,
            conditions: totals.conditions,
            place: RunPlace::Inline(at),
        }
    }

    /// The records: path ascending, op descending.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records, for whoever has no use for the run.
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }

    /// The newest record of `path` whose op is `as_of` or earlier.
    pub fn get(&self, path: &ObjectPath, as_of: u16) -> Option<&Record> {
        let key = (path.as_str(), Reverse(as_of));
        let at = self.records.partition_point(|record| record.key() < key);
        self.records.get(at).filter(|record| record.path == *path)
    }

    /// Bytes of its paths and values, which can be far more than of its encoding.
    pub(crate) fn held_bytes(&self) -> usize {
        self.records.iter().map(Record::size).sum()
    }

    /// Number of records, every version counted.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Length of [`InlineRun::encode`]'s result, computed once.
    pub fn encoded_len(&self) -> usize {
        *self.encoded_len.get_or_init(|| self.encode().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str, op: u16, value: &'static str) -> Record {
        Record { path: path.parse().unwrap(), op, value: Bytes::from_static(value.as_bytes()) }
    }

    #[test]
    fn the_last_of_equal_records_wins_and_reads_go_back_in_time() {
        let run = InlineRun::from_records(vec![
            record("b", 1, "1"),
            record("a", 5, "2"),
            record("a", 2, "3"),
            record("b", 1, "4"),
        ])
        .unwrap();
        assert_eq!(run.len(), 3);
        let a: ObjectPath = "a".parse().unwrap();
        let b: ObjectPath = "b".parse().unwrap();
        assert_eq!(run.get(&a, 9).unwrap().value, "2");
        assert_eq!(run.get(&a, 4).unwrap().value, "3");
        assert_eq!(run.get(&a, 1), None);
        assert_eq!(run.get(&b, 1).unwrap().value, "4");
        let bytes = run.encode();
        let again = InlineRun::decode(&bytes).unwrap();
        assert_eq!(again, run);
        assert_eq!(again.id(), run.id());
        assert_eq!(again.encoded_len(), run.encoded_len());
    }

    #[test]
    fn damage_is_noticed_at_every_byte() {
        let records = (0..20).map(|no| record(&format!("p/{no}"), no, "value")).collect();
        let bytes = InlineRun::from_records(records).unwrap().encode();
        for at in 0..bytes.len() {
            for flip in [1, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                assert!(InlineRun::decode(&damaged).is_err(), "byte {at}");
            }
            assert!(InlineRun::decode(&bytes[..at]).is_err());
        }
    }
}
