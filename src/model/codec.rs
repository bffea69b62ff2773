//! The canonical byte encoding under entries, blocks and content hashes: LEB128 integers and
//! length-prefixed strings, so that equal values always have equal bytes.
//!
//! Decoding never trusts a length: every read is checked against what is left.

use super::error::{Error, Result};

/// Appends `value` in LEB128: seven bits a byte, least significant first.
pub fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer, zigzag then LEB128.
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends the length of `bytes`, then `bytes`.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A cursor over encoded bytes. Every method fails with [`crate::ErrorKind::Corrupt`] when the
/// bytes end too early or break a rule.
#[derive(Debug, Clone, Copy)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A LEB128 integer of at most 64 bits, in its shortest form.
    pub fn u64(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(Error::corrupt("integer is not in its shortest form"));
                }
                return Ok(value);
            }
        }
        Err(Error::corrupt("integer is longer than 64 bits"))
    }

    /// A length or count that must fit in memory arithmetic.
    pub fn length(&mut self) -> Result<usize> {
        usize::try_from(self.u64()?).map_err(|_| Error::corrupt("length does not fit this machine"))
    }

    /// A zigzag LEB128 integer.
    pub fn i64(&mut self) -> Result<i64> {
        let raw = self.u64()?;
        Ok(((raw >> 1) as i64) ^ -((raw & 1) as i64))
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(too_short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Length-prefixed bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.length()?;
        self.take(len)
    }

    /// Length-prefixed UTF-8.
    pub fn str(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Error::corrupt("text is not UTF-8"))
    }

    /// Fails unless everything has been read.
    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::corrupt(format!("{} bytes too many at the end", self.rest.len())))
        }
    }
}

/// Checks the version byte of a stored record against the newest one, `known`, that this program
/// reads. Versions begin with 1.
pub fn check_version(what: &str, version: u8, known: u8) -> Result<()> {
    match version {
        0 => Err(Error::corrupt(format!("{what} has no version"))),
        version if version > known => Err(Error::newer(what, version.into(), known.into())),
        _ => Ok(()),
    }
}

fn too_short() -> Error {
    Error::corrupt("bytes end too early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_round_trip_at_their_edges() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_u64(&mut out, value);
            assert_eq!(Decoder::new(&out).u64().unwrap(), value);
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            let mut out = Vec::new();
            put_i64(&mut out, value);
            assert_eq!(Decoder::new(&out).i64().unwrap(), value);
        }
    }

    #[test]
    fn a_lying_length_is_refused() {
        let mut out = Vec::new();
        put_u64(&mut out, u64::MAX);
        assert!(Decoder::new(&out).bytes().is_err());
        assert!(Decoder::new(&[0x80, 0x00]).u64().is_err(), "not the shortest form");
        assert!(Decoder::new(&[0xff; 11]).u64().is_err(), "longer than 64 bits");
    }
}
