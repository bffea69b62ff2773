//! One round: view → prepare → judge → build → decide → publish.
//!
//! [`run`] is the walk. `ready` takes it up to the decision; `ahead` does so for the next batch while this one
//! is on its way (`deciding`). [`prepare`] brings together the [`situation`] in which a batch is decided: it
//! loads ops (`load`, `areas`) and looks up what they ask (`lookup`). [`judge`] decides op by op
//! (`judge_commit`, `judge_merge`) against what those before have made of the branch (`state`), and
//! leaves what was [`judged`]. [`build`] writes `runs` (`large`), puts the `stack` together and makes the
//! `commits`. `rescue` is for a batch that meets damage, `inspect` checks the invariants in production.

mod ahead;
mod areas;
pub mod build;
mod commits;
pub mod deciding;
pub(in crate::commit) mod inspect;
pub mod judge;
mod judge_commit;
mod judge_merge;
pub mod judged;
mod large;
mod load;
mod lookup;
pub mod prepare;
pub mod ready;
mod rescue;
pub mod run;
mod runs;
pub mod situation;
mod stack;
mod state;
