//! Goes through every state, and lets each process that waits run alone from there.

use std::collections::{HashMap, HashSet, VecDeque};

use super::state::{Scope, Stage, State};
use super::steps::Action;

/// What came of a run.
pub struct Report {
    pub states: usize,
    /// What does not hold somewhere, and the shortest way there.
    pub wrong: Option<String>,
    /// What should have been seen.
    pub unseen: Vec<&'static str>,
}

/// Steps that a process takes by itself until it is told, at most: patience, a round or two, an op
/// submitted again.
const ALONE_MAX: usize = 24;

type Sight = (&'static str, fn(&Scope, &State) -> bool, fn(&Scope) -> bool);

/// What a scope must come to see.
const SIGHTS: &[Sight] = &[
    ("a letter on its way", |_, state| state.under_way.iter().any(Option::is_some), |_| true),
    (
        "a turn that is kept",
        |_, state| state.processes.contains(&Stage::Told { keeps: true }),
        |scope| !scope.leaves,
    ),
    (
        "who keeps the turn is called upon",
        |_, state| {
            let keeps = |(at, stage): (usize, &Stage)| {
                *stage == Stage::Told { keeps: true } && !state.redis.inboxes[at].is_empty()
            };
            state.processes.iter().enumerate().any(keeps)
        },
        |scope| !scope.leaves && scope.processes > 2,
    ),
    (
        "a turn of somebody dead while others wait",
        |_, state| {
            let dead = |at| state.processes[usize::from(at)] == Stage::Dead;
            state.redis.turn.is_some_and(dead) && state.processes.contains(&Stage::Waiting)
        },
        |scope| scope.kills > 0,
    ),
];

/// Every state that can be reached; ends with the first in which something is wrong, and the shortest way there.
pub fn every_state(scope: &Scope) -> Report {
    let start = scope.start();
    let mut from: HashMap<State, Option<(State, Action)>> = HashMap::from([(start.clone(), None)]);
    let mut next = VecDeque::from([start]);
    let mut seen: HashSet<&'static str> = HashSet::new();
    let mut wrong = None;
    while let Some(state) = next.pop_front() {
        seen.extend(SIGHTS.iter().filter(|sight| (sight.1)(scope, &state)).map(|sight| sight.0));
        if let Some(why) = is_wrong(scope, &state) {
            wrong = Some((why, state));
            break;
        }
        for action in scope.possible(&state) {
            let mut after = state.clone();
            scope.step(&mut after, action);
            if !from.contains_key(&after) {
                from.insert(after.clone(), Some((state.clone(), action)));
                next.push_back(after);
            }
        }
    }
    let wrong = wrong.as_ref().map(|(why, state)| {
        let mut actions = Vec::new();
        let mut state = state;
        while let Some(Some((before, action))) = from.get(state) {
            actions.push(format!("{action:?}"));
            state = before;
        }
        actions.reverse();
        format!("{why}, after {}", actions.join(", "))
    });
    let due = SIGHTS.iter().filter(|sight| (sight.2)(scope) && !seen.contains(sight.0));
    let unseen = due.map(|sight| sight.0).collect();
    Report { states: from.len(), wrong, unseen }
}

fn is_wrong(scope: &Scope, state: &State) -> Option<String> {
    for (at, stage) in state.processes.iter().enumerate() {
        let process = at as u8;
        match stage {
            Stage::Told { .. } if !state.log.contains(&process) => {
                return Some(format!("{process} is told what is not decided"));
            }
            Stage::Waiting if !ends_alone(scope, state, process) => {
                return Some(format!("{process} waits for ever: {state:?}"));
            }
            _ => {}
        }
    }
    let mut once = HashSet::new();
    let twice = state.log.iter().find(|op| !once.insert(**op));
    twice.map(|op| format!("{op} is decided twice"))
}

/// Whether a process comes to its end by its own steps and the time that passes, while all others stand
/// still for ever. Letters that are there already are read first, or never.
fn ends_alone(scope: &Scope, state: &State, process: u8) -> bool {
    [true, false].into_iter().all(|reads| {
        let mut alone = state.clone();
        for _ in 0..ALONE_MAX {
            if matches!(alone.processes[usize::from(process)], Stage::Told { .. }) {
                return true;
            }
            let own = scope.of_process(&alone, process);
            let is_letter =
                |action: &&Action| matches!(action, Action::Deliver(_) | Action::Read(_));
            let letter = own.iter().find(is_letter).filter(|_| reads);
            let other = own.iter().find(|action| !is_letter(action));
            // Patience is longer than a turn: it has run out by then.
            let waits = matches!(other, Some(Action::Patience(_))) && letter.is_none();
            if waits && scope.may_expire(&alone) && alone.redis.turn != Some(process) {
                scope.step(&mut alone, Action::Expire);
            }
            match letter.or(other) {
                Some(action) => scope.step(&mut alone, *action),
                None => return false,
            }
        }
        false
    })
}
