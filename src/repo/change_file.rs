//! Change files: JSON lines, one change each, as jobs in any language write them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::change::{Change, Condition, PathChange};
use crate::model::entry::Entry;
use crate::model::error::{Error, Result, short};
use crate::model::path::ObjectPath;

/// The longest line, in bytes.
pub const LINE_MAX: usize = 64 * 1024;

/// One change as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    put: Option<Put>,
    delete: Option<Delete>,
    #[serde(rename = "if")]
    condition: Option<Condition>,
}

/// Spelled out, because a flattened [`Entry`] would let unknown fields pass.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    path: ObjectPath,
    address: String,
    checksum: String,
    size: u64,
    #[serde(default)]
    mtime: i64,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl Line {
    /// The change, or what is wrong with it.
    pub fn change(self) -> Result<PathChange, String> {
        let condition = self.condition;
        let (path, change) = match (self.put, self.delete) {
            (Some(put), None) if put.address.is_empty() => {
                return Err("its address is empty".into());
            }
            (Some(put), None) if put.checksum.is_empty() => {
                return Err("its checksum is empty".into());
            }
            (Some(put), None) => {
                let (path, entry) = put.split();
                (path, Change::Put(entry))
            }
            (None, Some(delete)) => (delete.path, Change::Delete),
            (Some(_), Some(_)) => return Err("it both puts and deletes".into()),
            (None, None) => return Err("it neither puts nor deletes".into()),
        };
        if let Change::Put(entry) = &change {
            entry.check().map_err(|error| error.to_string())?;
        }
        Ok(PathChange { path, change, condition })
    }
}

impl Put {
    fn split(self) -> (ObjectPath, Entry) {
        let Self { path, address, checksum, size, mtime, content_type, metadata } = self;
        (path, Entry { address, checksum, size, mtime, content_type, metadata })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    path: ObjectPath,
}

/// Reads one line. `None` for a line without content.
///
/// ```
/// let change = onward::internals::repo::change_file::parse_line(
///     1,
///     br#"{"put": {"path": "t/a", "address": "s3://b/x", "checksum": "c", "size": 3}, "if": {"absent": true}}"#,
/// )?;
/// assert_eq!(change.unwrap().path.as_str(), "t/a");
/// # Ok::<(), onward::Error>(())
/// ```
pub fn parse_line(number: u64, line: &[u8]) -> Result<Option<PathChange>> {
    let wrong = |why: String| {
        let why = short(&why);
        Error::invalid(format!(
            "line {number}: {why}; a line is {{\"put\": {{\"path\", \"address\", \"checksum\", \"size\", …}}}} or {{\"delete\": {{\"path\"}}}}, with \"if\" where wanted"
        ))
    };
    if line.len() > LINE_MAX {
        return Err(wrong(format!("it has {} bytes, the limit is {LINE_MAX}", line.len())));
    }
    let text = std::str::from_utf8(line).map_err(|_| wrong("it is not UTF-8".into()))?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let line: Line = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    line.change().map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_lines_say_which_line_and_why() {
        for (line, why) in [
            (&b"{"[..], "EOF"),
            (b"{\"put\": {\"path\": \"\", \"address\": \"x\", \"checksum\": \"c\", \"size\": 1}}", "empty"),
            (b"{\"delete\": {\"path\": \"a\"}, \"put\": {\"path\": \"a\", \"address\": \"x\", \"checksum\": \"c\", \"size\": 1}}", "both"),
            (b"{}", "neither"),
            (b"{\"delete\": {\"path\": \"a\", \"size\": 1}}", "unknown field"),
            (b"{\"put\": {\"path\": \"a\", \"address\": \"x\", \"checksum\": \"c\", \"size\": -1}}", "invalid value"),
            (b"{\"put\": {\"path\": \"a\", \"address\": \"x\", \"checksum\": \"c\", \"size\": 1, \"sise\": 2}}", "unknown field `sise`"),
            (b"{\"put\": {\"path\": \"a\", \"address\": \"\", \"checksum\": \"c\", \"size\": 1}}", "address is empty"),
            (b"{\"put\": {\"path\": \"a\", \"address\": \"x\", \"checksum\": \"\", \"size\": 1}}", "checksum is empty"),
            (b"\xff", "UTF-8"),
        ] {
            let error = parse_line(7, line).unwrap_err();
            assert!(error.message().starts_with("line 7: "), "{error}");
            assert!(error.message().contains(why), "{error}");
        }
        assert_eq!(parse_line(1, b"  \n").unwrap(), None);
    }
}
