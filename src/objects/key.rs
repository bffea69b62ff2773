//! What a key may look like, checked before any call, so that no key can leave the root and every
//! key works on every backend.

use super::backend::Path;
use crate::model::error::{Error, Result};

/// The longest key, in bytes (the limit of S3, less some room for the prefix of the deployment).
pub const KEY_LEN_MAX: usize = 900;

/// The longest last segment of a key: local file systems take 255 bytes, and a file being written
/// carries a short suffix.
pub const LAST_SEGMENT_LEN_MAX: usize = 240;

/// The longest other segment of a key.
pub const SEGMENT_LEN_MAX: usize = 255;

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'%' | b'+' | b'=')
}

pub(crate) fn check(key: &str) -> std::result::Result<(), &'static str> {
    if key.is_empty() {
        return Err("it is empty");
    }
    if key.len() > KEY_LEN_MAX {
        return Err("it is longer than 900 bytes");
    }
    for segment in key.split('/') {
        match segment {
            "" => return Err("it has an empty segment"),
            "." | ".." => return Err("'.' and '..' are not segments of a key"),
            _ if segment.len() > SEGMENT_LEN_MAX => {
                return Err("a segment is longer than 255 bytes");
            }
            _ if !segment.bytes().all(allowed) => {
                return Err("a segment takes letters, digits and '-_.%+='");
            }
            _ => {}
        }
    }
    Ok(())
}

fn path(key: &str) -> Result<Path> {
    let refused = |why: &str| {
        let shown: String = key.chars().take(100).collect();
        Error::invalid(format!("object key '{}' is refused: {why}", shown.escape_debug()))
    };
    check(key).map_err(refused)?;
    Path::parse(key).map_err(|error| refused("the store does not take it").with_source(error))
}

/// The path of one object.
pub(super) fn object(key: &str) -> Result<Path> {
    let last = key.rsplit('/').next().unwrap_or_default();
    if last.len() > LAST_SEGMENT_LEN_MAX {
        return Err(Error::invalid(format!(
            "object key '{}…' is refused: its last segment is longer than {LAST_SEGMENT_LEN_MAX} bytes",
            key.chars().take(100).collect::<String>().escape_debug()
        )));
    }
    path(key)
}

/// The path of a folder, `None` for the root. A trailing slash is accepted.
pub(super) fn folder(prefix: &str) -> Result<Option<Path>> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if prefix.is_empty() { Ok(None) } else { path(prefix).map(Some) }
}

/// A position in a listing: any key, existing or not.
pub(super) fn position(after: &str) -> Result<Path> {
    path(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_can_leave_the_root() {
        for good in ["a", "lake/log/00ff/1", "lake/tags/v1%2F+/x", "a/...", "=/+"] {
            assert!(object(good).is_ok(), "{good}");
        }
        let bad = [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a\\b", "a\0b",
            "a\nb", "a b", "a#1", "a/é", "~/x", "a:b",
        ];
        for bad in bad {
            assert!(object(bad).is_err(), "{bad:?}");
        }
        assert!(object(&"x".repeat(240)).is_ok());
        assert!(object(&"x".repeat(241)).is_err());
        assert!(object(&format!("{}/a", "x".repeat(256))).is_err());
        assert!(object(&["abcdefgh"; 101].join("/")).is_err());
    }

    #[test]
    fn a_folder_may_be_the_root_or_end_in_a_slash() {
        assert_eq!(folder("").unwrap(), None);
        assert_eq!(folder("/").unwrap(), None);
        assert_eq!(folder("a/b/").unwrap(), folder("a/b").unwrap());
        assert!(folder("a//").is_err());
        assert!(folder("..").is_err());
    }
}
