//! Compression of text and raw files: one stream for each file, in little memory, because a process has as
//! many files in the making as it has partitions.

use std::io::{self, Write};
use std::str::FromStr;

use flate2::Compression;
use flate2::write::GzEncoder;
use onward::{Error, Result};
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder;

use super::spool::{Spool, unwritable};
use crate::file::Content;

/// How the bytes of a file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// Not at all.
    None,
    /// gzip (RFC 1952), one member.
    Gzip,
    /// zstd (RFC 8878), one frame with a checksum.
    #[default]
    Zstd,
}

/// zstd's level: as fast as the lines come, at about a quarter of their size.
const ZSTD_LEVEL: i32 = 1;

/// How far back zstd looks, as a power of two: what it holds in memory follows from it.
const ZSTD_WINDOW_LOG: u32 = 18;

/// What zstd holds at most with this window, in bytes; measured by a test.
const ZSTD_MEMORY: u64 = 1536 * 1024;

/// What gzip holds, in bytes: a window of 32 KiB, chains, and what waits to be coded.
const GZIP_MEMORY: u64 = 384 * 1024;

impl Packing {
    /// What stands behind the ending of a packed file: `.gz`, `.zst`, nothing.
    pub fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// The media type of packed bytes, where it is another than that of what is in them.
    pub(crate) fn content_type(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("application/gzip"),
            Self::Zstd => Some("application/zstd"),
        }
    }
}

impl FromStr for Packing {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Error::invalid(format!(
                "'{text}' is no compression of text: it is none, gzip or zstd"
            ))),
        }
    }
}

/// A file of bytes that are packed as they come.
pub(crate) enum Packed {
    Plain(Spool),
    Gzip(GzEncoder<Spool>),
    Zstd(Encoder<'static, Spool>),
}

impl Packed {
    pub(crate) fn begin(packing: Packing) -> Result<Self> {
        Ok(match packing {
            Packing::None => Self::Plain(Spool::default()),
            Packing::Gzip => Self::Gzip(GzEncoder::new(Spool::default(), Compression::fast())),
            Packing::Zstd => Self::Zstd(zstd_stream().map_err(unwritable)?),
        })
    }

    /// Bytes of the file so far, without what the encoder holds back.
    pub(crate) fn len(&self) -> u64 {
        self.spool().len()
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> u64 {
        let encoder = match self {
            Self::Plain(_) => 0,
            Self::Gzip(_) => GZIP_MEMORY,
            Self::Zstd(_) => ZSTD_MEMORY,
        };
        encoder + self.spool().memory()
    }

    fn spool(&self) -> &Spool {
        match self {
            Self::Plain(spool) => spool,
            Self::Gzip(encoder) => encoder.get_ref(),
            Self::Zstd(encoder) => encoder.get_ref(),
        }
    }

    /// Adds all of these bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let added = match self {
            Self::Plain(spool) => spool.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        };
        added.map_err(unwritable)
    }

    pub(crate) fn finish(self) -> Result<Content> {
        let spool = match self {
            Self::Plain(spool) => Ok(spool),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        };
        spool.map_err(unwritable)?.finish()
    }
}

fn zstd_stream() -> io::Result<Encoder<'static, Spool>> {
    let mut encoder = Encoder::new(Spool::default(), ZSTD_LEVEL)?;
    encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG))?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use zstd::zstd_safe::CCtx;

    use super::*;

    #[test]
    fn a_stream_holds_no_more_memory_than_is_said() {
        let mut context = CCtx::create();
        context.set_parameter(CParameter::CompressionLevel(ZSTD_LEVEL)).unwrap();
        context.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG)).unwrap();
        let mut encoder = Encoder::with_context(Spool::default(), &mut context);
        for number in 0..200_000_u64 {
            encoder.write_all(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).unwrap();
        }
        assert!(encoder.get_ref().len() > 1 << 20);
        drop(encoder);
        assert!(context.sizeof() as u64 <= ZSTD_MEMORY, "{}", context.sizeof());
        assert!(context.sizeof() as u64 > ZSTD_MEMORY / 4, "{}", context.sizeof());
    }

    #[test]
    fn an_unknown_compression_is_refused_with_those_known() {
        let error = "lz4".parse::<Packing>().unwrap_err();
        assert!(error.message().contains("none, gzip or zstd"), "{error}");
    }
}
