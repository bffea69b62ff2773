//! Which steps can be taken in a state.

use super::bugs::Bug;
use super::redis::Known;
use super::round::plan_fold;
use super::state::{Behind, Progress, Scope, Stage, State, What};
use super::values::Op;

/// One request and what its answer makes of the one who asked; or a fault.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// `stage.lua`; `reply`: whether the answer arrives.
    Stage { call: u8, at: u8, reply: bool },
    /// `submit.lua`: first, again, or again after a loss (`reconcile.rs`).
    Submit { call: u8, at: u8, reply: bool },
    /// `status.lua`, or the outcome stream: an outcome that Redis has.
    Status { call: u8, at: u8 },
    /// `reconcile.rs`, `find_in_log`: an outcome that the log has.
    FindInLog { call: u8 },
    /// `cancel.lua`
    Cancel { call: u8, at: u8 },
    /// The client ends and starts again, and knows only what it wants.
    Forget { call: u8 },
    /// `view.lua`: a round begins.
    View { at: u8, by: Option<u8> },
    /// `view.lua` after a doubt: the log is to be followed.
    Look { at: u8 },
    /// `staged.lua`: the sealed areas of a batch are read.
    Load(usize),
    /// `view.lua` behind the batch that a round is about to decide (`ahead.rs`).
    Ahead(usize),
    /// The log entry behind a decided one is created if absent (`deciding.rs`).
    DecideAhead(usize),
    /// The log entry is created if absent (`lake.rs`).
    Decide { helper: usize, reply: bool },
    /// `publish.lua`
    Publish { helper: usize, reply: bool },
    /// The next log entry is read (`round.rs`, `follow`).
    Successor(usize),
    /// The log is read (`restore.rs`, `read_back`).
    ReadBack { at: u8 },
    /// `restore.lua`
    Restore(usize),
    /// `Look`, `Successor` and `Publish` in one, where steps are merged.
    Adopt { at: u8 },
    /// A round ends where it stands, with its process.
    Crash(usize),
    /// Redis saves its state.
    Save,
    /// Redis goes back to a state that it had.
    RollBack(usize),
    /// Redis loses everything.
    Wipe,
    /// A second primary appears, with the present state, an earlier one, or nothing.
    Split(Source),
}

/// What a second primary has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Present,
    Earlier(usize),
    Nothing,
}

impl Scope {
    /// Every step that can be taken in `state`.
    pub fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        for call in 0..self.calls.len() {
            if self.may_call(state, call) {
                self.calls_of_a_client(state, call, actions);
            }
        }
        self.rounds(state, actions);
        self.faults(state, actions);
    }

    /// A client makes its calls in order. Of clients that want the same, the first begins first:
    /// they differ by name only.
    fn may_call(&self, state: &State, call: usize) -> bool {
        let answered = |progress| matches!(progress, Progress::Told(_) | Progress::Refused);
        let client = self.calls[call].client;
        let mut before = (0..call).filter(|each| self.calls[*each].client == client);
        if !before.all(|each| answered(state.calls[each])) {
            return false;
        }
        let first = |client: u8| self.calls.iter().position(|call| call.client == client);
        let wants = |client: u8| {
            self.calls.iter().filter(move |call| call.client == client).map(|call| call.what)
        };
        let waits_for = client.checked_sub(1).filter(|other| wants(*other).eq(wants(client)));
        match waits_for.and_then(first) {
            Some(theirs) if first(client) == Some(call) && state.calls[call] == Progress::New => {
                state.calls[theirs] != Progress::New
            }
            _ => true,
        }
    }

    fn calls_of_a_client(&self, state: &State, index: usize, actions: &mut Vec<Action>) {
        let call = index as u8;
        let progress = state.calls[index];
        if matches!(progress, Progress::Told(_) | Progress::Refused) {
            return;
        }
        let what = self.calls[index].what;
        let op = self.op_id(state, index);
        for at in 0..state.redis.len() as u8 {
            let Some(redis) = state.at(at) else { continue };
            if matches!(what, What::Stage(_)) {
                actions.push(Action::Stage { call, at, reply: true });
                if self.lost_replies {
                    actions.push(Action::Stage { call, at, reply: false });
                }
                continue;
            }
            let known = redis.status(op);
            if state.cancels_left > 0 && matches!(known, Known::Pending(_)) {
                actions.push(Action::Cancel { call, at });
            }
            if let Progress::Accepted { .. } = progress {
                match known {
                    Known::Decided(_) => actions.push(Action::Status { call, at }),
                    Known::Unknown if state.decided(op).is_none() => {
                        actions.push(Action::Submit { call, at, reply: true });
                    }
                    _ => {}
                }
                continue;
            }
            let idle = self.forgetful && matches!(known, Known::Pending(_));
            if idle && self.bug != Some(Bug::SubmitForgets) {
                continue;
            }
            if what == What::Fold && state.plans[index].is_none() {
                let levels = state.entry(redis.position).map(|entry| entry.levels.as_slice());
                if levels.and_then(plan_fold).is_none() {
                    continue;
                }
            }
            actions.push(Action::Submit { call, at, reply: true });
            if self.lost_replies && !self.forgetful && known == Known::Unknown {
                actions.push(Action::Submit { call, at, reply: false });
            }
        }
        let asked = progress == Progress::Asked && self.forgetful;
        if (asked || matches!(progress, Progress::Accepted { .. })) && state.decided(op).is_some() {
            actions.push(Action::FindInLog { call });
        }
        if matches!(progress, Progress::Accepted { .. }) {
            actions.push(Action::Forget { call });
        }
    }

    /// The op id that a call has, or gets with its next try.
    pub fn op_id(&self, state: &State, call: usize) -> Op {
        let again = self.bug == Some(Bug::NewIds) && state.calls[call] == Progress::Asked;
        call as Op + if again { 16 } else { 0 }
    }

    fn rounds(&self, state: &State, actions: &mut Vec<Action>) {
        let room = state.helpers.len() < self.helpers;
        for at in 0..state.redis.len() as u8 {
            let Some(redis) = state.at(at) else {
                if room {
                    actions.push(Action::ReadBack { at });
                }
                continue;
            };
            if room && !redis.queue.is_empty() && !redis.locked {
                match self.counted {
                    false => actions.push(Action::View { at, by: None }),
                    true => self.counted_views(state, at, actions),
                }
            }
            if state.entry(redis.done + 1).is_some() {
                match self.merged {
                    true => actions.push(Action::Adopt { at }),
                    false if room => actions.push(Action::Look { at }),
                    false => {}
                }
            }
        }
        for (index, helper) in state.helpers.iter().enumerate() {
            if index > 0 && state.helpers[index - 1] == *helper {
                continue;
            }
            actions.push(self.next_of(index, &helper.stage));
            if self.ahead && self.prepared_ahead(state, helper).is_some() {
                actions.push(Action::Ahead(index));
            }
            if let Stage::Decided { ahead: Some(Behind::Ready(_)), .. } = &helper.stage {
                actions.push(Action::DecideAhead(index));
            }
            match &helper.stage {
                Stage::Built { entry, .. }
                    if self.lost_replies && state.entry(entry.first).is_none() =>
                {
                    actions.push(Action::Decide { helper: index, reply: false });
                }
                Stage::Decided { .. } if self.lost_replies => {
                    actions.push(Action::Publish { helper: index, reply: false });
                }
                _ => {}
            }
            actions.push(Action::Crash(index));
        }
    }

    /// A client looks for the outcome of its ops before it runs a round, and runs one at a time.
    fn counted_views(&self, state: &State, at: u8, actions: &mut Vec<Action>) {
        let clients = self.calls.last().map_or(0, |call| call.client + 1);
        for client in 0..clients {
            let busy = state.helpers.iter().any(|helper| helper.by == Some(client));
            let waits_in_vain = self.calls.iter().enumerate().any(|(index, call)| {
                let accepted = matches!(state.calls[index], Progress::Accepted { .. });
                let known = state.at(at).map(|redis| redis.status(index as Op));
                call.client == client && accepted && matches!(known, Some(Known::Decided(_)))
            });
            if !busy && !waits_in_vain {
                actions.push(Action::View { at, by: Some(client) });
            }
        }
    }

    /// What a round does next.
    pub fn next_of(&self, helper: usize, stage: &Stage) -> Action {
        match stage {
            Stage::Viewed(_) => Action::Load(helper),
            Stage::Built { .. } => Action::Decide { helper, reply: true },
            Stage::Decided { .. } => Action::Publish { helper, reply: true },
            Stage::Following { .. } => Action::Successor(helper),
            Stage::Restoring { .. } => Action::Restore(helper),
        }
    }
}
