//! The path of an object within a branch.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result, quoted};

/// The path of an object: 1 to 1,024 bytes of UTF-8, ordered bytewise. Slashes are a convention of
/// listings only; nothing is normalised. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectPath(Arc<str>);

impl ObjectPath {
    /// The longest path, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// Checks the rules and makes a path.
    pub fn new(path: impl AsRef<str> + Into<Arc<str>>) -> Result<Self> {
        let text = path.as_ref();
        if text.is_empty() {
            return Err(Error::invalid("path is empty: give the path of an object"));
        }
        if text.len() > Self::MAX_LEN {
            return Err(Error::invalid(format!(
                "path is {} bytes long, the limit is {}: '{}'",
                text.len(),
                Self::MAX_LEN,
                quoted(text)
            )));
        }
        if text.contains('\0') {
            return Err(Error::invalid(format!(
                "path '{}' contains a NUL character",
                quoted(text)
            )));
        }
        Ok(Self(path.into()))
    }

    /// A path from raw bytes, which must be UTF-8.
    pub fn from_utf8(bytes: &[u8]) -> Result<Self> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::new(text),
            Err(error) => Err(Error::invalid(format!(
                "path is not UTF-8 (byte {}): '{}'",
                error.valid_up_to(),
                quoted(&String::from_utf8_lossy(bytes))
            ))),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ObjectPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ObjectPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<String> for ObjectPath {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<ObjectPath> for String {
    fn from(path: ObjectPath) -> Self {
        path.0.as_ref().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_out_of_rule_are_refused_with_the_rule() {
        assert!(ObjectPath::new("a/b.parquet").is_ok());
        assert!(ObjectPath::new("x".repeat(1024)).is_ok());
        assert!(ObjectPath::new("").unwrap_err().message().contains("empty"));
        assert!(ObjectPath::new("x".repeat(1025)).unwrap_err().message().contains("1024"));
        assert!(ObjectPath::from_utf8(b"a/\xff").unwrap_err().message().contains("UTF-8"));
    }
}
