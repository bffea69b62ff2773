//! Runs: ordered lists of ranges that do not overlap, or a few records in a log entry. Data only.

use serde::{Deserialize, Serialize};

use super::record::stored_path;
use crate::model::codec::{Decoder, put_bytes, put_u64};
use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, RangeId, RunId, Ticket, first_16};
use crate::model::path::ObjectPath;

/// A run with up to this many ranges carries their list with it.
pub const MAX_EMBEDDED_RANGES: usize = 8;
/// The most bytes of paths that embedded ranges carry: a reference travels in queue elements.
pub const MAX_EMBEDDED_BYTES: usize = 4 * 1024;
/// The most ranges a run can have: about 10^10 records.
pub const MAX_RANGES: usize = 1 << 20;

/// The name of a range and what a reader wants to know before opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeRef {
    /// Hash of its records, which names it.
    pub id: RangeId,
    /// The smallest path in it.
    pub first: ObjectPath,
    /// The largest path in it.
    pub last: ObjectPath,
    /// Number of records, every version counted.
    pub records: u64,
    /// How many of them are tombstones.
    #[serde(default)]
    pub deletes: u64,
    /// Bytes of paths and values, before prefix sharing and compression.
    pub bytes: u64,
    /// Whether a record carries a condition.
    #[serde(default)]
    pub conditions: bool,
    /// Whether the records are pure content: op 0, one version of each path, no condition. Only
    /// such a range can be part of a folded run as it is.
    #[serde(default)]
    pub settled: bool,
}

impl RangeRef {
    /// 16 bytes that stand for all that the reference says, not for the id alone.
    pub fn fingerprint(&self) -> [u8; 16] {
        first_16(&blake3::hash(&encode_ranges(std::slice::from_ref(self))))
    }
}

/// Where a run lies that is embedded in a log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InlineAddress {
    /// The branch incarnation whose log holds the entry.
    pub uid: BranchUid,
    /// First ticket of the entry's batch.
    pub first: Ticket,
    /// Which of the entry's embedded runs.
    #[serde(default)]
    pub segment: u16,
}

/// Where the records of a run are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPlace {
    /// Inside a log entry.
    Inline(InlineAddress),
    /// In these ranges, at most [`MAX_EMBEDDED_RANGES`], in order. An empty run has none.
    Ranges(Vec<RangeRef>),
    /// In ranges whose list is stored under the run's id.
    Stored {
        /// Smallest path of the run.
        first: ObjectPath,
        /// Largest path of the run.
        last: ObjectPath,
    },
}

/// The name of a run, its size and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRef {
    /// Content hash: of the range ids for a run of ranges, of the records for an inline run.
    pub id: RunId,
    /// Number of records, every version counted.
    pub records: u64,
    /// How many of them are tombstones.
    #[serde(default)]
    pub deletes: u64,
    /// Bytes of paths and values, before prefix sharing and compression.
    pub bytes: u64,
    /// Whether a record carries a condition.
    #[serde(default)]
    pub conditions: bool,
    /// Where the records are.
    pub place: RunPlace,
}

fn fits_embedded(ranges: &[RangeRef]) -> bool {
    let path_bytes = |range: &RangeRef| range.first.as_str().len() + range.last.as_str().len();
    ranges.len() <= MAX_EMBEDDED_RANGES
        && ranges.iter().map(path_bytes).sum::<usize>() <= MAX_EMBEDDED_BYTES
}

impl RunRef {
    /// A reference to the run made of `ranges`, which are in order. Longer lists than
    /// [`MAX_EMBEDDED_RANGES`], or with longer paths, have to be stored under the run's id.
    pub(crate) fn of_ranges(ranges: Vec<RangeRef>) -> Result<Self> {
        if ranges.len() > MAX_RANGES {
            return Err(Error::invalid(format!(
                "a run of {} ranges is over the limit of {MAX_RANGES}",
                ranges.len()
            )));
        }
        let mut hasher = blake3::Hasher::new_derive_key("onward 2026 run of ranges");
        for range in &ranges {
            hasher.update(&range.id.0);
        }
        let id = RunId(first_16(&hasher.finalize()));
        let records = ranges.iter().map(|range| range.records).sum();
        let deletes = ranges.iter().map(|range| range.deletes).sum();
        let bytes = ranges.iter().map(|range| range.bytes).sum();
        let conditions = ranges.iter().any(|range| range.conditions);
        let place = match (ranges.first(), ranges.last()) {
            (Some(first), Some(last)) if !fits_embedded(&ranges) => {
                RunPlace::Stored { first: first.first.clone(), last: last.last.clone() }
            }
            _ => RunPlace::Ranges(ranges),
        };
        Ok(Self { id, records, deletes, bytes, conditions, place })
    }
}

const HAS_CONDITIONS: u8 = 0b01;
const IS_SETTLED: u8 = 0b10;

/// Encodes a list of ranges, for [`RunPlace::Stored`].
pub(crate) fn encode_ranges(ranges: &[RangeRef]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ranges.len() * 160);
    put_u64(&mut out, ranges.len() as u64);
    for range in ranges {
        out.extend_from_slice(&range.id.0);
        put_bytes(&mut out, range.first.as_str().as_bytes());
        put_bytes(&mut out, range.last.as_str().as_bytes());
        put_u64(&mut out, range.records);
        put_u64(&mut out, range.deletes);
        put_u64(&mut out, range.bytes);
        let conditions = if range.conditions { HAS_CONDITIONS } else { 0 };
        out.push(conditions | if range.settled { IS_SETTLED } else { 0 });
    }
    out
}

/// Reads what [`encode_ranges`] wrote and checks the order.
pub(crate) fn decode_ranges(bytes: &[u8]) -> Result<Vec<RangeRef>> {
    let mut decoder = Decoder::new(bytes);
    let count = decoder.length()?;
    if count > MAX_RANGES || count > bytes.len() {
        return Err(Error::corrupt(format!("a list of {count} ranges is too long")));
    }
    let mut ranges: Vec<RangeRef> = Vec::with_capacity(count);
    for _ in 0..count {
        let range = decode_range_ref(&mut decoder)?;
        let in_order = ranges.last().is_none_or(|before| before.last < range.first);
        if !in_order || range.first > range.last {
            return Err(Error::corrupt("the ranges of a run overlap"));
        }
        ranges.push(range);
    }
    decoder.finish()?;
    Ok(ranges)
}

pub(crate) fn decode_range_ref(decoder: &mut Decoder<'_>) -> Result<RangeRef> {
    let id = decode_range_id(decoder)?;
    let first = decode_path(decoder)?;
    let last = decode_path(decoder)?;
    let records = decoder.u64()?;
    let deletes = decoder.u64()?;
    let bytes = decoder.u64()?;
    let flags = decoder.u8()?;
    if flags & !(HAS_CONDITIONS | IS_SETTLED) != 0 {
        return Err(Error::corrupt(format!("range flags {flags:#x} are unknown")));
    }
    let conditions = flags & HAS_CONDITIONS != 0;
    let settled = flags & IS_SETTLED != 0;
    Ok(RangeRef { id, first, last, records, deletes, bytes, conditions, settled })
}

fn decode_range_id(decoder: &mut Decoder<'_>) -> Result<RangeId> {
    let mut id = [0; 16];
    id.copy_from_slice(decoder.take(16)?);
    Ok(RangeId(id))
}

fn decode_path(decoder: &mut Decoder<'_>) -> Result<ObjectPath> {
    stored_path(decoder.str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(no: u8) -> RangeRef {
        RangeRef {
            id: RangeId([no; 16]),
            first: ObjectPath::new(format!("{no:03}/a")).unwrap(),
            last: ObjectPath::new(format!("{no:03}/z")).unwrap(),
            records: 7,
            deletes: 1,
            bytes: 700,
            conditions: no == 3,
            settled: no == 2,
        }
    }

    #[test]
    fn a_long_list_is_stored_and_a_short_one_travels() {
        let short = RunRef::of_ranges((0..8).map(range).collect()).unwrap();
        assert!(matches!(&short.place, RunPlace::Ranges(ranges) if ranges.len() == 8));
        assert!(short.conditions);
        let long = RunRef::of_ranges((0..9).map(range).collect()).unwrap();
        assert!(matches!(&long.place, RunPlace::Stored { .. }));
        for run in [short, long] {
            let packed = rmp_serde::to_vec_named(&run).unwrap();
            assert_eq!(rmp_serde::from_slice::<RunRef>(&packed).unwrap(), run);
        }
    }

    #[test]
    fn range_lists_survive_their_encoding() {
        let ranges: Vec<_> = (0..9).map(range).collect();
        let bytes = encode_ranges(&ranges);
        assert_eq!(decode_ranges(&bytes).unwrap(), ranges);
        for cut in 0..bytes.len() {
            assert!(decode_ranges(&bytes[..cut]).is_err());
        }
        let swapped = [range(2), range(1)];
        assert!(decode_ranges(&encode_ranges(&swapped)).is_err());
    }
}
