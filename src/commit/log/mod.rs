//! The truth: a repository in the object store, the decided batches of its branches, and what is read
//! back from them.
//!
//! [`entry`] is one decided batch, with [`levels`] and the bytes of it in [`format`]. [`lake`] is the
//! repository, with its caches: it decides, finds [`commits`](self) and reads logs to their end
//! ([`tail`]). [`head`] is a branch head as a round works on it, [`node`] a commit's place in the graph,
//! [`find`] where ops are by their ids, [`producers`] their rows, [`record`] what names repositories and incarnations of branches for good.

mod cache;
mod commits;
mod embedded;
pub mod entry;
pub mod find;
pub mod format;
pub mod head;
pub mod lake;
pub mod levels;
pub mod node;
mod pieces;
pub mod producers;
pub mod record;
pub mod tail;
