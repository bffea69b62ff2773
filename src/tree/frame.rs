//! A frame: some bytes as they are stored, compressed if that makes them shorter, with a checksum.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | 0: plain, 1: zstd |
//! | n | payload |
//! | 4 | CRC-32C of all before, little endian |
//!
//! The length of the content is kept by whoever keeps the frame, and bounds the decompression.

use std::cell::RefCell;

use bytes::Bytes;

use crate::model::error::{Error, Result};

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// Level 1: hashes in the values do not compress, and higher levels gain a percent for twice the
/// time.
const LEVEL: i32 = 1;

/// Packs frames; holds the compression context, which is costly to make.
pub(crate) struct Packer {
    context: zstd::bulk::Compressor<'static>,
}

impl Packer {
    pub(crate) fn new() -> Result<Self> {
        let context = zstd::bulk::Compressor::new(LEVEL)
            .map_err(|error| Error::internal("zstd cannot start").with_source(error))?;
        Ok(Self { context })
    }

    /// Appends `content` as a frame to `out` and returns the frame's length.
    pub(crate) fn pack(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<usize> {
        let compressed = self
            .context
            .compress(content)
            .map_err(|error| Error::internal("zstd cannot compress").with_source(error))?;
        let start = out.len();
        if compressed.len() < content.len() {
            out.push(ZSTD);
            out.extend_from_slice(&compressed);
        } else {
            out.push(PLAIN);
            out.extend_from_slice(content);
        }
        let crc = crc32c::crc32c(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_le_bytes());
        Ok(out.len() - start)
    }
}

/// Checks a frame and returns its content, which is exactly `len` bytes. The caller has checked
/// `len` against its own limit: nothing larger is ever allocated.
pub(crate) fn unpack(frame: &Bytes, len: usize) -> Result<Bytes> {
    let (covered, stored_crc) =
        frame.split_last_chunk::<4>().ok_or_else(|| Error::corrupt("frame is too short"))?;
    if crc32c::crc32c(covered) != u32::from_le_bytes(*stored_crc) {
        return Err(Error::corrupt("checksum does not match"));
    }
    let (codec, payload) =
        covered.split_first().ok_or_else(|| Error::corrupt("frame is too short"))?;
    let content = match *codec {
        PLAIN => frame.slice(1..covered.len()),
        ZSTD => decompress(payload, len)?.into(),
        other => return Err(Error::corrupt(format!("compression {other} is unknown"))),
    };
    if content.len() != len {
        return Err(Error::corrupt(format!(
            "content is {} bytes long instead of {len}",
            content.len()
        )));
    }
    Ok(content)
}

/// What one block of zstd can become, and what it takes at the least.
const ZSTD_BLOCK: usize = 128 * 1024;
const ZSTD_BLOCK_TAKES: usize = 4;

/// Decompresses `packed`, which becomes at most `len` bytes. Nothing is allocated that so many
/// bytes of input cannot become, whatever is claimed.
pub(crate) fn decompress(packed: &[u8], len: usize) -> Result<Vec<u8>> {
    if len > (packed.len() / ZSTD_BLOCK_TAKES).saturating_mul(ZSTD_BLOCK) {
        return Err(Error::corrupt(format!(
            "{} compressed bytes cannot become {len}",
            packed.len()
        )));
    }
    let content = DECOMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(context) => context.decompress(packed, len),
        None => kept.insert(zstd::bulk::Decompressor::new()?).decompress(packed, len),
    });
    content.map_err(|error| Error::corrupt("cannot decompress").with_source(error))
}

thread_local! {
    /// A context of the thread's own: making one takes longer than decompressing a common block.
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_return_their_content_and_nothing_larger() {
        let mut packer = Packer::new().unwrap();
        let noise: Vec<u8> =
            (0..100u32).flat_map(|n| crc32c::crc32c(&[n as u8]).to_le_bytes()).collect();
        for content in [vec![7u8; 10_000], Vec::new(), noise] {
            let mut out = Vec::new();
            packer.pack(&content, &mut out).unwrap();
            let frame = Bytes::from(out);
            assert_eq!(unpack(&frame, content.len()).unwrap(), content);
            assert!(unpack(&frame, content.len() + 1).is_err());
            if !content.is_empty() {
                assert!(unpack(&frame, content.len() - 1).is_err(), "a bomb");
            }
            for at in 0..frame.len() {
                let mut damaged = frame.to_vec();
                damaged[at] ^= 4;
                assert!(unpack(&Bytes::from(damaged), content.len()).is_err());
            }
        }
    }
}
