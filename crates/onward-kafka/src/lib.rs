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

mod assign;
pub mod broker;
mod clock;
mod commits;
mod engine;
mod event;
pub mod file;
pub mod format;
#[cfg(feature = "rdkafka")]
mod kafka;
mod ledger;
mod partition;
pub mod path;
mod record;
mod settings;
mod sink;
pub mod state;
mod store;

pub use event::{Event, Report, Stop};
#[cfg(feature = "rdkafka")]
pub use kafka::{Kafka, sample};
pub use ledger::PARTITIONS_PER_COMMIT_MAX;
pub use record::{Header, Record};
pub use settings::{DeadLetterSettings, OnGap, Roll, Settings};
pub use sink::Sink;
pub use store::{BranchStore, Store};
