//! The bytes of a file in the making: the first in memory, and from a limit on in a temporary file
//! without a name, which goes with the process.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use bytes::Bytes;
use onward::{Error, Result};

use crate::file::Content;

/// Bytes that a file in the making holds in memory.
pub(crate) const MEMORY_MAX: usize = 256 * 1024;

/// Where the bytes of a file are gathered.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    len: u64,
}

impl Spool {
    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of them in memory.
    pub(crate) fn memory(&self) -> u64 {
        self.memory.capacity() as u64
    }

    /// Everything that was written, as the content of a file.
    pub(crate) fn finish(mut self) -> Result<Content> {
        if self.file.is_none() {
            return Ok(Content::Memory(Bytes::from(self.memory)));
        }
        let ended = self.put_down().and_then(|()| {
            let mut file = self.file.take().ok_or(io::ErrorKind::NotFound)?;
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        });
        ended.map(Content::File).map_err(unwritable)
    }

    /// Moves what is in memory behind what is in the file.
    fn put_down(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile()?),
        };
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.memory.len() + bytes.len() > MEMORY_MAX {
            self.put_down()?;
        }
        // What is larger than the memory does not go through it.
        match &mut self.file {
            Some(file) if bytes.len() > MEMORY_MAX => file.write_all(bytes)?,
            _ => self.memory.extend_from_slice(bytes),
        }
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is told where the bytes of a file cannot be written.
pub(crate) fn unwritable(error: io::Error) -> Error {
    Error::unavailable(format!(
        "a file in the making cannot be written to '{}': make room there, or name another folder by TMPDIR",
        std::env::temp_dir().display()
    ))
    .with_source(error)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Read;

    use super::*;

    /// All bytes of a file that is finished.
    pub(crate) fn bytes_of(content: Content) -> Vec<u8> {
        match content {
            Content::Memory(bytes) => bytes.to_vec(),
            Content::File(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).unwrap();
                bytes
            }
        }
    }

    #[test]
    fn what_is_larger_than_its_memory_lies_in_a_file_in_the_order_it_came() {
        for piece_len in [1_000, MEMORY_MAX - 1, MEMORY_MAX, 3 * MEMORY_MAX] {
            let (mut spool, mut expected) = (Spool::default(), Vec::new());
            for number in 0..7_u8 {
                let piece = vec![number; piece_len];
                spool.write_all(&piece).unwrap();
                expected.extend_from_slice(&piece);
                assert!(spool.memory() <= 2 * MEMORY_MAX as u64, "{}", spool.memory());
            }
            assert_eq!(spool.len(), expected.len() as u64);
            let content = spool.finish().unwrap();
            let is_small = expected.len() <= MEMORY_MAX;
            assert_eq!(matches!(content, Content::Memory(_)), is_small);
            assert_eq!(bytes_of(content), expected);
        }
    }
}
