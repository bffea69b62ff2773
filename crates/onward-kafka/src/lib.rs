//! Exactly once from Kafka topics to a branch: a sink for Onward.
//!
//! Records of a topic's partitions become files, files become commits, and every commit carries the
//! offsets it brings its partitions to. Nothing else says how far a partition is: not the offsets of the
//! consumer group, not a control topic.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod file;
pub mod format;
pub mod path;
mod record;

pub use record::{Header, Record};
