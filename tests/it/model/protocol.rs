//! The protocol as stateright sees it: a scope is a model, an invariant is a property.

use onward::internals::invariants::Invariant;
use stateright::{Model, Property};

use super::actions::Action;
use super::possible;
use super::state::{Scope, State};

macro_rules! invariants {
    ($($invariant:ident),*) => {
        vec![$(Property::always(Invariant::$invariant.name(), |scope: &Scope, state: &State| {
            scope.holds(state, Invariant::$invariant).is_ok()
        })),*]
    };
}

impl Model for Scope {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.step(&mut next, &action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = invariants!(
            RoundsBound,
            OneOutcome,
            DecidedOnce,
            Identity,
            Order,
            NothingLost,
            NotAhead,
            NoFork,
            NoGap,
            Chain,
            StagedOnce,
            StagedInTime
        );
        properties.extend(possible::of(self));
        properties
    }
}
