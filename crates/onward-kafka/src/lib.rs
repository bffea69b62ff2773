//! Exactly once from Kafka topics to a branch: a sink for Onward.
//!
//! Records of a topic's partitions become files, files become commits, and every commit carries the
//! offsets it brings its partitions to. Nothing else says how far a partition is: not the offsets of the
//! consumer group, not a control topic, no transaction of Kafka.
//!
//! ```no_run
//! # async fn run(onward: onward::Onward) -> onward::Result<()> {
//! use std::sync::Arc;
//!
//! use onward_kafka::format::{JsonLines, Packing};
//! use onward_kafka::path::PathTemplate;
//! use onward_kafka::{Kafka, Settings, Sink, Stop};
//!
//! let format = Arc::new(JsonLines::new(Packing::Zstd));
//! let path = PathTemplate::parse("orders/{date}/{partition}-{first_offset}.{ext}")?;
//! let settings = Settings::new("lake", ["orders"], format, path);
//! let brokers = [("bootstrap.servers".to_owned(), "localhost:9092".to_owned())];
//! let kafka = Kafka::connect(&brokers, "lake", &settings.topics)?;
//! let sink = Sink::new(&onward.repo("lake"), "main", settings)?;
//! let report = sink.run(kafka, Stop::new(), |event| println!("{event:?}")).await?;
//! println!("{} records", report.records);
//! # Ok(()) }
//! ```
//!
//! # What is promised
//!
//! Of each partition, every record that a reader may see is on the branch once, in files whose ranges of
//! offsets neither overlap nor leave out a record, in the order of offsets: whatever is killed, paused,
//! partitioned, restarted or emptied, and however often partitions move between processes. What is missing
//! at the broker is told, and the sink ends, unless it was told to skip it; then the commit says what was
//! skipped. Nothing is passed over in silence.
//!
//! # How
//!
//! *Each partition is a producer of Onward's protocol* under `kafka/<group>/<topic>/<partition>`, and its
//! sequence counts its commits. Whoever is given partitions reads how far they are, with what still waits in
//! the queue decided first, and *claims* them by a commit without files under the next sequences. Of all
//! who have read the same sequence only one can have the next, so a process that lost a partition without
//! hearing of it, and one that claims by an old reading, come to nothing; they discard what they read. The
//! commit names the offset, the id of the topic, and the time up to which its records are there: see
//! [`state`]. Before each commit the brokers are asked whether the topics have the ids they had: an id never
//! comes back, so what was read before the answer is of that topic.
//!
//! # Change sets
//!
//! With [`Settings::change_sets`] records are no values for files but change sets, the JSON of
//! `/onward/v1`, and each becomes a commit of its own that also moves its partition. What comes to nothing
//! moves it by a commit without changes that says why. [`Sink::replies`] tells each outcome, at least once.
//!
//! # Settings that belong together
//!
//! Files [roll](Roll) by size, count and age; what has rolled and is uploaded is committed every
//! [`Settings::commit_every`], all partitions in one op. A record is visible after at most the age of a
//! file, an upload, and an interval of commits.
//!
//! # Limits
//!
//! | what | limit |
//! |---|---|
//! | memory for files in the making and finished ones, all partitions | [`Settings::memory_max`], 128 MiB; then every partition is paused, and files roll early |
//! | files of a partition that are not committed | [`Settings::partition_max`], 256 MiB, and 64 files; then the partition is paused |
//! | fetched ahead by librdkafka | 16 MiB (`queued.max.messages.kbytes`), and a batch for each partition, which is as large as the topic's `max.message.bytes` lets it be |
//! | partitions of one commit | [`PARTITIONS_PER_COMMIT_MAX`], or as many as have room in 6 KiB of names and offsets (about 75 where group and topic have 20 bytes together); more are several commits, one after the other |
//! | change sets of a partition that wait; replies to them on their way | 1,000; 1,000 |
//! | uploads at the same time | 8 |
//! | ranges that one commit names as skipped | 16, the rest is told by [`Event::Skipped`] |
//! | a name `kafka/<group>/<topic>/<partition>` | 255 bytes |
//! | commits looked through for a partition that the branch has no row of | 1,000; 10,000 where the group was told an offset of it |
//!
//! # When something fails
//!
//! | what | what happens |
//! |---|---|
//! | the process is killed | whoever has its partitions next reads again what was not committed |
//! | a process is paused past its session | its partitions are claimed by others; its commits come to nothing, it discards what it read and joins again |
//! | Redis, or the storage, is away | uploads and commits are tried again, partitions are paused at the limits, the member stays in its group |
//! | Redis has lost everything | nothing: the log has the rows of all partitions |
//! | a broker restarts | reading goes on; commits wait until the brokers say again that topics are the same, at most five minutes |
//! | partitions are added | they are read from their first record |
//! | the topic is deleted, or made again | the sink ends and says so, at the latest before its next commit; with [`OnGap::Skip`] it goes on at the beginning of the new one |
//! | the broker has deleted records that were not read | the sink ends and says which; with [`OnGap::Skip`] it goes on behind them |
//! | a record does not parse | it goes to the dead letters in the same commit; without such a place the sink ends |
//! | a batch is damaged, or compressed in a way that this build has not | the sink ends in front of it |
//! | the client fails for good | a new one joins the group; where another would fail as well, the sink ends and says so |
//! | an open transaction | records behind it wait, and [`Event::HeldBack`] says so |
//! | the branch is protected, deleted, or made again under its name | the sink ends and says so |
//! | a second sink outside the group uses its name | one of them loses every partition to the other and ends after 90 seconds |
//!
//! # What is not promised
//!
//! A commit that is reverted, or a branch that is set back, takes files away and not the offsets: what was
//! taken away is not read again. The [valid-through](state::VALID_THROUGH_KEY) time is by the records' own
//! times, and a record may be later than its time. A partition that the branch has forgotten, that none of the
//! commits looked through speaks of, and that the group has no offset of any more, begins as a new one; where
//! the group has one, the sink ends and says so.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod assign;
pub mod broker;
mod buried;
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
mod replies;
mod requests;
mod settings;
mod sink;
pub mod state;
mod steps;
mod store;

pub use event::{Event, Report, Stop};
#[cfg(feature = "rdkafka")]
pub use kafka::{Kafka, ReplyTopic, sample};
pub use ledger::PARTITIONS_PER_COMMIT_MAX;
pub use record::{Header, Record};
pub use replies::{Replies, Reply};
pub use settings::{DeadLetterSettings, OnGap, Roll, Settings, Takes};
pub use sink::Sink;
pub use store::{BranchStore, LinkedStore, Store};
