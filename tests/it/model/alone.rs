//! Wait-freedom, as something that can be checked of a single state: everybody else is frozen where
//! they stand, for ever, and one client runs. The schedule is made of the model's own steps.

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use onward::internals::invariants::{Held, Invariant, Violation, within_rounds};

use super::actions::Action;
use super::redis::Known;
use super::state::{Helper, Progress, Scope, Stage, State, What};

/// Runs that were found to keep their bound, by what they depend on. A run alone meets its own
/// Redis, the log and its own call, and nothing else of a state.
const SEEN_MAX: usize = 1 << 21;

thread_local! {
    static SEEN: RefCell<HashSet<u64>> = RefCell::default();
}

fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Requests in one round and what follows from it, at most: far more than any takes.
const REQUESTS_MAX: usize = 64;

impl Scope {
    /// In this state any client that has asked for an op finishes it by itself within its bound,
    /// at any Redis, from the beginning or from the middle of any round.
    pub fn finishes_alone(&self, state: &State) -> Held {
        let asked = |progress| matches!(progress, Progress::Asked | Progress::Accepted { .. });
        for call in (0..self.calls.len()).filter(|call| asked(state.calls[*call])) {
            if matches!(self.calls[call].what, What::Stage(_)) {
                continue;
            }
            for at in 0..state.redis.len() as u8 {
                self.runs_alone_once(state, call, at, None)?;
                for (index, helper) in state.helpers.iter().enumerate() {
                    let of_client = helper.by.is_none_or(|by| by == self.calls[call].client);
                    let new = index == 0 || state.helpers[index - 1] != *helper;
                    if helper.at == at && of_client && new {
                        self.runs_alone_once(state, call, at, Some(helper.clone()))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// [`Self::runs_alone`], once for all states in which all that the client can meet is the same.
    fn runs_alone_once(
        &self,
        state: &State,
        call: usize,
        at: u8,
        under_way: Option<Helper>,
    ) -> Held {
        let met = (self.name, self.bug, call, state.calls[call], at, state.at(at));
        let key = fingerprint(&(met, &state.log, &state.plans, &under_way));
        if SEEN.with_borrow(|seen| seen.contains(&key)) {
            return Ok(());
        }
        self.runs_alone(state, call, at, under_way)?;
        SEEN.with_borrow_mut(|seen| {
            if seen.len() >= SEEN_MAX {
                seen.clear();
            }
            seen.insert(key);
        });
        Ok(())
    }

    fn runs_alone(&self, state: &State, call: usize, at: u8, under_way: Option<Helper>) -> Held {
        let done = state.at(at).map_or(0, |redis| redis.done);
        let behind = state.log.iter().filter(|entry| entry.first > done).count() as u64;
        let mut alone = state.clone();
        let begun = |stage: &Stage| matches!(stage, Stage::Viewed(_) | Stage::Built { .. });
        let mut rounds = u64::from(under_way.as_ref().is_some_and(|helper| begun(&helper.stage)));
        alone.helpers = under_way.into_iter().collect();
        self.run_to_its_end(&mut alone, at)?;
        let mut position = None;
        loop {
            if alone.at(at).is_none() {
                self.step(&mut alone, &Action::ReadBack { at });
                self.run_to_its_end(&mut alone, at)?;
            }
            let op = self.op_id(&alone, call);
            let Some(redis) = alone.at(at) else { return stuck(call, "there is no branch") };
            match redis.status(op) {
                Known::Decided(_) => return Ok(()),
                // What the log has and this Redis does not yet is found in the log.
                Known::Unknown if alone.decided(op).is_some() => return Ok(()),
                Known::Unknown if position.is_some() => return stuck(call, "it is lost again"),
                Known::Unknown => {
                    self.step(&mut alone, &Action::Submit { call: call as u8, at, reply: true });
                    match alone.calls[call] {
                        Progress::Told(_) | Progress::Refused => return Ok(()),
                        _ => continue,
                    }
                }
                Known::Pending(ticket) => {
                    position.get_or_insert(u64::from(ticket - redis.done));
                }
            }
            if redis.locked || redis.queue.is_empty() {
                return stuck(call, "no round can begin");
            }
            rounds += 1;
            let (position, batch_max) = (position.unwrap_or(1), self.batch_max as u64);
            within_rounds(call, rounds, position, batch_max, behind)?;
            let by = self.counted.then(|| self.calls[call].client);
            self.step(&mut alone, &Action::View { at, by });
            self.run_to_its_end(&mut alone, at)?;
        }
    }

    /// Goes on with the round under way until it ends. Whether its bound holds is not its matter.
    fn run_to_its_end(&self, alone: &mut State, at: u8) -> Held {
        for _ in 0..REQUESTS_MAX {
            let Some(helper) = alone.helpers.first() else {
                let done = alone.at(at).map(|redis| redis.done);
                match done {
                    Some(done) if self.merged && alone.entry(done + 1).is_some() => {
                        self.step(alone, &Action::Adopt { at });
                        continue;
                    }
                    _ => return Ok(()),
                }
            };
            let next = self.next_of(0, &helper.stage);
            self.step(alone, &next);
        }
        stuck(0, "a round does not end")
    }
}

fn stuck(call: usize, why: &str) -> Held {
    let seen = format!("call {call} cannot be finished by its client alone: {why}");
    Err(Violation { invariant: Invariant::RoundsBound, seen })
}
