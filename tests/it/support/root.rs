//! Where the repository lies: its fixtures, documents and sources.

use std::path::PathBuf;

/// The folder of the repository. The package that these tests belong to is two folders below it.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}
