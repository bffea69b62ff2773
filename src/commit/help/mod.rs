//! Whose turn is it? The task of a branch that runs rounds, or follows those of others, for as long as
//! anybody in this process waits; and the work in the background of a branch.

pub(in crate::commit) mod helper;
mod upkeep;
