//! Records in a temporary file, divided as marked names are, so that memory follows one part and not all of them.

use std::fs::File;
use std::os::unix::fs::FileExt;

use onward::internals::repo::gc::{PARTS, part_of};
use onward::{Error, Result};

/// Bytes of a part held in memory before they are spilled.
const CHUNK_BYTES: usize = 16 << 10;

/// Records by parts. Memory: 4 MiB, and 12 bytes for each 16 KiB of the file.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    parts: Vec<Part>,
    /// Bytes in the file.
    end: u64,
}

#[derive(Debug, Default)]
struct Part {
    buffer: Vec<u8>,
    /// Where its pieces lie, and how long they are.
    spilled: Vec<(u64, u32)>,
}

impl Spool {
    pub(super) fn new() -> Result<Self> {
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        Ok(Self { file: tempfile::tempfile().map_err(failed)?, parts, end: 0 })
    }

    /// Adds a record of fields to the part that `id` is of.
    pub(super) fn add(&mut self, id: u128, fields: &[&[u8]]) -> Result<()> {
        let Some(part) = self.parts.get_mut(part_of(id)) else { return Ok(()) };
        for field in fields {
            let len = u32::try_from(field.len()).unwrap_or(u32::MAX);
            part.buffer.extend(len.to_le_bytes());
            part.buffer.extend_from_slice(field);
        }
        if part.buffer.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.file.write_all_at(&part.buffer, self.end).map_err(failed)?;
        let len = u32::try_from(part.buffer.len()).unwrap_or(u32::MAX);
        part.spilled.push((self.end, len));
        self.end += u64::from(len);
        part.buffer.clear();
        Ok(())
    }

    /// All records of a part, of so many fields each.
    pub(super) fn part<const N: usize>(&self, number: usize) -> Result<Vec<[Vec<u8>; N]>> {
        let Some(part) = self.parts.get(number) else { return Ok(Vec::new()) };
        let mut records = Vec::new();
        for (at, len) in &part.spilled {
            let mut bytes = vec![0; usize::try_from(*len).unwrap_or(0)];
            self.file.read_exact_at(&mut bytes, *at).map_err(failed)?;
            read(&bytes, &mut records);
        }
        read(&part.buffer, &mut records);
        Ok(records)
    }
}

fn read<const N: usize>(mut bytes: &[u8], records: &mut Vec<[Vec<u8>; N]>) {
    while !bytes.is_empty() {
        let mut fields = std::array::from_fn(|_| Vec::new());
        for field in &mut fields {
            let Some((len, rest)) = bytes.split_first_chunk::<4>() else { return };
            let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
            let Some((value, rest)) = rest.split_at_checked(len) else { return };
            *field = value.to_vec();
            bytes = rest;
        }
        records.push(fields);
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::unavailable(
        "a temporary file for names of files of tables cannot be used: make room in TMPDIR (some 200 bytes for each file) and run it again",
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_in_its_part_as_it_was_added() {
        let mut spool = Spool::new().unwrap();
        let id = |n: u128| n << 120 | n;
        for n in 0..50_000u128 {
            spool
                .add(id(n % 5), &[&n.to_le_bytes(), b"", "x".repeat(n as usize % 7).as_bytes()])
                .unwrap();
        }
        assert!(spool.end > 0);
        let mut found = 0;
        for number in 0..PARTS {
            for [n, empty, text] in spool.part::<3>(number).unwrap() {
                let n = u128::from_le_bytes(n.try_into().unwrap());
                assert_eq!((number as u128, empty.len(), text.len() as u128), (n % 5, 0, n % 7));
                found += 1;
            }
        }
        assert_eq!(found, 50_000);
    }
}
