//! What the pages are told by who starts the sidecar.

use std::path::PathBuf;

use super::content::Reader;

/// How the pages are served.
pub struct Setup {
    /// Whether connections to the sidecar are encrypted.
    pub is_encrypted: bool,
    /// What reads Parquet files.
    pub parquet: Reader,
}

impl Setup {
    /// With the command that reads Parquet files, if it is there.
    pub fn new(is_encrypted: bool, command: Option<PathBuf>) -> Self {
        Self { is_encrypted, parquet: Reader::new(command) }
    }
}
