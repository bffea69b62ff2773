//! The names of objects that something names: spilled to a temporary file, in parts by
//! their first byte, so that memory follows one part and not the number of objects.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::model::error::{Error, Result};

/// Parts that names are divided into.
pub const PARTS: usize = 256;

/// Names of a part held in memory before they are spilled: 16 KiB.
const CHUNK: usize = 1024;

/// Names read back before what is there twice is thrown out.
const SORT_AT: usize = 1 << 20;

/// A set of object ids that can be added to, and read part by part. Memory: 4 MiB, and 12 bytes for
/// each 16 KiB of the file.
#[derive(Debug)]
pub struct Names {
    parts: Vec<Bucket>,
    file: File,
    /// Chunks in the file.
    chunks: u64,
}

/// Names that begin alike, which are read back together.
#[derive(Debug, Default)]
struct Bucket {
    buffer: Vec<u128>,
    /// Numbers of its chunks in the file, and names in each.
    spilled: Vec<(u64, u16)>,
}

impl Names {
    /// An empty set.
    pub fn new() -> Result<Self> {
        let file = tempfile::tempfile().map_err(failed)?;
        let parts = (0..PARTS).map(|_| Bucket::default()).collect();
        Ok(Self { parts, file, chunks: 0 })
    }

    /// Adds a name.
    pub fn add(&mut self, id: u128) -> Result<()> {
        let Some(part) = self.parts.get_mut(part_of(id)) else { return Ok(()) };
        part.buffer.push(id);
        if part.buffer.len() < CHUNK {
            return Ok(());
        }
        part.buffer.sort_unstable();
        part.buffer.dedup();
        // What is named over and over, as by versions of one range, stays small.
        if part.buffer.len() < CHUNK / 2 {
            return Ok(());
        }
        let bytes: Vec<u8> = part.buffer.iter().flat_map(|id| id.to_be_bytes()).collect();
        self.file.write_all_at(&bytes, self.chunks * CHUNK_BYTES).map_err(failed)?;
        part.spilled.push((self.chunks, u16::try_from(part.buffer.len()).unwrap_or(0)));
        part.buffer.clear();
        self.chunks += 1;
        Ok(())
    }

    /// All names of a part, in order, each once.
    pub fn part(&self, number: usize) -> Result<Vec<u128>> {
        let Some(part) = self.parts.get(number) else { return Ok(Vec::new()) };
        let mut names = part.buffer.clone();
        let mut sort_at = SORT_AT;
        for (chunk, count) in &part.spilled {
            let mut bytes = vec![0; usize::from(*count) * 16];
            self.file.read_exact_at(&mut bytes, chunk * CHUNK_BYTES).map_err(failed)?;
            let (ids, _) = bytes.as_chunks::<16>();
            names.extend(ids.iter().map(|id| u128::from_be_bytes(*id)));
            if names.len() >= sort_at {
                names.sort_unstable();
                names.dedup();
                sort_at = names.len() + SORT_AT;
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

const CHUNK_BYTES: u64 = CHUNK as u64 * 16;

/// The part of a name: its first byte, like the folder that the object is in.
pub fn part_of(id: u128) -> usize {
    usize::from(id.to_be_bytes()[0])
}

fn failed(error: std::io::Error) -> Error {
    Error::unavailable(
        "a temporary file for names of objects cannot be used: make room in TMPDIR (16 bytes for each name) and run it again",
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_in_its_part_once() {
        let mut names = Names::new().unwrap();
        let mut expected = BTreeSet::new();
        let mut id: u128 = 1;
        for n in 0..200_000u128 {
            id = id.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(n);
            // Some parts get much, most little, and much comes twice.
            let id = if n % 3 == 0 { id >> 10 } else { id };
            names.add(id).unwrap();
            names.add(id).unwrap();
            expected.insert(id);
        }
        assert!(names.chunks > 0);
        let mut found = Vec::new();
        for number in 0..PARTS {
            let part = names.part(number).unwrap();
            assert!(part.iter().all(|id| part_of(*id) == number));
            found.extend(part);
        }
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
}
