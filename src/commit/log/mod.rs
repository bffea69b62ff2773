//! The truth: a repository in the object store, the decided batches of its branches, and what is read
//! back from them.
//!
//! [`entry`] is one decided batch, [`lake`] the repository with its caches, [`head`] a branch head as a
//! round works on it, [`find`] where ops are, [`record`] what names repositories and incarnations of branches for good.

pub mod entry;
pub mod find;
pub mod head;
pub mod lake;
pub mod record;
