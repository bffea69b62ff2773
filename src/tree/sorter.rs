//! Sorting changes that come in any order, in bounded memory (external merge sort).
//!
//! Changes are encoded into one buffer; when it is full, it is sorted and spilled, compressed, to
//! a temporary file without a name, which vanishes with the process. In the end all spills and the
//! buffer are merged. Of several changes of one path the last one given wins, or there must be none.
//!
//! This is blocking code: give a long sort its own thread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::PathBuf;

use bytes::Bytes;

use super::record::{MAX_VALUE_LEN, Record, stored_path, value_too_long};
use crate::model::change::{PathChange, encode_value};
use crate::model::error::{Error, Result, quoted};
use crate::model::path::ObjectPath;

/// Bytes of changes held in memory unless told otherwise.
pub const DEFAULT_BUDGET_BYTES: usize = 48 * 1024 * 1024;
/// The most spills of one sort: with the default budget 48 GiB of changes.
pub const MAX_SPILLS: usize = 1024;

/// What a path that is changed twice means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twice {
    /// The last change given is the one that counts, with its condition and without those of others.
    LastWins,
    /// It is a mistake. A change is told by its number, with this noun before it: `line`, `change`.
    Refused(&'static str),
}

/// Where a change lies in the buffer. A later change has a larger start.
#[derive(Debug, Clone, Copy)]
struct Slot {
    start: u32,
    path_len: u16,
    value_len: u16,
    /// Which change it is, for people.
    number: u32,
}

/// Collects changes in any order, and gives them in the order of paths.
#[derive(Debug)]
pub struct ChangeSorter {
    op: u16,
    twice: Twice,
    budget: usize,
    folder: Option<PathBuf>,
    buffer: Vec<u8>,
    slots: Vec<Slot>,
    spills: Vec<File>,
    pushed: u64,
    pushed_bytes: u64,
}

impl ChangeSorter {
    /// A sorter whose records will carry `op`. Of several changes of one path the last one wins.
    pub fn new(op: u16) -> Self {
        Self {
            op,
            twice: Twice::LastWins,
            budget: DEFAULT_BUDGET_BYTES,
            folder: None,
            buffer: Vec::new(),
            slots: Vec::new(),
            spills: Vec::new(),
            pushed: 0,
            pushed_bytes: 0,
        }
    }

    /// Holds about this many bytes in memory before it spills; at most 1 GiB.
    #[must_use]
    pub fn with_budget(mut self, bytes: usize) -> Self {
        self.budget = bytes.min(1024 * 1024 * 1024);
        self
    }

    /// What a path that is changed twice means from now on.
    pub fn on_twice(&mut self, twice: Twice) {
        self.twice = twice;
    }

    /// Spills to files in this folder instead of the system's folder for temporary files.
    #[must_use]
    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// How many changes were given.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Bytes of paths and values that were given.
    pub fn pushed_bytes(&self) -> u64 {
        self.pushed_bytes
    }

    /// How many times the memory did not suffice.
    pub fn spills(&self) -> usize {
        self.spills.len()
    }

    /// Adds a change, which is told by its place among those that were given.
    pub fn push(&mut self, change: PathChange) -> Result<()> {
        self.push_numbered(self.pushed + 1, change)
    }

    /// Adds a change that is told by another number, such as that of its line.
    pub fn push_numbered(&mut self, number: u64, change: PathChange) -> Result<()> {
        let start = self.buffer.len();
        let path = change.path.as_str();
        self.buffer.extend_from_slice(path.as_bytes());
        encode_value(&change.change, change.condition.as_ref(), &mut self.buffer);
        let value_len = self.buffer.len() - start - path.len();
        if value_len > MAX_VALUE_LEN {
            self.buffer.truncate(start);
            return Err(value_too_long(path, value_len));
        }
        let over = |_| Error::internal("the sort buffer is over its limit");
        self.slots.push(Slot {
            start: u32::try_from(start).map_err(over)?,
            path_len: u16::try_from(path.len()).map_err(over)?,
            value_len: u16::try_from(value_len).map_err(over)?,
            // Beyond four thousand million it is the last of them, which is near enough.
            number: u32::try_from(number).unwrap_or(u32::MAX),
        });
        self.pushed += 1;
        self.pushed_bytes += (path.len() + value_len) as u64;
        if self.buffer.len() + self.slots.len() * size_of::<Slot>() >= self.budget {
            self.spill()?;
        }
        Ok(())
    }

    /// The changes in order, one for each path.
    pub fn finish(mut self) -> Result<SortedChanges> {
        sort(&self.buffer, &mut self.slots, self.twice)?;
        let mut sources = Vec::with_capacity(self.spills.len() + 1);
        for file in self.spills {
            sources.push(Source::Spill(SpillReader::open(file)?));
        }
        sources.push(Source::Buffer { bytes: self.buffer, slots: self.slots.into_iter() });
        SortedChanges::new(sources, self.op, self.twice)
    }

    fn spill(&mut self) -> Result<()> {
        if self.spills.len() >= MAX_SPILLS {
            return Err(Error::invalid(format!(
                "over {} changes are too many for one commit: split it",
                self.pushed
            )));
        }
        sort(&self.buffer, &mut self.slots, self.twice)?;
        let file = self.write_spill().map_err(|error| {
            Error::unavailable("cannot write a temporary file to sort changes").with_source(error)
        })?;
        self.spills.push(file);
        self.buffer.clear();
        self.slots.clear();
        Ok(())
    }

    fn write_spill(&self) -> std::io::Result<File> {
        let file = match &self.folder {
            Some(folder) => tempfile::tempfile_in(folder)?,
            None => tempfile::tempfile()?,
        };
        let mut out = zstd::stream::write::Encoder::new(BufWriter::new(file), 1)?;
        for slot in &self.slots {
            out.write_all(&slot.path_len.to_le_bytes())?;
            out.write_all(&slot.value_len.to_le_bytes())?;
            out.write_all(&slot.number.to_le_bytes())?;
            out.write_all(slot.both(&self.buffer))?;
        }
        let mut file = out.finish()?.into_inner().map_err(|error| error.into_error())?;
        file.rewind()?;
        Ok(file)
    }
}

impl Slot {
    /// Path and value.
    fn both(self, buffer: &[u8]) -> &[u8] {
        let start = self.start as usize;
        let end = start + usize::from(self.path_len) + usize::from(self.value_len);
        buffer.get(start..end).unwrap_or_default()
    }

    fn path(self, buffer: &[u8]) -> &[u8] {
        self.both(buffer).get(..usize::from(self.path_len)).unwrap_or_default()
    }
}

impl Twice {
    /// Fails where a path must not be changed twice.
    fn check(self, path: &str, a: u32, b: u32) -> Result<()> {
        let Self::Refused(noun) = self else { return Ok(()) };
        Err(Error::invalid(format!(
            "path '{}' is changed twice, by {noun} {} and {noun} {}: name each path once",
            quoted(path),
            a.min(b),
            a.max(b)
        )))
    }
}

/// Sorts by path and keeps the last change of each.
fn sort(buffer: &[u8], slots: &mut Vec<Slot>, twice: Twice) -> Result<()> {
    slots.sort_unstable_by(|a, b| {
        a.path(buffer).cmp(b.path(buffer)).then(Reverse(a.start).cmp(&Reverse(b.start)))
    });
    let mut checked = Ok(());
    slots.dedup_by(|later, kept| {
        let same = later.path(buffer) == kept.path(buffer);
        if same && checked.is_ok() {
            let path = String::from_utf8_lossy(kept.path(buffer));
            checked = twice.check(&path, later.number, kept.number);
        }
        same
    });
    checked
}

/// One change out of a sorted part.
struct Taken {
    path: ObjectPath,
    value: Bytes,
    number: u32,
}

/// A sorted part.
enum Source {
    Spill(SpillReader),
    Buffer { bytes: Vec<u8>, slots: std::vec::IntoIter<Slot> },
}

struct SpillReader(zstd::stream::read::Decoder<'static, BufReader<File>>);

impl SpillReader {
    fn open(file: File) -> Result<Self> {
        zstd::stream::read::Decoder::new(file).map(Self).map_err(unreadable)
    }

    fn next(&mut self) -> Result<Option<Taken>> {
        let mut head = [0u8; 8];
        if self.0.read(head.split_at_mut(1).0).map_err(unreadable)? == 0 {
            return Ok(None);
        }
        self.0.read_exact(head.split_at_mut(1).1).map_err(unreadable)?;
        let [p0, p1, v0, v1, number @ ..] = head;
        let path_len = usize::from(u16::from_le_bytes([p0, p1]));
        let value_len = usize::from(u16::from_le_bytes([v0, v1]));
        let mut both = vec![0; path_len + value_len];
        self.0.read_exact(&mut both).map_err(unreadable)?;
        taken(&both, path_len, u32::from_le_bytes(number)).map(Some)
    }
}

impl Source {
    fn next(&mut self) -> Result<Option<Taken>> {
        match self {
            Self::Spill(reader) => reader.next(),
            Self::Buffer { bytes, slots } => match slots.next() {
                Some(slot) => {
                    taken(slot.both(bytes), usize::from(slot.path_len), slot.number).map(Some)
                }
                None => Ok(None),
            },
        }
    }
}

fn taken(both: &[u8], path_len: usize, number: u32) -> Result<Taken> {
    let parts = both.split_at_checked(path_len);
    let (path, value) = parts.ok_or_else(|| Error::internal("a sorted change is cut off"))?;
    let path = std::str::from_utf8(path)
        .map_err(|error| Error::internal("a sorted path is damaged").with_source(error))?;
    Ok(Taken { path: stored_path(path)?, value: Bytes::copy_from_slice(value), number })
}

fn unreadable(error: std::io::Error) -> Error {
    Error::unavailable("cannot read a temporary file of a sort back").with_source(error)
}

/// The smallest path comes first, and of equal paths the one of the latest source.
type Head = Reverse<(ObjectPath, Reverse<usize>, Bytes, u32)>;

/// The changes in order, as records: an iterator.
pub struct SortedChanges {
    sources: Vec<Source>,
    heads: BinaryHeap<Head>,
    op: u16,
    twice: Twice,
    /// The path that was given last, and the number of its change.
    last: Option<(ObjectPath, u32)>,
}

impl SortedChanges {
    fn new(sources: Vec<Source>, op: u16, twice: Twice) -> Result<Self> {
        let heads = BinaryHeap::with_capacity(sources.len());
        let mut this = Self { sources, heads, op, twice, last: None };
        for number in 0..this.sources.len() {
            this.refill(number)?;
        }
        Ok(this)
    }

    fn refill(&mut self, number: usize) -> Result<()> {
        let Some(source) = self.sources.get_mut(number) else { return Ok(()) };
        if let Some(taken) = source.next()? {
            self.heads.push(Reverse((taken.path, Reverse(number), taken.value, taken.number)));
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Option<Record>> {
        while let Some(Reverse((path, Reverse(source), value, number))) = self.heads.pop() {
            self.refill(source)?;
            if self.sources.len() > 1 {
                if let Some((_, last)) = self.last.as_ref().filter(|(last, _)| *last == path) {
                    self.twice.check(path.as_str(), *last, number)?;
                    continue;
                }
                self.last = Some((path.clone(), number));
            }
            return Ok(Some(Record { path, op: self.op, value }));
        }
        Ok(None)
    }
}

impl Iterator for SortedChanges {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pop().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::change::{Change, decode_value};
    use crate::model::entry::Entry;

    #[test]
    fn a_path_that_must_not_be_there_twice_is_found_wherever_its_changes_lie() {
        let change = |path: &str| PathChange {
            path: ObjectPath::new(path).unwrap(),
            change: Change::Delete,
            condition: None,
        };
        for (budget, spills) in [(1, true), (DEFAULT_BUDGET_BYTES, false)] {
            for apart in [1, 7, 40] {
                let mut sorter = ChangeSorter::new(0).with_budget(budget);
                sorter.on_twice(Twice::Refused("line"));
                for number in 0..50u64 {
                    let path = format!("p/{}", if number == apart { 0 } else { number });
                    sorter.push_numbered(number * 2 + 3, change(&path)).unwrap();
                }
                assert_eq!(sorter.spills() > 0, spills);
                let sorted = sorter.finish().and_then(|sorted| sorted.collect::<Result<Vec<_>>>());
                let said = format!("'p/0' is changed twice, by line 3 and line {}:", apart * 2 + 3);
                assert!(sorted.unwrap_err().message().contains(&said), "{said}");
            }
            // One spill that holds both.
            let mut sorter = ChangeSorter::new(0);
            sorter.on_twice(Twice::Refused("change"));
            sorter.push(change("a")).unwrap();
            sorter.push(change("a")).unwrap();
            assert!(sorter.spill().unwrap_err().message().contains("change 1 and change 2"));
        }
    }

    #[test]
    fn changes_come_back_in_order_and_the_last_one_wins() {
        for budget in [1, 1_000, 20_000, DEFAULT_BUDGET_BYTES] {
            let mut model = BTreeMap::new();
            let mut sorter = ChangeSorter::new(3).with_budget(budget);
            let mut state = 7u64;
            for number in 0..900u64 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let path = ObjectPath::new(format!("p/{}", state >> 55)).unwrap();
                let change = if state & 0x700 == 0 {
                    Change::Delete
                } else {
                    Change::Put(Entry::new("mem://x", number, "c"))
                };
                model.insert(path.clone(), change.clone());
                sorter.push(PathChange { path, change, condition: None }).unwrap();
            }
            assert_eq!(sorter.pushed(), 900);
            assert_eq!(sorter.spills() == 0, budget == DEFAULT_BUDGET_BYTES);
            let sorted: Vec<_> = sorter.finish().unwrap().map(Result::unwrap).collect();
            assert!(sorted.iter().all(|record| record.op == 3));
            let sorted: Vec<_> = sorted
                .into_iter()
                .map(|record| (record.path, decode_value(&record.value).unwrap().0))
                .collect();
            assert_eq!(sorted, model.into_iter().collect::<Vec<_>>());
        }
    }
}
