//! What Redis can do to its users. Crashes and lost replies are steps of their own and of the
//! calls (`actions.rs`).
//!
//! Redis goes back to *any* earlier state: it may save its state at any moment, one for each loss
//! that is left, and a loss brings one of those back or leaves nothing at all. A second primary
//! begins with the present state, an earlier one, or nothing, and both serve from then on.

use std::sync::Arc;

use super::actions::{Action, Source};
use super::state::{Scope, State};

impl Scope {
    pub(super) fn faults(&self, state: &State, actions: &mut Vec<Action>) {
        let may_split = self.split && state.redis.len() == 1;
        let saves_max =
            usize::from(state.losses_left).max(usize::from(may_split && self.losses > 0));
        if let Some(redis) = state.at(0) {
            if state.earlier.len() < saves_max && state.earlier.last() != Some(redis) {
                actions.push(Action::Save);
            }
            if state.losses_left > 0 {
                let others = (0..state.earlier.len()).filter(|each| state.earlier[*each] != *redis);
                actions.extend(others.map(Action::RollBack));
                actions.push(Action::Wipe);
            }
            if may_split {
                actions.push(Action::Split(Source::Present));
            }
        }
        if may_split {
            let earlier = (0..state.earlier.len()).map(Source::Earlier);
            actions.extend(earlier.chain([Source::Nothing]).map(Action::Split));
        }
    }

    pub(super) fn fault(&self, state: &mut State, action: &Action) {
        match action {
            Action::Save => state.earlier.extend(state.redis[0].clone()),
            Action::RollBack(to) => {
                state.redis[0] = Some(Arc::clone(&state.earlier[*to]));
                // It can be saved again; what came after it never was.
                state.earlier.truncate(*to);
                state.losses_left -= 1;
            }
            Action::Wipe => {
                state.redis[0] = None;
                state.earlier.clear();
                state.losses_left -= 1;
            }
            Action::Split(source) => {
                let second = match source {
                    Source::Present => state.redis[0].clone(),
                    Source::Earlier(index) => Some(Arc::clone(&state.earlier[*index])),
                    Source::Nothing => None,
                };
                state.redis.push(second);
            }
            _ => {}
        }
        if state.losses_left == 0 && (!self.split || state.redis.len() > 1) {
            state.earlier.clear();
        }
    }
}
