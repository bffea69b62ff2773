//! What Iceberg keeps in Avro: manifest lists, and manifests.
//!
//! Containers are read and written here, because a new list repeats nearly all of the last one: sealed blocks are
//! copied as they are, and only new entries are encoded and compressed.

pub(super) mod container;
pub(super) mod encode;
pub(super) mod list;
pub(super) mod manifest;
pub(super) mod record;
pub(super) mod shape;

use std::fmt;

/// Why bytes are no such file, or one that says something unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable(String);

impl Unreadable {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
