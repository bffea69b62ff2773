//! The catalog: Iceberg's namespaces and tables as entries of Onward's branches.
//!
//! A table is one entry of a branch, which names the table's present `metadata.json`; a namespace is one as well. A
//! change of either is a commit of the branch, on the condition that the entry is what it was: so log, diff, tags,
//! branches, merges and reverts are those that every branch has.
//!
//! ```text
//! ident      names, and the paths that stand for them
//! entry      what a branch says of a table and a namespace
//! place      a repository at a ref: what there is
//! warehouse  where files of tables lie; loaded: metadata read from there; packed: compressed
//! asked      a commit as it was asked for
//! door       who is let through first; lane: all that wait for a table
//! prepare    what commits make of a table; round: one commit of the branch for all of them
//! board      what sidecars that share a table offer each other
//! words      what a commit of the branch says of tables; history: commits that only the log still knows
//! fate       what became of one, by what the log says; walked: the log as far as it was read
//! gone       snapshots that a table has lost; lost: the list of them that is kept with it; learned: by a round, of both
//! submit     a change set on its way to its outcome; measured: what is counted of all this
//! merging    tables that both sides of a merge have changed; telling: what changed of a table, in words
//! garbage    files that no commit needs which can be reached
//! deployment all of it, for one deployment; tables, transaction: what clients ask of it
//! ```
//!
//! Everything of Iceberg is done before Onward's queue: what comes into that is a change set of a few hundred bytes.

mod asked;
mod board;
mod deployment;
mod door;
mod entry;
mod error;
mod fate;
mod garbage;
mod gone;
mod history;
mod ident;
mod known;
mod lane;
mod learned;
mod loaded;
mod lost;
mod measured;
mod merging;
mod namespaces;
mod packed;
mod place;
mod prepare;
mod round;
mod shared;
mod submit;
mod tables;
mod telling;
mod transaction;
mod walked;
mod warehouse;
mod words;

pub use asked::{Asked, Mode};
pub use deployment::Catalog;
pub use error::{CatalogError, Kind, Result};
pub use garbage::{Folder, Garbage, GarbageOptions, GarbageReport, Read, TABLES_GRACE, Unread};
pub use ident::{Namespace, SEPARATOR, TableIdent};
pub use known::{REMEMBERED, Recent};
pub use loaded::{Access, Loaded, Snapshots, Staged};
pub use measured::Looked;
pub use merging::TableMerge;
pub use namespaces::Changed;
pub use place::{NAMES_MAX, Names, Page, Place};
pub use submit::Said;
pub use tables::Made;
pub use telling::{TableChange, TableConflict};
pub use transaction::Changes;
pub use warehouse::Warehouse;
