//! The formats of files.

use std::str::FromStr;

use onward::{Error, Result};

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet, compressed by Zstandard.
    Parquet,
    /// Comma-separated values by RFC 4180, with a line of names.
    Csv,
    /// A JSON object on each line.
    JsonLines,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Parquet, Self::Csv, Self::JsonLines];

    /// What it is called, and how the names of files end.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }

    /// The media type of a file.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::JsonLines => "application/jsonl",
        }
    }

    /// Whether a file that breaks off is told from a whole one by itself.
    pub fn shows_its_end(self) -> bool {
        matches!(self, Self::Parquet)
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            Error::invalid(format!(
                "'{}' is no format of a table: it is parquet, csv or jsonl",
                onward::internals::model::error::quoted(text)
            ))
        })
    }
}
