//! Onward: a commit coordinator for data lakes. No commit fails because another one was faster.
//!
//! Systems that version a data lake commit by optimistic retry: read the head, build, compare and
//! swap, start over if somebody was faster. Under load the losers start over again and again.
//! Onward puts commits into a queue instead, one atomic step that nobody can make fail, and lets
//! every client finish every other's. Commits come out in order, each as itself, durable in the
//! object store even if Redis loses everything.
//!
//! # A first commit
//!
//! A deployment is a Redis and an object store. [`local::LocalInstance`] starts a private one.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use onward::local::LocalInstance;
//! use onward::{Config, Entry, Onward, Outcome, RefExpr};
//!
//! let dir = tempfile::tempdir().unwrap();
//! let at = dir.path().to_owned();
//! let local = tokio::task::spawn_blocking(move || LocalInstance::ensure(&at)).await.unwrap()?;
//!
//! let onward = Onward::connect(Config::new(local.redis_url, local.storage_url)).await?;
//! let lake = onward.repo("lake");
//! lake.create(&"main".parse()?).await?;
//!
//! let main = lake.branch("main");
//! let done = main
//!     .change()
//!     .put("orders/dt=2026-11-21/0.parquet", Entry::new("s3://raw/0.parquet", 1234, "etag-0"))
//!     .delete("orders/old.parquet")
//!     .message("hourly load")
//!     .meta("topic", "orders")
//!     .commit()
//!     .await?;
//! let Outcome::Committed { commit, ticket, .. } = done else { panic!("{done:?}") };
//! println!("{commit} is commit number {ticket} of main");
//!
//! let path = "orders/dt=2026-11-21/0.parquet".parse()?;
//! assert_eq!(lake.stat(&RefExpr::plain("main"), &path).await?.size, 1234);
//! # onward.close().await;
//! # let at = dir.path().to_owned();
//! # tokio::task::spawn_blocking(move || onward::local::stop(&at)).await.unwrap()?;
//! # Ok::<_, onward::Error>(()) }).unwrap();
//! ```
//!
//! # Conflicts
//!
//! Whoever else commits to a branch does not fail a commit: a plain change set says what its paths
//! name from now on, in the order of acceptance. A change can carry a [`Condition`], and a whole
//! change set a [`ChangeBuilder::base`] with a [`Strategy`]; they are decided when the op's turn
//! comes, against the branch as it is then. What does not hold is [`Outcome::Conflict`] with each
//! [`ConflictPath`]: what both began with, what the op wanted, what the branch has. Nothing is
//! changed by it, and it is no [`Error`]: an error is something the caller did not cause by
//! competing, and its [`ErrorKind`] says what to do.
//!
//! # A lost reply, and a process that starts again
//!
//! Every op has an [`OpId`]. Submitted again under the same id it is the same op and has the same
//! outcome, so a call in doubt is simply made again: [`ChangeBuilder::op_id`]. A job that numbers its
//! work gives a [`Producer`] instead, a name with epoch and sequence, which is recognised without a
//! time limit: [`ChangeBuilder::producer`]. A process that starts asks [`Branch::producer`] where to
//! go on and takes the next epoch, which shuts out whatever still runs under the old one
//! ([`Outcome::Fenced`]); a sequence that is not above the last one decided is [`Outcome::Behind`].
//!
//! # Deadlines
//!
//! Once accepted, an op will be decided, by its own process or by any other that works on the branch.
//! [`ChangeBuilder::submit`] returns at acceptance with a [`TicketHandle`]; [`TicketHandle::wait`] waits
//! for the outcome and helps meanwhile, as does [`Branch::ticket_wait`] for ops of anybody. Past the
//! timeout the answer is [`Outcome::StillQueued`] with the op's [`Ticket`], never a false failure; what
//! is not wanted any more can be called off ([`TicketHandle::cancel`]), and its outcome tells whether
//! that was in time. A process that keeps running finishes an op within
//! `ceil(position / 1024) + 1` rounds of its own, whatever others do.
//!
//! # Merges
//!
//! [`Branch::merge`] brings what a source has changed since the merge base; [`Branch::revert`] and
//! [`Branch::cherry_pick`] are the same with a commit and its parent. A merge is worked out before it
//! is queued, and only paths that were changed meanwhile are decided again in its turn: commits beside
//! it do not make it start over. Paths that both sides changed are a conflict, or are settled by
//! [`MergeBuilder::strategy`]; [`MergeBuilder::preview`] tells without merging.
//!
//! # Reading back
//!
//! A [`RefExpr`] names a branch with what is staged on it (`main`), its committed head (`main@`), a tag,
//! a commit or one of its ancestors (`v1~2`). [`Repository::stat`] says what a path names,
//! [`Repository::list`] pages through paths, [`Repository::open`] streams the bytes of what was uploaded
//! through Onward, [`Repository::log`] and [`Repository::diff`] read history. A read at a branch sees
//! every commit that was acknowledged before it began.
//!
//! # What it is not
//!
//! Onward coordinates commits and keeps what paths name. It is no object store: a change set names
//! objects where they lie, and whoever deletes them there breaks the commits that name them. It is no
//! table format and no query engine: what a file means is its readers' business. It does not lock: two
//! jobs that write the same path both succeed, in order, unless they ask for a condition. And what is
//! staged and not committed is as durable as Redis is, no more.
//!
//! # What carries a promise
//!
//! The names at the crate root and in [`read`], [`history`], [`admin`] and [`local`]; a file of the
//! repository lists them, and no change of it goes unseen. Everything else is private.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod clock;
mod commit;
mod coord;
mod encryption;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzzing;
#[doc(hidden)]
pub mod internals;
mod invariants;
pub mod local;
mod measures;
mod model;
mod objects;
mod repo;
mod tree;

pub use model::address::RefExpr;
pub use model::cancel::Cancelled;
pub use model::change::{Change, Condition, PathChange};
pub use model::commit::Commit;
pub use model::conflict::{ConflictPath, Retry, Strategy};
pub use model::entry::Entry;
pub use model::error::{Error, ErrorKind, Result};
pub use model::ids::{CommitId, OpId, Ticket};
pub use model::name::{BranchName, RepoName, TagName};
pub use model::outcome::{Details, Outcome};
pub use model::path::ObjectPath;
pub use model::producer::{LastDecided, Producer, Standing};
pub use objects::Checksum;
pub use repo::ticket::TicketStatus;
pub use repo::{
    Branch, ChangeBuilder, Config, Elsewhere, MergeBuilder, Onward, Repository, TicketHandle,
};

pub mod read {
    //! Reading: pages of what there is (paths at a ref, repositories, branches, tags, queues), and bytes.

    pub use crate::objects::Streamed;
    pub use crate::repo::branch::{BranchInfo, NewBranch, QueueView, QueuedView};
    pub use crate::repo::pages::{NamePage, NamesRequest};
    pub use crate::repo::repository::RepoInfo;
    pub use crate::repo::tags::TagInfo;
    pub use crate::tree::{ListItem, ListPage, ListRequest};
}

pub mod changes {
    //! Change sets as jobs in other languages write them: the JSON of `/onward/v1`.

    pub use crate::repo::change_set::{ChangeSet, CommitHead, OnConflict, ProducerShape};
}

pub mod history {
    //! What was committed: the log, differences between refs, what a merge would bring, the events of
    //! a branch as they are decided; and the parts of refs and ids.

    pub use crate::commit::merge::three_way::Ruled;
    pub use crate::model::address::{Face, Modifier};
    pub use crate::model::ids::{BranchUid, MetarangeId};
    pub use crate::repo::events::Event;
    pub use crate::repo::history::CommitInfo;
    pub use crate::repo::log::LogRequest;
    pub use crate::repo::merge::MergePreview;
    pub use crate::repo::valid_through::{GROUP_KEY, VALID_THROUGH_KEY, ValidThrough};
    pub use crate::tree::{Decision, Diff, Position, ScanStart};
}

pub mod admin {
    //! Looking after a deployment: garbage, damage, recovery, imports, rules of protected branches, who is asked
    //! before a commit, and of how objects are written, dumps of refs, counters.

    pub use crate::commit::counters::CounterSnapshot;
    pub use crate::repo::ask::{Answer, Ask, Asked};
    pub use crate::repo::doctor::{Check, Health, examine};
    pub use crate::repo::gc::{GcEvent, GcOptions, GcReport, Tally};
    pub use crate::repo::import::{ImportPart, ImportRequest, Imported, Skipped};
    pub use crate::repo::parted::GivenUp;
    pub use crate::repo::protection::check::{Check as AcceptanceCheck, OnFailure};
    pub use crate::repo::protection::{Action, Rule};
    pub use crate::repo::recover::{Recovered, RecoveredState};
    pub use crate::repo::refs_dump::{DumpId, Restored};
    pub use crate::repo::verify::{
        Finding, FindingKind, VerifyEvent, VerifyOptions, VerifySummary,
    };
    pub use crate::repo::write_policy::{WriteRule, Written};
}
