//! What a merge brings.
//!
//! A merge is worked out against a head before it is queued ([`work_out`]: [`three_way`] finds and
//! rules its changes, [`settle`](self) applies the strategy and gathers conflicts). What has moved in
//! between is found when its turn comes: the base by [`ancestry`] over the commit [`graph`], the changes
//! that are to be decided again by [`crossings`]; [`correct`] does that. [`align`](self) finds the
//! difference between two contents in spite of folds.

pub(in crate::commit) mod align;
pub mod ancestry;
pub mod correct;
pub mod crossings;
pub mod graph;
pub mod settle;
pub mod three_way;
pub mod work_out;
