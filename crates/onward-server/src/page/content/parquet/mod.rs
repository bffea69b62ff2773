//! A Parquet file as the page shows it, read in a process of its own.
//!
//! What reads Parquet, a crate, was not made for files that somebody wrote to do harm: one may take all memory
//! or end the process that reads it. So the sidecar looks at the last eight bytes alone, and starts the command
//! for the rest ([`Reader`]), with a verb that limits itself before it reads ([`look_at_parquet`]). The sidecar
//! fetches the bytes, as many as it allows, and the process has no files, no network and no secrets.
//!
//! A process answers one question: where the columns begin, by the metadata ([`frame::Answer::Parts`]), or what
//! the first rows are, by these beginnings ([`frame::Answer::Shown`]).

mod child;
mod file;
pub mod frame;
mod reader;

pub use child::look_at_parquet;
pub use reader::Reader;
