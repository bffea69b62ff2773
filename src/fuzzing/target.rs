//! A target: one decoder as a function of any bytes, and what every target asks of errors.

use std::path::Path;
use std::{fs, io};

use crate::model::error::{Error, ErrorKind, Result};

/// One decoder, or a few of the same bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// Which files of `tests/fixtures` are good bytes for it: all whose names begin so.
    pub fixtures: &'static str,
    /// Makes good bytes out of one of these files.
    pub unwrap: fn(&[u8]) -> Vec<u8>,
    /// Other good bytes.
    pub samples: &'static [&'static [u8]],
    /// Decodes, and panics where a rule is broken.
    pub run: fn(&[u8]),
}

impl Target {
    /// Good bytes: what the folder of fixtures has for this target, and its samples.
    pub fn seeds(&self, fixtures: &Path) -> io::Result<Vec<Vec<u8>>> {
        let mut seeds: Vec<Vec<u8>> = self.samples.iter().map(|bytes| bytes.to_vec()).collect();
        if self.fixtures.is_empty() {
            return Ok(seeds);
        }
        let files = fs::read_dir(fixtures)?.collect::<io::Result<Vec<_>>>()?;
        let mut paths: Vec<_> = files.into_iter().map(|file| file.path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(self.fixtures) && name.ends_with(".bin") {
                seeds.push((self.unwrap)(&fs::read(path)?));
            }
        }
        Ok(seeds)
    }
}

pub(super) const fn target(name: &'static str, fixtures: &'static str, run: fn(&[u8])) -> Target {
    Target { name, fixtures, unwrap: <[u8]>::to_vec, samples: &[], run }
}

/// The longest message of an error: whoever sends megabytes is not sent them back.
pub(super) const MESSAGE_MAX: usize = 8 * 1024;

/// Checks an error of a decoder, and returns what was decoded.
#[track_caller]
pub(super) fn read<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let kind = error.kind();
            let blamed = matches!(
                kind,
                ErrorKind::Corrupt | ErrorKind::NewerVersion | ErrorKind::InvalidInput
            );
            assert!(blamed, "not an error of the bytes: {error:?}");
            clear(&error);
            None
        }
    }
}

/// An error is short, says something, and tells a newer version as such.
#[track_caller]
pub(super) fn clear(error: &Error) {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() <= MESSAGE_MAX, "{} bytes of message", text.len());
    let says_newer = text.contains("use a newer program");
    assert!(error.kind() != ErrorKind::NewerVersion || says_newer, "{text}");
}

/// The bytes with the CRC-32C of all before at their end.
pub(super) fn with_crc(bytes: &[u8]) -> Option<Vec<u8>> {
    let (covered, _) = bytes.split_last_chunk::<4>()?;
    Some([covered, &crc32c::crc32c(covered).to_le_bytes()].concat())
}
