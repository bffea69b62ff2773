//! The bytes of a log entry: magic, version, length, compressed body, checksum.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::codec::unpack;
use crate::model::error::{Error, Result, short};
use crate::model::ids::Ticket;
use crate::tree::ALL;
use crate::tree::frame::decompress;

use super::entry::LogEntry;
use super::levels::SpanLevel;

const MAGIC: &[u8; 4] = b"ONWL";
/// The newest version that this program reads.
const VERSION: u8 = 2;

/// How hard entries are compressed: what a batch waits for should be quick.
const LEVEL: i32 = 1;

/// The largest log entry before compression. A batch is cut so that it stays far below.
pub const ENTRY_MAX: usize = 64 * 1024 * 1024;

/// A log entry with its bytes: all that is left is to put it into its place.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// One decided batch, as it is read.
    pub entry: Arc<LogEntry>,
    /// The bytes of its object, as they are stored.
    pub bytes: Bytes,
}

impl Encoded {
    /// What is stored for `entry`. Fails where that is over [`ENTRY_MAX`].
    pub fn of(entry: LogEntry) -> Result<Self> {
        let bytes = entry.encode()?;
        Ok(Self { entry: Arc::new(entry), bytes })
    }
}

impl LogEntry {
    /// The first version that has all that the entry says: an older program goes on with a branch
    /// for as long as nothing on it is beyond it. Version 2 has resets, and levels that its ops have
    /// written and see whole, which a program that knows only version 1 would miss.
    fn version(&self) -> u8 {
        let resets = self.ops.iter().any(|op| op.reset.is_some());
        let large = |span: &SpanLevel| span.written && span.whole;
        if resets || self.levels.iter().any(large) { 2 } else { 1 }
    }

    /// The bytes of the object: magic, version, length, compressed body, checksum.
    pub fn encode(&self) -> Result<Bytes> {
        let body = rmp_serde::to_vec_named(self)
            .map_err(|error| Error::internal("a log entry cannot be encoded").with_source(error))?;
        if body.len() > ENTRY_MAX {
            return Err(Error::internal(format!(
                "a log entry of {} bytes is over the limit of {ENTRY_MAX}",
                body.len()
            )));
        }
        let packed = compress(&body).map_err(|error| {
            Error::internal("a log entry cannot be compressed").with_source(error)
        })?;
        let mut bytes = Vec::with_capacity(packed.len() + 13);
        bytes.extend_from_slice(MAGIC);
        bytes.push(self.version());
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&packed);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        Ok(bytes.into())
    }

    /// Reads the bytes of object `key`.
    pub fn decode(key: &str, bytes: &[u8]) -> Result<Self> {
        let damaged = |why: &str| {
            let why = short(why);
            Error::corrupt(format!(
                "log entry '{key}' is damaged ({why}): restore the object from a copy; nothing else is harmed"
            ))
        };
        let (bytes, checksum) =
            bytes.split_last_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
        if crc32c::crc32c(bytes) != u32::from_le_bytes(*checksum) {
            return Err(damaged("its checksum is wrong"));
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it is not a log entry"))?;
        let [version, a, b, c, d, packed @ ..] = rest else {
            return Err(damaged("it is too short"));
        };
        match *version {
            0 => return Err(damaged("it has no version")),
            1..=VERSION => {}
            newer => {
                let what = format_args!("log entry '{key}'");
                return Err(Error::newer(what, newer.into(), VERSION.into()));
            }
        }
        let len = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        if len > ENTRY_MAX {
            return Err(damaged("it claims to be over the size limit"));
        }
        let body = decompress(packed, len).map_err(|error| damaged(&error.to_string()))?;
        let entry: Self = unpack(&body).map_err(|error| damaged(&error.to_string()))?;
        let places = Ticket(1)..=Ticket::MAX;
        if entry.ops.is_empty()
            || entry.ops.len() > usize::from(ALL)
            || !places.contains(&entry.first)
        {
            return Err(damaged("it breaks a rule of the log"));
        }
        Ok(entry)
    }
}

/// Compresses with a context of the thread's own: making one takes longer than a common entry.
fn compress(body: &[u8]) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> =
            const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(compressor) => compressor.compress(body),
        None => kept.insert(zstd::bulk::Compressor::new(LEVEL)?).compress(body),
    })
}
