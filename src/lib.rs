//! Onward: a commit coordinator for data lakes that never makes an ingestion job wait for luck.
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
//! use onward::internals::local::{self, LocalInstance};
//! use onward::internals::model::address::RefExpr;
//! use onward::{Config, Entry, Onward, Outcome};
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
//! let Outcome::Committed { commit, ticket, details } = done else { panic!("{done:?}") };
//! println!("{commit} is number {ticket} of main, after {} round(s)", details.rounds);
//!
//! let path = "orders/dt=2026-11-21/0.parquet".parse()?;
//! assert_eq!(lake.stat(&RefExpr::plain("main"), &path).await?.size, 1234);
//! # onward.close().await;
//! # let at = dir.path().to_owned();
//! # tokio::task::spawn_blocking(move || local::stop(&at)).await.unwrap()?;
//! # Ok::<_, onward::Error>(()) }).unwrap();
//! ```
//!
//! # What a caller can rely on
//!
//! * **A submitted op is decided**, whatever happens to its submitter: by its own process, or by
//!   any other that works on the branch. [`repo::ChangeBuilder::submit`] returns a ticket at once;
//!   [`repo::TicketHandle::wait`] waits for the outcome and helps.
//! * **Exactly one outcome per op id**, see [`Outcome`]. A lost reply is no riddle: submit the same
//!   op id again and get the same outcome. A producer's `(name, epoch, sequence)` works without a
//!   time limit, see [`repo::ChangeBuilder::producer`].
//! * **First come, first served**, across processes: outcomes appear in ticket order, and a process
//!   that keeps running needs at most `ceil(position / batch) + 1` rounds of its own.
//! * **Deadlines tell the truth**: past its timeout a commit is [`Outcome::StillQueued`], with its
//!   ticket, never a false failure.
//!
//! Errors carry an [`ErrorKind`], which says what to do about them. A conflict is not an error but
//! an outcome.
//!
//! # Where things are
//!
//! Rooms, each knowing only those before it: `model` (pure data), `tree` (what a commit contains),
//! `objects` and `coord` (the ports to the object store and to Redis), `commit` (the protocol; its
//! documentation walks the path of one commit), `repo` (what users call). All of them are private:
//! what carries a promise is at the crate root.

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
mod local;
mod measures;
mod model;
mod objects;
mod repo;
mod tree;

pub use model::address::RefExpr;
pub use model::cancel::Cancelled;
pub use model::change::{Change, Condition, PathChange};
pub use model::conflict::{ConflictPath, Retry, Strategy};
pub use model::entry::Entry;
pub use model::error::{Error, ErrorKind, Result};
pub use model::ids::{CommitId, OpId, Ticket};
pub use model::name::{BranchName, RepoName};
pub use model::outcome::{Details, Outcome};
pub use model::path::ObjectPath;
pub use model::producer::{LastDecided, Producer, Standing};
pub use repo::{Config, Onward};
