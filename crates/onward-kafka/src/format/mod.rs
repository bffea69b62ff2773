//! The formats of files: JSON lines, raw bytes, Parquet; and the dead letters, which none of them takes.
//!
//! | format | takes | a tombstone (a null value) |
//! |---|---|---|
//! | [`JsonLines`] | a value that is JSON in UTF-8, one line each | refused, unless records are wrapped |
//! | [`Raw`] | any value, behind each a separator; or its length in front | refused |
//! | `Parquet` | a JSON object that fits a schema | refused, unless records are wrapped and all columns are optional |
//!
//! What a format refuses goes to the dead letters with the reason, in the same commit: [`DeadLetters`].
//! Wrapped, a record's key, headers and time stand beside its value.

mod dead_letters;
mod json_lines;
mod packing;
#[cfg(feature = "parquet")]
pub mod parquet;
mod raw;
mod spool;
#[cfg(test)]
mod tests;
mod text;

pub use dead_letters::{DeadLetterFile, DeadLetters};
pub use json_lines::JsonLines;
pub use packing::Packing;
#[cfg(feature = "parquet")]
pub use parquet::Parquet;
pub use raw::{Framing, Raw};
