//! The small scopes, the bugs, and the reductions.

use std::collections::HashSet;

use stateright::Model;

use super::bugs::Bug;
use super::check::{check, shortest, steps, told};
use super::scopes;
use super::state::{Progress, Scope, State};

#[test]
fn every_promise_holds_in_every_reachable_state() {
    for scope in scopes::small() {
        let report = check(&scope, 2, None);
        println!("{report}");
        assert!(report.is_good(), "{report}");
    }
}

#[test]
fn every_way_to_break_the_protocol_is_found() {
    for bug in Bug::ALL {
        let scope = scopes::broken(bug);
        let Some((broken, path)) = shortest(&scope) else {
            panic!("{bug:?} is not found");
        };
        println!("{bug:?}: after {} steps {}", steps(&path), broken.join(", "));
        if bug == Bug::PrunesLate {
            println!("{}", told(&scope, &path));
        }
        // It is the bug that is found, and not the scope.
        let right = Scope { bug: None, ..scope };
        let mut state = right.start();
        for action in path.into_actions() {
            let mut possible = Vec::new();
            right.possible(&state, &mut possible);
            if !possible.contains(&action) {
                break;
            }
            right.step(&mut state, &action);
            for property in right.properties() {
                let sound = property.expectation != stateright::Expectation::Always
                    || (property.condition)(&right, &state);
                assert!(sound, "{bug:?}: {} does not hold without it", property.name);
            }
        }
    }
}

/// What can be seen of a state from outside: every Redis, the log, and what clients were told.
fn seen(state: &State) -> String {
    let told = |progress: &Progress| match progress {
        Progress::Told(outcome) => Some(*outcome),
        _ => None,
    };
    let calls: Vec<_> = state.calls.iter().map(told).collect();
    format!("{:?} {:?} {:?} {calls:?}", state.redis, state.earlier, state.log)
}

fn everything_seen(scope: &Scope) -> HashSet<String> {
    let mut known = HashSet::from([scope.start()]);
    let mut open = vec![scope.start()];
    let mut possible = Vec::new();
    while let Some(state) = open.pop() {
        scope.possible(&state, &mut possible);
        for action in possible.drain(..) {
            let mut next = state.clone();
            scope.step(&mut next, &action);
            if known.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    known.iter().map(seen).collect()
}

#[test]
fn reductions_hide_nothing() {
    for scope in scopes::reducible() {
        let every_step = everything_seen(&scope);
        let merged = everything_seen(&Scope { merged: true, ..scope.clone() });
        assert_eq!(every_step.difference(&merged).next(), None, "merged steps hide this");
        let forgetful = everything_seen(&Scope { forgetful: true, ..scope.clone() });
        assert_eq!(every_step.difference(&forgetful).next(), None, "forgetting hides this");
        let both = everything_seen(&Scope { forgetful: true, merged: true, ..scope.clone() });
        assert_eq!(every_step.difference(&both).next(), None, "together they hide this");
        println!(
            "{}: {} things to see, {} with all reductions",
            scope.name,
            every_step.len(),
            both.len()
        );
    }
}
