//! What a step does. One function is one script or one call of the object store; the rest of a
//! process's work between two requests is local and part of the step before.

use std::sync::Arc;

use super::actions::Action;
use super::bugs::Bug;
use super::redis::{Accepted, Known, Redis, Seal};
use super::round::{build, plan_fold, reads_areas};
use super::state::{Behind, Helper, Progress, Scope, Stage, State, What};
use super::values::{Entry, Op, Outcome, Verdict, call_of};

impl Scope {
    /// Takes one step.
    pub fn step(&self, state: &mut State, action: &Action) {
        match *action {
            Action::Stage { call, at, reply } => self.stage(state, call, at, reply),
            Action::Submit { call, at, reply } => self.submit(state, call, at, reply),
            Action::Status { call, at } => {
                let known = state.at(at).map(|redis| redis.status(self.op_id(state, call.into())));
                if let Some(Known::Decided(outcome)) = known {
                    self.tell(state, call, outcome);
                }
            }
            Action::FindInLog { call } => {
                if let Some(outcome) = state.decided(self.op_id(state, call.into())) {
                    self.tell(state, call, outcome);
                }
            }
            Action::Cancel { call, at } => {
                let op = self.op_id(state, call.into());
                state.at_mut(at).cancel(op, self.bug);
                state.cancels_left -= 1;
            }
            Action::Forget { call } => forget(state, call.into()),
            Action::View { at, by } => self.view(state, at, by),
            Action::Look { at } => {
                let done = state.at(at).map_or(0, |redis| redis.done);
                state.helpers.push(Helper { at, by: None, stage: Stage::Following { done } });
            }
            Action::Load(helper) => self.load(state, helper),
            Action::Ahead(helper) => self.prepare_ahead(state, helper),
            Action::DecideAhead(helper) => decide_ahead(state, helper),
            Action::Decide { helper, reply } => self.decide(state, helper, reply),
            Action::Publish { helper, reply } => self.publish(state, helper, reply),
            Action::Successor(helper) => self.successor(state, helper),
            Action::ReadBack { at } => {
                let stage = Stage::Restoring { entries: state.log.len() };
                state.helpers.push(Helper { at, by: None, stage });
            }
            Action::Restore(helper) => self.restore(state, helper),
            Action::Adopt { at } => {
                let done = state.at(at).map_or(0, |redis| redis.done);
                if let Some(entry) = state.entry(done + 1).cloned() {
                    state.at_mut(at).publish(&entry, self.bug);
                }
            }
            Action::Crash(helper) => self.crash(state, helper),
            Action::Save | Action::RollBack(_) | Action::Wipe | Action::Split(_) => {
                self.fault(state, action);
            }
        }
        state.helpers.sort();
    }

    /// A round ends where it stands. Where it is known whose it was, its client ends with it.
    fn crash(&self, state: &mut State, helper: usize) {
        let by = state.helpers.remove(helper).by;
        for (index, call) in self.calls.iter().enumerate() {
            let is_accepted = matches!(state.calls[index], Progress::Accepted { .. });
            if Some(call.client) == by && is_accepted {
                forget(state, index);
            }
        }
    }

    /// A client learns that its op was accepted: what others stage from now on is not for it.
    fn note_later(&self, state: &mut State, index: usize) {
        if self.calls[index].what == What::Seal {
            let calls = self.calls.iter().zip(&state.calls).zip(0..);
            let new = calls.filter(|((call, progress), _)| {
                matches!(call.what, What::Stage(_)) && **progress == Progress::New
            });
            state.history.later[index] = new.map(|(_, write)| write).collect();
        }
    }

    fn begin(&self, state: &mut State, call: u8) {
        if self.real_time && state.calls[usize::from(call)] == Progress::New {
            state.history.began[usize::from(call)] = state.history.told.len() as u8;
        }
    }

    fn tell(&self, state: &mut State, call: u8, outcome: Outcome) {
        state.calls[usize::from(call)] = Progress::Told(outcome);
        if self.real_time {
            state.history.told.push(call);
        }
    }

    fn stage(&self, state: &mut State, call: u8, at: u8, reply: bool) {
        let What::Stage(path) = self.calls[usize::from(call)].what else { return };
        self.begin(state, call);
        if self.keeps_all() && !state.history.staged.contains(&call) {
            state.history.staged.push(call);
        }
        state.at_mut(at).stage(call, path, self.bug);
        match reply {
            true => self.tell(state, call, Outcome { ticket: 0, verdict: Verdict::Committed }),
            false => state.calls[usize::from(call)] = Progress::Asked,
        }
    }

    fn submit(&self, state: &mut State, call: u8, at: u8, reply: bool) {
        let index = usize::from(call);
        let op = self.op_id(state, index);
        let what = self.calls[index].what;
        let progress = state.calls[index];
        self.begin(state, call);
        if what == What::Fold && state.plans[index].is_none() {
            let position = state.at(at).map_or(0, |redis| redis.position);
            state.plans[index] = state.entry(position).and_then(|entry| plan_fold(&entry.levels));
        }
        // An op that may be known elsewhere is decided by the log, even if nothing is staged now.
        let first = progress == Progress::New || self.bug == Some(Bug::SettlesLostSeals);
        let lost = matches!(progress, Progress::Accepted { .. });
        let seal = match what {
            What::Seal if first => Seal::Staged,
            // What is staged by now may be somebody else's.
            What::Seal if lost && self.bug != Some(Bug::LostSealsAnew) => Seal::No,
            What::Seal => Seal::StagedOrEmpty,
            _ => Seal::No,
        };
        let redis = state.at_mut(at);
        let accepted = redis.submit(op, seal, self.bug);
        let position = redis.queue.len() as u8;
        match accepted {
            Accepted::Queued => self.note_acceptance(state, op, at),
            Accepted::Decided(outcome) if reply => return self.tell(state, call, outcome),
            Accepted::NothingStaged if reply && progress == Progress::New => {
                state.calls[index] = Progress::Refused;
                return;
            }
            Accepted::NothingStaged if reply => {
                let outcome = Outcome { ticket: 0, verdict: Verdict::NoChanges };
                return self.tell(state, call, outcome);
            }
            _ => {}
        }
        state.calls[index] = match progress {
            Progress::Accepted { .. } => progress,
            _ if !reply || self.forgetful => Progress::Asked,
            _ => {
                self.note_later(state, index);
                Progress::Accepted { position: if self.counted { position } else { 0 }, rounds: 0 }
            }
        };
    }

    fn note_acceptance(&self, state: &mut State, op: Op, at: u8) {
        if !self.keeps_all() || state.history.accepted.contains(&op) {
            return;
        }
        state.history.accepted.push(op);
        if self.calls[call_of(op)].what != What::Seal {
            return;
        }
        let Some(redis) = state.at(at).cloned() else { return };
        let others = redis.sealed.iter().filter(|area| area.owner != Some(op));
        let writes = others.flat_map(|area| redis.areas.get(&area.id).into_iter().flatten());
        state.history.passed_over[call_of(op)] = writes.map(|(_, write)| *write).collect();
    }

    fn view(&self, state: &mut State, at: u8, by: Option<u8>) {
        if self.bug == Some(Bug::TurnIsALock) {
            state.at_mut(at).locked = true;
        }
        self.count_round(state, by);
        let Some(view) = state.at(at).map(|redis| redis.view(self.batch_max)) else { return };
        let stage = match reads_areas(self, &view) {
            true => Stage::Viewed(view),
            // Nothing has to be read: the entry is made in memory.
            false => match build(self, state, at, &view) {
                Some(entry) => self.built(state, entry),
                None => return,
            },
        };
        state.helpers.push(Helper { at, by, stage });
    }

    fn count_round(&self, state: &mut State, by: Option<u8>) {
        for (call, progress) in self.calls.iter().zip(&mut state.calls) {
            if let Progress::Accepted { rounds, .. } = progress
                && Some(call.client) == by
            {
                *rounds += 1;
            }
        }
    }

    fn built(&self, state: &mut State, entry: Entry) -> Stage {
        if self.bug == Some(Bug::TellsEarly) {
            for (op, outcome) in entry.outcomes() {
                if !matches!(state.calls[call_of(op)], Progress::Told(_)) {
                    self.tell(state, op, outcome);
                }
            }
        }
        let entry = Arc::new(entry);
        match self.bug {
            Some(Bug::PublishEarly) => Stage::decided(entry, true),
            _ => Stage::built(entry),
        }
    }

    fn load(&self, state: &mut State, index: usize) {
        let Helper { at, by, stage: Stage::Viewed(view) } = state.helpers.remove(index) else {
            return;
        };
        if let Some(entry) = build(self, state, at, &view) {
            let stage = self.built(state, entry);
            state.helpers.push(Helper { at, by, stage });
        }
    }

    fn prepare_ahead(&self, state: &mut State, index: usize) {
        let Some(behind) = self.prepared_ahead(state, &state.helpers[index]).map(Arc::new) else {
            return;
        };
        match &mut state.helpers[index].stage {
            // Decides what it has prepared, and not what that stands on.
            stage if self.bug == Some(Bug::AheadEarly) => *stage = Stage::built(behind),
            Stage::Built { ahead, .. } => *ahead = Some(behind),
            _ => {}
        }
    }

    fn decide(&self, state: &mut State, index: usize, reply: bool) {
        let Helper { at, by, stage: Stage::Built { mut entry, ahead } } =
            state.helpers.remove(index)
        else {
            return;
        };
        let mut found = state.entry(entry.first).cloned();
        match self.bug {
            Some(Bug::DecideOverwrites) => {
                state.log.retain(|each| each.first != entry.first);
                found = None;
            }
            Some(Bug::DecideElsewhere) if found.is_some() => {
                Arc::make_mut(&mut entry).first = state.next();
                found = None;
            }
            _ => {}
        }
        let (entry, mine) = match found {
            None => {
                create(state, &entry);
                (entry, true)
            }
            Some(found) => match found == entry || self.bug == Some(Bug::BelievesItself) {
                // What is there is what was to be written: an own success whose reply was lost.
                true => (entry, true),
                false => (found, false),
            },
        };
        let stage = match (reply, mine, ahead) {
            (true, true, ahead) => Stage::Decided { entry, mine, ahead: ahead.map(Behind::Ready) },
            (true, false, Some(ahead)) if self.bug == Some(Bug::AheadStays) => Stage::built(ahead),
            // What was prepared stands on what did not come to be.
            (true, false, _) => Stage::decided(entry, mine),
            (false, _, ahead) => Stage::Built { entry, ahead },
        };
        if !(self.merged && reply) && self.bug != Some(Bug::PublishEarly) {
            state.helpers.push(Helper { at, by, stage });
        }
    }

    fn publish(&self, state: &mut State, index: usize, reply: bool) {
        let Helper { at, by, stage: Stage::Decided { entry, mine, ahead } } =
            state.helpers.remove(index)
        else {
            return;
        };
        if state.at(at).is_none() {
            return;
        }
        let begins = state.at(at).is_some_and(|redis| redis.done + 1 == entry.first);
        let is_over = state.at_mut(at).publish(&entry, self.bug);
        let stage = match (reply && is_over, mine, ahead) {
            (true, true, _) if self.bug == Some(Bug::PublishEarly) => Stage::built(entry),
            // The next round begins with what is there already.
            (true, true, Some(behind)) if begins => {
                // Its client is told before it begins the next round.
                for (op, outcome) in entry.outcomes() {
                    let asks = matches!(state.calls[call_of(op)], Progress::Accepted { .. });
                    if asks && Some(self.calls[call_of(op)].client) == by {
                        self.tell(state, call_of(op) as u8, outcome);
                    }
                }
                self.count_round(state, by);
                match behind {
                    Behind::Ready(entry) => Stage::built(entry),
                    Behind::Decided { entry, mine } => Stage::decided(entry, mine),
                }
            }
            (true, true, _) => return,
            (true, false, _) => Stage::Following { done: entry.last() },
            (false, _, ahead) => Stage::Decided { entry, mine, ahead },
        };
        state.helpers.push(Helper { at, by, stage });
    }

    fn successor(&self, state: &mut State, index: usize) {
        let Helper { at, by, stage: Stage::Following { done } } = state.helpers.remove(index)
        else {
            return;
        };
        if let Some(entry) = state.entry(done + 1).cloned() {
            state.helpers.push(Helper { at, by, stage: Stage::decided(entry, false) });
        }
    }

    fn restore(&self, state: &mut State, index: usize) {
        let Helper { at, by, stage: Stage::Restoring { entries } } = state.helpers.remove(index)
        else {
            return;
        };
        let place = &mut state.redis[usize::from(at)];
        let redis =
            place.get_or_insert_with(|| Arc::new(Redis::restore(&state.log[..entries], self.bug)));
        // What was decided while the log was read comes with a look at the branch.
        let done = redis.done;
        if !self.merged {
            state.helpers.push(Helper { at, by, stage: Stage::Following { done } });
        }
    }
}

/// Creates a log entry at its place, which is free.
fn create(state: &mut State, entry: &Arc<Entry>) {
    let at = state.log.iter().take_while(|each| each.first < entry.first).count();
    state.log.insert(at, Arc::clone(entry));
}

/// The entry behind one that is decided is created if absent, before that is published.
fn decide_ahead(state: &mut State, index: usize) {
    let Stage::Decided { ahead: Some(Behind::Ready(entry)), .. } = &state.helpers[index].stage
    else {
        return;
    };
    let entry = Arc::clone(entry);
    let found = state.entry(entry.first).cloned();
    if found.is_none() {
        create(state, &entry);
    }
    let mine = found.as_ref().is_none_or(|found| *found == entry);
    let decided = Behind::Decided { entry: found.unwrap_or(entry), mine };
    if let Stage::Decided { ahead, .. } = &mut state.helpers[index].stage {
        *ahead = Some(decided);
    }
}

/// A client ends and starts again: what it asks for then is a commit of what is staged then.
fn forget(state: &mut State, call: usize) {
    state.calls[call] = Progress::Asked;
    state.history.later[call].clear();
}
