//! What the sidecar and a process that reads a Parquet file say to each other, and how much.
//!
//! A question is a line of JSON ([`Asked`]) and the bytes whose lengths it says; an answer is JSON.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What a file begins and ends with.
pub const MAGIC: &[u8] = b"PAR1";

/// Bytes behind the metadata: its length, and the magic.
pub const FOOTER_LEN: u64 = 8;

/// The longest metadata that is read, in bytes.
pub const METADATA_LEN_MAX: u64 = 1 << 20;

/// Columns that are shown, at most.
pub const COLUMNS_MAX: usize = 16;

/// Bytes that are read of all columns together.
pub const READ_LEN_MAX: u64 = 8 << 20;

/// Bytes of an answer.
pub const ANSWER_LEN_MAX: usize = 64 << 10;

/// Bytes of a question: the line before the others has less than an answer.
pub const QUESTION_LEN_MAX: u64 =
    ANSWER_LEN_MAX as u64 + METADATA_LEN_MAX + FOOTER_LEN + READ_LEN_MAX;

/// The line of a question.
#[derive(Debug, Serialize, Deserialize)]
pub struct Asked {
    /// How many bytes the file has.
    pub size: u64,
    /// How many of its last ones follow.
    pub tail_len: usize,
    /// How many follow of the beginning of each column; `None` asks where they begin.
    pub part_lens: Option<Vec<usize>>,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Where the columns that are shown begin.
    Parts(Vec<Range<u64>>),
    /// What is shown.
    Shown(Shown),
    /// It is no such file, and why.
    Refused(String),
}

/// What is shown of a file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// How many rows it has.
    pub rows_total: i64,
    /// How many groups they are in.
    pub groups: usize,
    /// What wrote it.
    pub written_by: String,
    /// Its schema, as text.
    pub schema: String,
    /// The first columns.
    pub columns: Vec<String>,
    /// The first rows of them.
    pub rows: Vec<Vec<String>>,
    /// Why there are none.
    pub no_rows: Option<String>,
    /// Whether there are more columns.
    pub has_more_columns: bool,
}

/// How long the metadata of a file is, by its last bytes; `None` where it is no such file.
pub fn metadata_len(footer: &[u8]) -> Option<u64> {
    let (len, magic) = footer.last_chunk::<8>()?.split_first_chunk::<4>()?;
    (magic == MAGIC).then(|| u64::from(u32::from_le_bytes(*len)))
}
