//! Whose turn is it? The task of a branch that runs rounds, or follows those of [`others`](self), for as
//! long as anybody in this process waits; what it does about its [`doubts`](self), and the work in the
//! background of a branch.

mod doubts;
mod forget;
pub(in crate::commit) mod helper;
mod others;
mod reconcile;
mod upkeep;
