//! The commit protocol as a model that is explored exhaustively: every order of steps, with every
//! fault at every place, for a few clients.
//!
//! A step is one request, or one fault. What a process does in memory between two requests is part
//! of the step before. What each stands for:
//!
//! | step of the model | in the product |
//! |---|---|
//! | `Stage` | `lua/stage.lua` |
//! | `Submit`: first, again, or after a loss | `lua/submit.lua`; `commit/accept/acceptor.rs`, `commit/help/reconcile.rs` (`resubmit`) |
//! | `Status` | `lua/status.lua`, the outcome stream; `commit/help/doubts.rs` (`settle`), `commit/help/others.rs` (`hear`), `commit/help/helper.rs` (`tell`) |
//! | `FindInLog` | `commit/log/find.rs` (`find_in_log`) |
//! | `Cancel` | `lua/cancel.lua` |
//! | `View` | `lua/view.lua`, or the view that comes with an acceptance or a publication; then `prepare.rs`, `judge.rs`, `build.rs` in memory |
//! | `Load` | `lua/staged.lua` on sealed areas; `commit/round/load.rs` |
//! | `Decide` | `objects/store.rs` (`create`); `commit/log/lake.rs` (`decide`) |
//! | `Publish` | `lua/publish.lua`; `commit/round/run.rs` (`publish`, `catch_up`) |
//! | `Look`, `Successor` | `lua/view.lua`, a read of one log entry; `commit/round/run.rs` (`follow_from`, `follow`) |
//! | `ReadBack`, `Restore` | reads of the log, `lua/restore.lua`; `commit/mend/restore.rs`, `commit/mend/present.rs` |
//! | `Crash`, `Forget` | a process ends: what its round, or its client, held in memory is gone |
//! | `Save`, `RollBack`, `Wipe`, `Split` | Redis loses any part of its newest history, or all; two primaries |
//!
//! A lost reply is a step that takes effect and whose client knows nothing of it; what is asked for
//! twice is then asked for again. A round that has begun may take its next step at any later time
//! or never: paused, slow and dead helpers are all in this.
//!
//! # What is left out, and why nothing is lost by it
//!
//! * **The turn** is advice: every refusal of it ends by itself, so a round may begin at any moment.
//!   The model lets it. As a lock it is one of the bugs that are found.
//! * **Which process runs a round** makes no difference to anything but its counters: rounds under
//!   way are an unordered collection. Where rounds are counted (`Scope::counted`) they have owners.
//! * **Of clients that want the same** the first begins first: others differ by name only.
//! * **A forgetful client** (`Scope::forgetful`) knows of its ops only that it has asked. It can do
//!   all that one that knows more can: submit again, and look into the log.
//! * **Merged steps** (`Scope::merged`): a round ends when it has decided, and anybody publishes the
//!   log's next entry, `Look`, `Successor` and `Publish` in one. What a round holds after deciding
//!   is in the log, never changes there, and is published only where `done` stands in front of it;
//!   somebody who looks can do the same. `reductions_hide_nothing` (`tests.rs`) compares all that
//!   can be seen from outside with the model in which every step is taken by itself.
//! * **Commit ids, producers, the end of a branch, trimming of outcomes, pages of sealed areas and
//!   restoring in several parts** are not in the model. Scripts are held against plain functions one
//!   by one in `tests/it/scripts`.
//!
//! What must hold are the predicates of `onward::internals::invariants`; wait-freedom is computed in every
//! state, by letting each client run alone from there (`alone.rs`). Staged writes live in Redis
//! only, so what is promised of them is checked where Redis loses nothing. A commit is not held
//! responsible for a write that an earlier commit had sealed, and not yet decided, when it began.
//!
//! `make model` goes through the large scopes as well (`tests/trials/model/main.rs`).

pub mod actions;
pub mod alone;
pub mod bugs;
pub mod check;
pub mod describe;
pub mod faults;
pub mod possible;
pub mod properties;
pub mod protocol;
pub mod redis;
pub mod round;
pub mod scopes;
pub mod state;
pub mod steps;
#[cfg(test)]
mod tests;
pub mod values;
