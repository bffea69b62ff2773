//! The tree: what a commit contains, in immutable pieces, at a cost that follows the change.
//!
//! * A **record** is one change of one path; its op says which op of its batch wrote it ([`record`]).
//! * A **range** is a file of sorted records, named by its content ([`range`], [`block`]).
//! * A **run** is a list of ranges that do not overlap, or a few records in a log entry ([`run`],
//!   [`inline`]).
//! * A **metarange** is a short stack of runs, newest first, each as of an op ([`metarange`]): a
//!   path has what the first run says that knows it; a tombstone says there is nothing.
//! * A **change set** is few records in memory or many in a run ([`change_set`]).
//!
//! [`Tree`] reads (`get`, `scan`, `list`, `diff`), writes (`run_writer`) and folds (`fold`) through
//! one small trait, [`TreeStore`]. It knows nothing of Redis, object stores, logs or branches.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use std::sync::Arc;
//! use onward::internals::model::change::{Change, PathChange};
//! use onward::Entry;
//! use onward::internals::tree::{ChangeSorter, Level, MemoryStore, Metarange, Tree, TreeOptions};
//!
//! let tree = Tree::new(Arc::new(MemoryStore::new()), TreeOptions::default());
//! let mut sorter = ChangeSorter::new(0);
//! for name in ["b.csv", "a.csv"] {
//!     let change = Change::Put(Entry::new(format!("s3://lake/{name}"), 3, "etag"));
//!     sorter.push(PathChange { path: name.parse()?, change, condition: None })?;
//! }
//! let mut writer = tree.run_writer();
//! for record in sorter.finish()? {
//!     writer.push(record?).await?;
//! }
//! let run = Arc::new(writer.finish().await?);
//! let commit = Metarange { levels: vec![Level::all(run)] };
//! let entry = tree.get(&commit, &"a.csv".parse()?).await?;
//! assert_eq!(entry.unwrap().address, "s3://lake/a.csv");
//! # Ok::<_, onward::Error>(()) }).unwrap();
//! ```

pub mod block;
pub mod boundary;
pub mod change_set;
mod cursor;
pub mod diff;
pub mod fold;
pub mod folding;
pub(crate) mod frame;
mod get;
mod handle;
pub mod inline;
mod join;
pub mod list;
pub(crate) mod load;
pub mod memory;
mod merge;
pub mod metarange;
pub mod options;
mod page;
pub mod range;
pub(crate) mod range_index;
pub mod record;
pub mod rule;
pub mod run;
pub mod scan;
pub mod sorter;
pub mod store;
pub mod touched;
mod verify;
pub mod writer;

#[cfg(test)]
mod tests;

pub use change_set::{ChangeSet, ChangeSetWriter, EncodedChanges, LateTree, SmallMax};
pub use diff::Diff;
pub use fold::{FoldLimits, FoldPlan, LevelSize, plan_background_fold, plan_fold};
pub use handle::Tree;
pub use inline::InlineRun;
pub use join::PathSpan;
pub use list::{ListItem, ListPage, ListRequest};
pub use memory::MemoryStore;
pub use metarange::{ALL, FoldedAt, Level, MAX_LEVELS, Metarange, StackHash};
pub use options::TreeOptions;
pub use record::Record;
pub use rule::{Decision, decide};
pub use run::{InlineAddress, RangeRef, RunPlace, RunRef};
pub use scan::{Position, ScanStart};
pub use sorter::{ChangeSorter, DEFAULT_BUDGET_BYTES, SortedChanges, Twice};
pub use store::{Span, TreeStore};
pub use touched::{OpRecords, Stretch};
pub use writer::RunWriter;
