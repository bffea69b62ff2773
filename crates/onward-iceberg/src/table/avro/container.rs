//! Avro's container files: a header, and blocks of records that are compressed each by itself.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::Unreadable;
use super::encode::{bytes, long, take, take_bytes, take_long};

const MAGIC: &[u8] = b"Obj\x01";
const SYNC_BYTES: usize = 16;
/// Most bytes of a block when it is not compressed any more.
const BLOCK_BYTES_MAX: u64 = 16 << 20;
/// Most bytes of all blocks together when they are not compressed any more.
pub(in crate::table) const PLAIN_BYTES_MAX: usize = 256 << 20;
/// Most records of a file.
const RECORDS_MAX: usize = 1 << 20;
/// Most blocks of a file: more than a list of a million files in blocks of one has nobody.
const BLOCKS_MAX: usize = 1 << 20;

/// The key of the schema in a header.
pub(in crate::table) const SCHEMA: &str = "avro.schema";
/// The key of the codec in a header.
pub(in crate::table) const CODEC: &str = "avro.codec";
/// The codec of what is written here.
pub(in crate::table) const DEFLATE: &str = "deflate";

/// Key-value pairs of a container's head.
pub(in crate::table) type Header = BTreeMap<String, Bytes>;

/// A block of records, compressed, as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::table) struct Block {
    pub records: usize,
    pub packed: Bytes,
}

/// A container file, taken apart.
#[derive(Debug)]
pub(in crate::table) struct Container {
    pub header: Header,
    pub blocks: Vec<Block>,
    /// Most bytes of all blocks together when they are not compressed any more.
    plain_bytes_max: usize,
}

impl Container {
    /// Takes a file apart, without unpacking its blocks.
    pub(in crate::table) fn read(file: &Bytes) -> Result<Self, Unreadable> {
        Self::read_within(file, PLAIN_BYTES_MAX)
    }

    /// Takes a file apart whose blocks have so many bytes at most when they are not compressed any more.
    pub(in crate::table) fn read_within(
        file: &Bytes,
        plain_bytes_max: usize,
    ) -> Result<Self, Unreadable> {
        let mut rest: &[u8] = file;
        if take(&mut rest, MAGIC.len())? != MAGIC {
            return Err(Unreadable::new("no Avro file"));
        }
        let header = header(file, &mut rest)?;
        let sync = take(&mut rest, SYNC_BYTES)?;
        let mut blocks = Vec::new();
        while !rest.is_empty() {
            let records = take_long(&mut rest)?;
            let records =
                usize::try_from(records).map_err(|_| Unreadable::new("a count below 0"))?;
            let packed = file.slice_ref(take_bytes(&mut rest)?);
            if take(&mut rest, SYNC_BYTES)? != sync || blocks.len() >= BLOCKS_MAX {
                return Err(Unreadable::new("a damaged block"));
            }
            blocks.push(Block { records, packed });
        }
        let container = Self { header, blocks, plain_bytes_max };
        match container.text(CODEC) {
            None | Some("null" | DEFLATE) => Ok(container),
            Some(codec) => Err(Unreadable::new(format!("codec '{codec}' is not known here"))),
        }
    }

    /// A value of the header that is text.
    pub(in crate::table) fn text(&self, key: &str) -> Option<&str> {
        self.header.get(key).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Every block with its records, one behind the other. Fails where the file would become too large, or has
    /// records of no bytes, of which there could be any number.
    pub(in crate::table) fn unpacked(
        &self,
    ) -> impl Iterator<Item = Result<(&Block, Bytes), Unreadable>> {
        let (mut records, mut bytes) = (0usize, 0usize);
        self.blocks.iter().map(move |block| {
            records = records.saturating_add(block.records);
            if records > RECORDS_MAX {
                return Err(Unreadable::new(format!("more than {RECORDS_MAX} records")));
            }
            let plain = self.unpack(block)?;
            bytes = bytes.saturating_add(plain.len());
            if bytes > self.plain_bytes_max || block.records > plain.len() {
                return Err(Unreadable::new("a block of too many bytes, or of too few"));
            }
            Ok((block, plain))
        })
    }

    fn unpack(&self, block: &Block) -> Result<Bytes, Unreadable> {
        let bytes_max = BLOCK_BYTES_MAX.min(self.plain_bytes_max as u64);
        if self.text(CODEC) != Some(DEFLATE) {
            return match block.packed.len() as u64 {
                many if many > bytes_max => Err(Unreadable::new("a block of too many bytes")),
                _ => Ok(block.packed.clone()),
            };
        }
        let mut plain = Vec::new();
        let mut limited = DeflateDecoder::new(block.packed.as_ref()).take(bytes_max + 1);
        let read = limited.read_to_end(&mut plain);
        match read {
            Ok(many) if many as u64 <= bytes_max => Ok(plain.into()),
            _ => Err(Unreadable::new("a block that does not unpack")),
        }
    }
}

/// A container's key-value pairs: an Avro map, whose blocks say their size where their count is below 0.
fn header(file: &Bytes, rest: &mut &[u8]) -> Result<Header, Unreadable> {
    let mut header = Header::new();
    loop {
        let count = take_long(rest)?;
        if count == 0 {
            return Ok(header);
        }
        if count < 0 {
            take_long(rest)?;
        }
        for _ in 0..count.unsigned_abs() {
            let key = String::from_utf8_lossy(take_bytes(rest)?).into_owned();
            header.insert(key, file.slice_ref(take_bytes(rest)?));
        }
    }
}

/// Compresses records that stand one behind the other.
pub(in crate::table) fn pack(records: usize, plain: &[u8]) -> Result<Block, Unreadable> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let packed = encoder.write_all(plain).and_then(|()| encoder.finish());
    let packed = packed.map_err(|error| Unreadable::new(error.to_string()))?;
    Ok(Block { records, packed: packed.into() })
}

/// A file of blocks that [`pack`] has made. `sync` marks their ends.
pub(in crate::table) fn write<'a>(
    header: &Header,
    blocks: impl Iterator<Item = &'a Block>,
    sync: [u8; SYNC_BYTES],
) -> Bytes {
    let mut out = MAGIC.to_vec();
    long(&mut out, i64::try_from(header.len()).unwrap_or(i64::MAX));
    for (key, value) in header {
        bytes(&mut out, key.as_bytes());
        bytes(&mut out, value);
    }
    long(&mut out, 0);
    out.extend(sync);
    for block in blocks {
        long(&mut out, i64::try_from(block.records).unwrap_or(i64::MAX));
        bytes(&mut out, &block.packed);
        out.extend(sync);
    }
    out.into()
}
