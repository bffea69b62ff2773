//! What S3 keeps with an object besides its bytes: the user's own pairs, and headers that are given back.
//!
//! An entry has one map of texts. The user's pairs are in it by their names, as with the other APIs; what is
//! of S3's own has a prefix with colons, which no name of a header can have.

use std::collections::BTreeMap;

use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, EXPIRES,
};
use http::{HeaderMap, HeaderName};
use s3s::dto::{Metadata, Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};

use super::error::told;
use crate::headers::{list, text};
use onward::Entry;

/// What stands before the keys of what is S3's own.
const OWN: &str = "::s3::";

/// Bytes of the user's own pairs, names and values, at most: as in S3.
const METADATA_LEN_MAX: usize = 2048;

/// Headers that are kept and given back as they were.
const KEPT: [HeaderName; 4] = [CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LANGUAGE, EXPIRES];

/// How a body was cut up for its signature, which is no property of the object.
const AWS_CHUNKED: &str = "aws-chunked";

/// What a request gives an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    content_type: Option<String>,
    pairs: BTreeMap<String, String>,
}

impl Attributes {
    /// Of headers, and of the user's pairs as they were read from them.
    pub fn of(headers: &HeaderMap, metadata: Option<Metadata>) -> S3Result<Self> {
        let metadata = metadata.unwrap_or_default();
        let len: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        if len > METADATA_LEN_MAX {
            return Err(s3_error!(
                MetadataTooLarge,
                "{len} bytes of metadata are over the limit of {METADATA_LEN_MAX}"
            ));
        }
        let mut pairs: BTreeMap<String, String> = metadata.into_iter().collect();
        for name in KEPT {
            if let Some(value) = text(headers, &name).map_err(told)? {
                pairs.insert(format!("{OWN}{name}"), value.to_owned());
            }
        }
        let codings = list(headers, &CONTENT_ENCODING).map_err(told)?.unwrap_or_default();
        let codings: Vec<&str> = codings
            .split(',')
            .map(str::trim)
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(AWS_CHUNKED))
            .collect();
        if !codings.is_empty() {
            pairs.insert(format!("{OWN}{CONTENT_ENCODING}"), codings.join(", "));
        }
        let content_type = text(headers, &CONTENT_TYPE).map_err(told)?.map(str::to_owned);
        Ok(Self { content_type, pairs })
    }

    /// Adds what is S3's own.
    pub fn own(&mut self, name: &str, value: String) {
        self.pairs.insert(format!("{OWN}{name}"), value);
    }

    /// The checksums of an entry are those of its bytes, whatever else is said of it.
    pub fn with_sums_of(mut self, entry: &Entry) -> Self {
        let sum = format!("{OWN}checksum-");
        let sums = entry.metadata.iter().filter(|(key, _)| key.starts_with(&sum));
        self.pairs.extend(sums.map(|(key, value)| (key.clone(), value.clone())));
        self
    }

    /// Content type and pairs, to be kept for a while.
    pub fn into_parts(self) -> (Option<String>, BTreeMap<String, String>) {
        (self.content_type, self.pairs)
    }

    /// The same again.
    pub fn from_parts(content_type: Option<String>, pairs: BTreeMap<String, String>) -> Self {
        Self { content_type, pairs }
    }

    /// An entry with these attributes and no others.
    pub fn put_on(self, entry: Entry) -> Entry {
        Entry { content_type: self.content_type, metadata: self.pairs, ..entry }
    }
}

/// What is S3's own of an entry.
pub fn own<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
    entry.metadata.get(&format!("{OWN}{name}")).map(String::as_str)
}

/// A header that was kept.
pub fn kept(entry: &Entry, name: &HeaderName) -> Option<String> {
    own(entry, name.as_str()).map(str::to_owned)
}

/// When an object expires, if a client has said so.
pub fn expires(entry: &Entry) -> Option<Timestamp> {
    Timestamp::parse(TimestampFormat::HttpDate, own(entry, EXPIRES.as_str())?).ok()
}

/// The user's own pairs, as far as headers can have their names.
pub fn metadata(entry: &Entry) -> Option<Metadata> {
    let is_name = |name: &str| HeaderName::from_bytes(name.as_bytes()).is_ok();
    let pairs = entry.metadata.iter().filter(|(key, _)| is_name(key));
    let metadata: Metadata = pairs.map(|(key, value)| (key.clone(), value.clone())).collect();
    (!metadata.is_empty()).then_some(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_comes_back_and_is_told_from_what_is_ours() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "text/csv".parse().unwrap());
        headers.insert(CACHE_CONTROL, "max-age=60".parse().unwrap());
        headers.insert(CONTENT_ENCODING, "aws-chunked, gzip".parse().unwrap());
        headers.insert(EXPIRES, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        let given = Metadata::from_iter([("owner".to_owned(), "jürgen".to_owned())]);
        let mut attributes = Attributes::of(&headers, Some(given.clone())).unwrap();
        attributes.own("checksum-crc32", "AAAAAA==".to_owned());
        let mut entry = attributes.put_on(Entry::new("memory://x", 1, "c"));
        entry.metadata.insert("::lakefs::mtime".to_owned(), "1".to_owned());
        assert_eq!(metadata(&entry), Some(given));
        assert_eq!(entry.content_type.as_deref(), Some("text/csv"));
        assert_eq!(kept(&entry, &CACHE_CONTROL).as_deref(), Some("max-age=60"));
        assert_eq!(kept(&entry, &CONTENT_ENCODING).as_deref(), Some("gzip"));
        assert_eq!(own(&entry, "checksum-crc32"), Some("AAAAAA=="));
        assert!(expires(&entry).is_some());
        assert_eq!(kept(&entry, &CONTENT_LANGUAGE), None);
    }

    #[test]
    fn metadata_has_the_limit_of_s3() {
        let of = |len: usize| {
            let pair = ("key".to_owned(), "x".repeat(len - 3));
            Attributes::of(&HeaderMap::new(), Some(Metadata::from_iter([pair])))
        };
        assert!(of(METADATA_LEN_MAX).is_ok());
        assert!(of(METADATA_LEN_MAX + 1).is_err());
    }
}
