//! How processes are told of their ops, as a model of its own that is explored exhaustively: inboxes, the
//! turn that is kept, handed on and called upon, and whatever can be lost of that.
//!
//! The big model (`tests/it/model`) lets everybody ask for an outcome at any moment, and begin a round at
//! any moment. Here a process does so only when something makes it: a letter, or its own patience. What
//! must hold is that nobody alive waits for ever, whoever else stops for good, and that nobody is told what
//! the log does not have.
//!
//! | step of the model | in the product |
//! |---|---|
//! | `Submit` | `lua/submit.lua`; `commit/accept/acceptor.rs` |
//! | `Decide`, `Publish` | `commit/round/run.rs`; `lua/publish.lua`, with or without letters (older programs) |
//! | `Deliver`, `Read`, `Lose` | a blocking pop, its reply, and a reply that is lost; `coord/inbox.rs`, `commit/help/others.rs` |
//! | `Patience` | the end of a wait, and the look then; `commit/help/others.rs`, `helper.rs` |
//! | `Expire` | the turn, or what is kept of it, runs out |
//! | `Kill`, `Forget`, `RollBack` | a process ends; an inbox expires or is too full; Redis goes back |

mod check;
mod state;
mod steps;

use self::check::every_state;
use self::state::{Bug, Scope};

#[test]
fn nobody_waits_for_ever_and_nobody_is_told_what_is_not_decided() {
    let scopes = [
        Scope { kills: 1, losses: 1, ..Scope::of(3) },
        Scope { kills: 1, silent: 1, leaves: true, ..Scope::of(3) },
        Scope { kills: 1, losses: 2, rolls: 1, silent: 1, ..Scope::of(2) },
    ];
    for scope in scopes {
        let report = every_state(&scope);
        println!("{scope:?}: {} states", report.states);
        assert_eq!(report.wrong, None, "{scope:?}");
        assert!(report.unseen.is_empty(), "{scope:?}: never seen: {:?}", report.unseen);
    }
}

#[test]
fn every_way_to_rely_on_a_letter_is_found() {
    for bug in Bug::ALL {
        let few = Scope { bug: Some(bug), kills: 1, losses: 1, ..Scope::of(2) };
        let scope = match bug {
            Bug::LostForGood => Scope { rolls: 1, ..few },
            _ => few,
        };
        let way = every_state(&scope).wrong.unwrap_or_else(|| panic!("{bug:?} is not found"));
        println!("{bug:?}: {way}");
        assert_eq!(every_state(&Scope { bug: None, ..scope }).wrong, None, "it is the bug");
    }
}
