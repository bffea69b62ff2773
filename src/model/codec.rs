//! The canonical byte encoding under entries, blocks and content hashes: LEB128 integers and
//! length-prefixed strings, so that equal values always have equal bytes.
//!
//! Decoding never trusts a length: every read is checked against what is left. What is stored in
//! MessagePack is read here as well, within a limit of nesting.

use std::fmt::Display;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::{Error, Result};

/// Levels that a MessagePack record may be nested, at most: several times what any has, and few
/// enough for the smallest stack.
pub const DEPTH_MAX: usize = 64;

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

    /// Reads one byte.
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

    /// Reads bytes with their length in front.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.length()?;
        self.take(len)
    }

    /// Reads UTF-8 text with its length in front.
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
pub fn check_version(what: impl Display, version: u8, known: u8) -> Result<()> {
    match version {
        0 => Err(Error::corrupt(format!("{what} has no version"))),
        version if version > known => Err(Error::newer(what, version.into(), known.into())),
        _ => Ok(()),
    }
}

/// A MessagePack record behind its byte of version.
pub fn pack_versioned<T: Serialize>(what: &str, version: u8, record: &T) -> Result<Bytes> {
    let mut bytes = vec![version];
    rmp_serde::encode::write_named(&mut bytes, record)
        .map_err(|error| Error::internal(format!("{what} cannot be encoded")).with_source(error))?;
    Ok(bytes.into())
}

/// Reads a MessagePack record that others have written. Fails on what is nested more than
/// [`DEPTH_MAX`] levels deep.
pub fn unpack<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(DEPTH_MAX);
    T::deserialize(&mut deserializer)
}

/// Reads a record behind its byte of version, of which this program reads up to `known`.
pub fn unpack_versioned<'a, T>(what: impl Display, bytes: &'a [u8], known: u8) -> Result<T>
where
    T: Deserialize<'a>,
{
    let Some((version, body)) = bytes.split_first() else {
        return Err(Error::corrupt(format!("{what} is empty")));
    };
    check_version(&what, *version, known)?;
    unpack(body).map_err(|error| Error::corrupt(format!("{what} is damaged")).with_source(error))
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
    fn records_are_read_up_to_their_limit_of_nesting() {
        let nested = |levels: usize| [vec![0x91; levels], vec![0]].concat();
        #[derive(Debug, Deserialize)]
        #[serde(untagged)]
        enum Nest {
            End(#[expect(dead_code, reason = "only its shape counts")] u8),
            Level(#[expect(dead_code, reason = "only its shape counts")] Vec<Nest>),
        }
        unpack::<Nest>(&nested(DEPTH_MAX - 1)).unwrap();
        unpack::<Nest>(&nested(DEPTH_MAX + 1)).unwrap_err();
        unpack_versioned::<u8>("it", &[1, 7], 1).unwrap();
        for (bytes, said) in [(&[][..], "empty"), (&[0, 7], "no version"), (&[2, 7], "newer")] {
            let error = unpack_versioned::<u8>("it", bytes, 1).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
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
