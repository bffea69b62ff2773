//! What a branch says about one path: where the object lies and what it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::codec::{Decoder, put_bytes, put_i64, put_u64};
use super::error::{Error, Result};

/// One object as a commit names it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where the bytes are, as a URL. Onward never reads it to decide anything.
    pub address: String,
    /// Checksum or ETag of the bytes, compared as text.
    pub checksum: String,
    /// Length in bytes.
    pub size: u64,
    /// Modification time, in seconds since the Unix epoch.
    #[serde(default)]
    pub mtime: i64,
    /// Media type, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The user's own key-value pairs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Entry {
    /// The longest encoded entry, in bytes.
    pub const MAX_ENCODED_LEN: usize = 6 * 1024;

    /// What it takes in memory, roughly.
    pub(crate) fn memory_bytes(&self) -> usize {
        let pairs = self.metadata.iter().map(|(key, value)| key.len() + value.len() + 96);
        let texts = self.address.len() + self.checksum.len();
        texts + self.content_type.as_ref().map_or(0, String::len) + pairs.sum::<usize>() + 128
    }

    /// An entry of `size` bytes at `address`.
    pub fn new(address: impl Into<String>, size: u64, checksum: impl Into<String>) -> Self {
        Self { address: address.into(), size, checksum: checksum.into(), ..Self::default() }
    }

    /// Whether both name the same content. Like lakeFS, identity is size, checksum, metadata and
    /// content type; address and modification time are not part of it, so linking the same bytes
    /// from elsewhere is no change.
    pub fn same_identity(&self, other: &Self) -> bool {
        self.size == other.size
            && self.checksum == other.checksum
            && self.content_type == other.content_type
            && self.metadata == other.metadata
    }

    /// Appends the canonical encoding: equal entries have equal bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.address.as_bytes());
        put_bytes(out, self.checksum.as_bytes());
        put_u64(out, self.size);
        put_i64(out, self.mtime);
        match &self.content_type {
            None => out.push(0),
            Some(content_type) => {
                out.push(1);
                put_bytes(out, content_type.as_bytes());
            }
        }
        put_u64(out, self.metadata.len() as u64);
        for (key, value) in &self.metadata {
            put_bytes(out, key.as_bytes());
            put_bytes(out, value.as_bytes());
        }
    }

    /// Reads what [`Entry::encode`] wrote.
    #[doc(hidden)]
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self> {
        let address = from.str()?.to_owned();
        let checksum = from.str()?.to_owned();
        let size = from.u64()?;
        let mtime = from.i64()?;
        let content_type = match from.u8()? {
            0 => None,
            1 => Some(from.str()?.to_owned()),
            other => return Err(Error::corrupt(format!("content type mark {other} is unknown"))),
        };
        let pairs = from.length()?;
        let mut metadata = BTreeMap::new();
        for _ in 0..pairs {
            let key = from.str()?.to_owned();
            let value = from.str()?.to_owned();
            metadata.insert(key, value);
        }
        Ok(Self { address, checksum, size, mtime, content_type, metadata })
    }

    /// An upper bound of the length of the encoding, in bytes, close to it.
    pub fn encoded_len(&self) -> usize {
        let pairs: usize = self.metadata.iter().map(|(k, v)| k.len() + v.len() + 4).sum();
        let content_type = self.content_type.as_ref().map_or(0, String::len);
        self.address.len() + self.checksum.len() + content_type + pairs + 32
    }

    /// Fails when the entry is larger than [`Entry::MAX_ENCODED_LEN`], or has metadata without a name.
    pub fn check(&self) -> Result<()> {
        if self.metadata.contains_key("") {
            return Err(Error::invalid(
                "a key of the metadata is empty: give each value a name of one character or more",
            ));
        }
        let len = self.encoded_len();
        if len > Self::MAX_ENCODED_LEN {
            return Err(Error::invalid(format!(
                "entry is about {len} bytes (address, checksum, content type, metadata), the limit is {}: store large metadata as an object",
                Self::MAX_ENCODED_LEN
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_their_encoding() {
        let mut entry = Entry::new("s3://b/x", 123, "etag");
        entry.mtime = -5;
        entry.content_type = Some("text/csv".into());
        entry.metadata.insert("k".into(), "v".into());
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        let mut decoder = Decoder::new(&bytes);
        assert_eq!(Entry::decode(&mut decoder).unwrap(), entry);
        decoder.finish().unwrap();
        for cut in 0..bytes.len() {
            assert!(Entry::decode(&mut Decoder::new(&bytes[..cut])).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn identity_ignores_address_and_time() {
        let a = Entry::new("s3://b/x", 1, "c");
        let mut b = Entry::new("s3://b/y", 1, "c");
        b.mtime = 9;
        assert!(a.same_identity(&b));
        b.size = 2;
        assert!(!a.same_identity(&b));
    }
}
