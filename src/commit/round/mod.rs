//! One round: view → prepare → judge → build → decide → publish.
//!
//! [`run`] is the walk. [`prepare`] brings together what deciding takes (`load`, `lookup`), [`judge`]
//! decides op by op against what those before have made of the branch (`state`), [`build`] writes runs
//! and puts the log entry together (`large`). `rescue` is for a batch that meets damage, `inspect` checks
//! the invariants in production.

pub mod build;
pub(in crate::commit) mod inspect;
pub mod judge;
mod judge_merge;
mod large;
mod load;
mod lookup;
pub mod prepare;
mod rescue;
pub mod run;
mod state;
