//! The snapshots that a table had and has no more, by their ids: what tells a commit that landed and was trimmed from
//! one that never did, however long ago that was.
//!
//! A list beside the table's metadata, which the entry of the branch names: the newest ids, and the pages that hold the
//! older ones. Each commit that takes snapshots away writes the list anew, on top of that of the table it is made on.
//! Pages are written once, and of [`FAN_OUT`] of a size one is made of the next. Pure.
//!
//! ```text
//! magic, 8 bytes | 1: all there ever were, else 0 | pages: u32 | each: level u8, length u16, location
//!                | ids: u32 | each i64 | blake3 of all that, 32 bytes          (numbers are little-endian)
//! ```

use std::collections::HashSet;

use bytes::Bytes;

/// Ids that stand in the list itself, at most.
const NEWEST_MAX: usize = 512;
/// Pages of one size, of which one of the next is made.
const FAN_OUT: usize = 16;
/// The largest size: 131,072 ids, a mebibyte.
const LEVEL_MAX: u8 = 2;
/// The longest list or page that is read.
pub const GONE_BYTES_MAX: u64 = 16 << 20;

const MAGIC: &[u8; 8] = b"ONWGONE1";
const CHECKSUM_BYTES: usize = 32;

/// Such a list, or a page of one, which names no others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gone {
    /// Whether these are all that the table ever lost. Not where it was begun by a program that kept no list.
    pub is_whole: bool,
    /// The oldest first, the largest first.
    pub pages: Vec<Page>,
    /// The newest ids.
    pub newest: Vec<i64>,
}

/// Where a page is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    level: u8,
    /// Where it lies.
    pub location: String,
}

/// What is to be written before a list that has become too long is one again.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A page with these ids.
    Write(Vec<i64>),
    /// A page with what these have, which are read first.
    Merge(Vec<Page>),
    /// It can be written as it is.
    Nothing,
}

impl Gone {
    /// A page of these ids.
    pub fn page(mut ids: Vec<i64>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        Self { is_whole: false, pages: Vec::new(), newest: ids }
    }

    /// What has to be written before the list is.
    pub fn next(&self) -> Next {
        if self.newest.len() > NEWEST_MAX {
            return Next::Write(self.newest.clone());
        }
        let Some(last) = self.pages.last().filter(|last| last.level < LEVEL_MAX) else {
            return Next::Nothing;
        };
        let same = self.pages.iter().rev().take_while(|page| page.level == last.level).count();
        match same >= FAN_OUT {
            true => Next::Merge(self.pages.iter().skip(self.pages.len() - same).cloned().collect()),
            false => Next::Nothing,
        }
    }

    /// A page was written, as [`Gone::next`] asked for.
    pub fn written(&mut self, next: &Next, location: String) {
        match next {
            Next::Nothing => {}
            Next::Write(ids) => {
                // Many at once are as many pages' worth.
                let level = match ids.len() / NEWEST_MAX / FAN_OUT {
                    0 => 0,
                    few if few < FAN_OUT => 1,
                    _ => LEVEL_MAX,
                };
                self.newest.clear();
                self.pages.push(Page { level, location });
            }
            Next::Merge(pages) => {
                let level = pages.first().map_or(0, |page| page.level + 1);
                self.pages.truncate(self.pages.len().saturating_sub(pages.len()));
                self.pages.push(Page { level, location });
            }
        }
    }

    /// Reads a list. None where it is damaged, or of a newer program.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (told, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
        if blake3::hash(told).as_bytes() != checksum {
            return None;
        }
        let mut rest = told.strip_prefix(MAGIC)?;
        let [is_whole] = take(&mut rest)?;
        let many = u32::from_le_bytes(take(&mut rest)?);
        let mut pages = Vec::new();
        for _ in 0..many {
            let [level] = take(&mut rest)?;
            let length = u16::from_le_bytes(take(&mut rest)?);
            let (location, behind) = rest.split_at_checked(length.into())?;
            rest = behind;
            pages.push(Page { level, location: std::str::from_utf8(location).ok()?.to_owned() });
        }
        let many = u32::from_le_bytes(take(&mut rest)?);
        let newest: Vec<i64> = rest
            .chunks_exact(8)
            .map(|id| Some(i64::from_le_bytes(id.try_into().ok()?)))
            .collect::<Option<_>>()?;
        let is_as_said = newest.len() == many as usize && rest.len() == newest.len() * 8;
        is_as_said.then_some(Self { is_whole: is_whole == 1, pages, newest })
    }

    /// What is written of it.
    pub fn encode(&self) -> Bytes {
        let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX).to_le_bytes();
        let mut out = MAGIC.to_vec();
        out.push(self.is_whole.into());
        out.extend(count(self.pages.len()));
        for page in &self.pages {
            let location = page.location.as_bytes();
            out.push(page.level);
            out.extend(u16::try_from(location.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend(location);
        }
        out.extend(count(self.newest.len()));
        out.extend(self.newest.iter().flat_map(|id| id.to_le_bytes()));
        let checksum = blake3::hash(&out);
        out.extend(checksum.as_bytes());
        out.into()
    }

    /// Takes those out of `wanted` that are among the ids, and puts them into `found`.
    pub fn find(&self, wanted: &mut HashSet<i64>, found: &mut HashSet<i64>) {
        for id in &self.newest {
            found.extend(wanted.take(id));
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_at_checked(N)?;
    *rest = behind;
    taken.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Carries out what a list asks for; what it wrote.
    fn tidy(gone: &mut Gone, pages: &mut Vec<Gone>) -> usize {
        let mut bytes = 0;
        loop {
            let next = gone.next();
            let ids = match &next {
                Next::Nothing => return bytes + gone.encode().len(),
                Next::Write(ids) => ids.clone(),
                Next::Merge(of) => {
                    let nth = |page: &Page| page.location.parse::<usize>().unwrap();
                    of.iter().flat_map(|page| pages[nth(page)].newest.clone()).collect()
                }
            };
            let page = Gone::page(ids);
            bytes += page.encode().len();
            gone.written(&next, pages.len().to_string());
            pages.push(page);
        }
    }

    #[test]
    fn all_that_went_is_found_and_costs_little_for_each() {
        const EACH: i64 = 60;
        const ROUNDS: i64 = 10_000;
        let (mut gone, mut pages) = (Gone { is_whole: true, ..Gone::default() }, Vec::new());
        let mut bytes = 0;
        for round in 0..ROUNDS {
            gone.newest.extend((0..EACH).map(|nth| round * EACH + nth));
            bytes += tidy(&mut gone, &mut pages);
        }
        assert!(gone.pages.len() < 3 * FAN_OUT, "{} pages", gone.pages.len());
        assert!(bytes / usize::try_from(ROUNDS * EACH).unwrap() < 80, "{bytes} bytes");
        let all = 0..ROUNDS * EACH;
        let (mut wanted, mut found) = (all.chain([-1]).collect(), HashSet::new());
        gone.find(&mut wanted, &mut found);
        for page in &gone.pages {
            pages[page.location.parse::<usize>().unwrap()].find(&mut wanted, &mut found);
        }
        assert_eq!(wanted, HashSet::from([-1]));
        assert_eq!(found.len(), usize::try_from(ROUNDS * EACH).unwrap());
    }

    #[test]
    fn many_that_go_at_once_are_a_page() {
        let (mut gone, mut pages) = (Gone::default(), Vec::new());
        gone.newest.extend(0..100_000);
        tidy(&mut gone, &mut pages);
        assert_eq!((gone.pages.len(), gone.pages[0].level, gone.newest.len()), (1, 1, 0));
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_a_damaged_one_is_none() {
        let page = |level, location: &str| Page { level, location: location.to_owned() };
        let pages = vec![page(2, "s3://b/t/gone-ä"), page(0, "")];
        let gone = Gone { is_whole: true, pages, newest: vec![i64::MIN, -1, 7, i64::MAX] };
        let bytes = gone.encode();
        assert_eq!(Gone::decode(&bytes), Some(gone));
        for at in 0..bytes.len() {
            assert_eq!(Gone::decode(&bytes[..at]), None);
            let mut other = bytes.to_vec();
            other[at] ^= 1;
            assert_eq!(Gone::decode(&other), None);
        }
        // Lengths that lead nowhere, under a checksum that holds.
        for wrong in [
            &b"ONWGONE1"[..],
            b"ONWGONE1\x00\xff\xff\xff\xff",
            b"ONWGONE1\x00\0\0\0\0\x02\0\0\0abcdefgh",
        ] {
            let bytes = [wrong, blake3::hash(wrong).as_bytes()].concat();
            assert_eq!(Gone::decode(&bytes), None);
        }
    }
}
