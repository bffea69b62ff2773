//! What users call: repositories, branches, changes, tickets, staging, reads, history, protection,
//! recovery.
//!
//! This room turns names into incarnations, requests into ops, and refs into commits. How an op
//! becomes a commit is the business of [`crate::commit`].

mod acceptance;
pub mod access_keys;
pub mod ask;
pub mod at_work;
pub mod board;
pub mod branch;
mod branch_end;
pub mod change_file;
pub mod change_set;
pub mod changes;
pub mod config;
mod current;
mod data;
pub mod doctor;
mod elsewhere;
pub mod events;
pub mod gc;
mod glance;
mod handles;
pub mod hint;
pub mod history;
pub mod import;
mod known_lives;
mod lives;
pub mod log;
pub mod merge;
pub mod merge_base;
mod merge_spec;
pub mod metadata;
pub mod multipart;
mod named_lives;
mod names;
mod onward;
mod outcome;
mod overlay;
pub mod pages;
pub mod parted;
mod place;
mod prefix;
pub mod producers;
pub mod protection;
mod reach;
pub mod read;
pub mod recent;
pub mod recover;
pub mod refs;
pub mod refs_dump;
mod removal;
pub mod repository;
pub mod reset;
pub mod resolve;
pub(crate) mod rules;
pub mod sinks;
pub mod staged_diff;
pub mod staging;
mod standing;
mod storage;
pub mod tags;
pub mod ticket;
mod touching;
mod trust;
pub mod upload_address;
pub mod valid_through;
pub mod verify;
pub mod watch;
pub mod write_policy;

#[cfg(test)]
mod tests;

pub use branch::{BranchInfo, NewBranch};
pub use changes::ChangeBuilder;
pub use config::Config;
pub use elsewhere::Elsewhere;
pub use handles::{Branch, Onward, Repository};
pub use log::LogRequest;
pub use merge::{MergeBuilder, MergePreview};
pub use overlay::text_behind_prefix;
pub use pages::{NamePage, NamesRequest};
pub use repository::RepoInfo;
pub use ticket::TicketHandle;
