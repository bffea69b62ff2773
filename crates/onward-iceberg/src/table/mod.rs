//! Iceberg's metadata: what may be served, what a commit makes of it, and how a stale append lands all the same.
//!
//! Nothing here knows branches, HTTP or the time: what a result depends on is in the arguments. Files of a table
//! are reached through [`TableFiles`] alone.

mod avro;
mod commit;
mod create;
mod describe;
mod draft;
mod error;
mod files;
mod json;
mod land;
mod merge;
mod metadata;
mod named;
mod normal;
mod partition;
mod rebase;
mod requirement;
mod schema;
#[cfg(test)]
mod tests;
mod update;
mod validate;
mod writer;

pub use commit::Commit;
pub use create::{CreateTable, create};
pub use describe::{Counted, Described, SnapshotTold, describe};
pub use error::{Failed, Invalid, NotApplied};
pub use files::TableFiles;
pub use land::{How, Landing, Moment, Refused, Waiting, land};
pub use merge::{MERGED_MAX, NotMerged, Sides, kept_apart, merge};
pub use metadata::{Metadata, Reference};
pub use named::{Named, named_by_list, named_by_manifest};
pub use rebase::{Ahead, Lists};
pub use requirement::Requirement;
pub use update::{Update, apply};
pub use writer::Append;

/// Most bytes of a `metadata.json`: what is larger is neither read nor written.
pub const METADATA_BYTES_MAX: usize = 64 << 20;
/// Most bytes of a manifest list, and of a manifest, that a rebase reads.
pub const AVRO_BYTES_MAX: u64 = 64 << 20;
/// Most updates, and most requirements, of one commit.
pub const UPDATES_MAX: usize = 10_000;
