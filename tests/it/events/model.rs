//! The protocol of a sink's place, explored: every order of deciding, taking over, delivering, saving and dying of two
//! processes on one branch, with a store that compares before it writes (the worst there is).
//!
//! A place is the number of events in front of it. What the store compares is the whole record, epoch and place.

use stateright::{Checker, Model, Property};

/// Events that are decided, at most.
const EVENTS: u8 = 3;

/// How often the sink is taken over, at most.
const EPOCHS: u8 = 3;

/// The record as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Record {
    epoch: u8,
    place: u8,
}

/// A process that has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Worker {
    /// The record as it has last read or written it.
    known: Record,
    /// Where it is.
    place: u8,
    /// Whether it has compared, and is about to write.
    compared: Option<Record>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    decided: u8,
    stored: Record,
    workers: [Option<Worker>; 2],
    /// Events that have come, by the first time that each did.
    came: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Action {
    Decide,
    TakeOver(usize),
    Deliver(usize),
    Compare(usize),
    Write(usize),
    Die(usize),
}

/// What may be wrong with the protocol, so that it can be seen that the exploration finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bug {
    None,
    /// The place is saved before what is in front of it was delivered.
    SavesFirst,
    /// Who takes over begins at the end of the log.
    BeginsAtTheEnd,
}

struct Places(Bug);

impl Places {
    fn next(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Decide => {
                next.decided = (state.decided < EVENTS).then_some(state.decided + 1)?
            }
            Action::TakeOver(at) => {
                // It writes what it has read, under an epoch of its own.
                let epoch = (state.stored.epoch < EPOCHS).then_some(state.stored.epoch + 1)?;
                let known = Record { epoch, ..state.stored };
                next.stored = known;
                let place = if self.0 == Bug::BeginsAtTheEnd { state.decided } else { known.place };
                next.workers[at] = Some(Worker { known, place, compared: None });
            }
            Action::Deliver(at) => {
                let worker = next.workers[at].as_mut()?;
                (worker.compared.is_none() && worker.place < state.decided).then_some(())?;
                if !next.came.contains(&worker.place) {
                    next.came.push(worker.place);
                }
                worker.place += 1;
            }
            Action::Compare(at) => {
                let worker = next.workers[at].as_mut()?;
                worker.compared.is_none().then_some(())?;
                if worker.known != state.stored {
                    // Somebody else has taken over: it stops.
                    next.workers[at] = None;
                    return Some(next);
                }
                let ahead = u8::from(self.0 == Bug::SavesFirst && worker.place < state.decided);
                worker.compared = Some(Record { place: worker.place + ahead, ..worker.known });
            }
            Action::Write(at) => {
                let worker = next.workers[at].as_mut()?;
                // Whatever was written since it compared is written over.
                next.stored = worker.compared.take()?;
                worker.known = next.stored;
            }
            Action::Die(at) => {
                next.workers[at].take()?;
            }
        }
        Some(next)
    }
}

impl Model for Places {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let stored = Record { epoch: 0, place: 0 };
        vec![State { decided: 0, stored, workers: [None; 2], came: Vec::new() }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let of_worker = |at| {
            let all =
                [Action::TakeOver, Action::Deliver, Action::Compare, Action::Write, Action::Die];
            all.map(|action: fn(usize) -> Action| action(at))
        };
        let all = [Action::Decide].into_iter().chain((0..2).flat_map(of_worker));
        actions.extend(all.filter(|action| self.next(state, *action).is_some()));
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.next(state, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "everything in front of the stored place has come",
                |_, state: &State| (0..state.stored.place).all(|event| state.came.contains(&event)),
            ),
            Property::always(
                "events come in order, by the first time of each",
                |_, state: &State| {
                    state.came.iter().enumerate().all(|(at, event)| at == usize::from(*event))
                },
            ),
            Property::sometimes("all of it comes, over several take-overs", |_, state: &State| {
                state.came.len() == usize::from(EVENTS) && state.stored.epoch == EPOCHS
            }),
        ]
    }
}

#[test]
fn no_order_of_writes_makes_a_place_that_something_undelivered_is_in_front_of() {
    let explored = Places(Bug::None).checker().spawn_bfs().join();
    explored.assert_properties();
    assert!(explored.unique_state_count() > 1000, "{}", explored.unique_state_count());
    for bug in [Bug::SavesFirst, Bug::BeginsAtTheEnd] {
        let explored = Places(bug).checker().spawn_bfs().join();
        let found = explored.discoveries();
        assert!(
            found.keys().any(|name| *name != "all of it comes, over several take-overs"),
            "{bug:?}"
        );
    }
}
