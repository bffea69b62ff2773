//! What the sink asks of a format: one file at a time, of one partition, in the order of offsets.

use std::fs::File;

use bytes::Bytes;
use onward::{Error, Result};

use crate::record::Record;

/// How records become the bytes of a file.
pub trait Format: Send + Sync {
    /// The ending of its files' names, without the dot in front: `jsonl.gz`.
    fn extension(&self) -> &str;

    /// The media type of its files.
    fn content_type(&self) -> &str;

    /// Begins a file.
    fn begin(&self) -> Result<Box<dyn FileWriter>>;
}

/// A file in the making.
pub trait FileWriter: Send {
    /// Adds a record. One that is refused leaves the file as if it had never come.
    fn push(&mut self, record: &Record) -> Result<(), Refused>;

    /// About the size of the file so far, in bytes: what rolling by size goes by. May lag behind by
    /// what an encoder holds back.
    fn size(&self) -> u64;

    /// What it holds in memory, in bytes. Bounded, whatever the size: the rest lies in a temporary file.
    fn memory(&self) -> u64;

    /// Records that were taken.
    fn records(&self) -> u64;

    /// Ends the file. Never called where no record was taken.
    fn finish(self: Box<Self>) -> Result<Content>;
}

/// The bytes of a finished file.
#[derive(Debug)]
pub enum Content {
    /// A small one.
    Memory(Bytes),
    /// A temporary file without a name, read from its beginning.
    File(File),
}

/// Why a record is not in the file.
#[derive(Debug)]
pub enum Refused {
    /// Its bytes are not what the format is of: the reason, in a sentence. It is one for the dead letters.
    Unparsable(String),
    /// The file is as far as it can be, and this record begins the next.
    Full,
    /// The file cannot be written: no room for temporary files, a mistake in the settings.
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What the name of a file can be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts<'a> {
    /// The topic of its records.
    pub topic: &'a str,
    /// The partition of its records.
    pub partition: i32,
    /// How often the topic was made anew under its name while this sink saw it: 0 for the first. Offsets
    /// begin again with each, so names must differ by it.
    pub life: u32,
    /// The offset of its first record.
    pub first_offset: i64,
    /// The offset of its last record.
    pub last_offset: i64,
    /// The time of its first record, milliseconds since the Unix epoch, if that has one.
    pub timestamp_ms: Option<i64>,
    /// The ending, as the format says.
    pub extension: &'a str,
}
