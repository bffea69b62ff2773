//! Where a range ends: a function of the content, so that equal content gives equal ranges and a
//! change disturbs only the ranges around it (content-defined chunking).
//!
//! A cut is made behind all records of a path, and it depends on that path and on what is in the
//! range so far; never on what comes later or who writes.

/// A range is cut behind one in this many paths, chosen by their hash.
pub const PATHS_PER_CUT: u64 = 1 << CUT_BITS;
/// A range is cut when paths and values reach this many bytes.
pub const MAX_RANGE_BYTES: u64 = 4 * 1024 * 1024;
/// A range is cut when it has this many records.
pub const MAX_RANGE_RECORDS: u64 = 65_536;

const CUT_BITS: u32 = 14;

/// Whether a range that holds `records` records of `bytes` bytes, the last with `path`, ends there.
pub(crate) fn is_cut(path: &str, records: u64, bytes: u64) -> bool {
    records >= MAX_RANGE_RECORDS || bytes >= MAX_RANGE_BYTES || hash_says_cut(path)
}

/// The checksum is spread by a multiplication (Fibonacci hashing), because its own high bits are
/// linear in the path and similar paths would have similar ones.
fn hash_says_cut(path: &str) -> bool {
    let spread = u64::from(crc32c::crc32c(path.as_bytes())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    spread >> (u64::BITS - CUT_BITS) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_as_frequent_as_stated_for_regular_paths() {
        let cuts = (0..1_000_000).filter(|n| hash_says_cut(&format!("table/part={n:08}"))).count();
        assert!((30..=100).contains(&cuts), "{cuts} instead of about 61");
    }
}
