//! What a merge brings, worked out against a head and corrected in its turn; and the commit graph that
//! says from which base.

pub(in crate::commit) mod align;
pub mod ancestry;
pub mod graph;
pub mod prepared;
