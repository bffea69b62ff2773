//! Which steps there are, and what each does.

use super::state::{Bug, Letter, Process, Redis, Scope, Stage, State};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Submit(Process),
    Decide(Process),
    /// `letters`: whether the program that publishes knows inboxes.
    Publish {
        by: Process,
        letters: bool,
    },
    Deliver(Process),
    Read(Process),
    Patience(Process),
    Expire,
    Kill(Process),
    /// A letter is lost on its way to a process.
    Lose(Process),
    /// An inbox loses its oldest letter.
    Forget(Process),
    Save,
    RollBack,
}

/// Letters in an inbox, at most.
const INBOX: usize = 2;

impl Scope {
    /// Every step that can be taken.
    pub fn possible(&self, state: &State) -> Vec<Action> {
        let mut actions: Vec<Action> =
            (0..self.processes).flat_map(|process| self.of_process(state, process)).collect();
        if self.may_expire(state) {
            actions.push(Action::Expire);
        }
        if state.rolls > 0 {
            match &state.earlier {
                None => actions.push(Action::Save),
                Some(earlier) if *earlier != state.redis => actions.push(Action::RollBack),
                Some(_) => {}
            }
        }
        for process in 0..self.processes {
            let at = usize::from(process);
            if state.kills > 0 && !matches!(state.processes[at], Stage::Dead | Stage::New) {
                actions.push(Action::Kill(process));
            }
            if state.losses > 0 && state.under_way[at].is_some() {
                actions.push(Action::Lose(process));
            }
            if state.losses > 0 && !state.redis.inboxes[at].is_empty() {
                actions.push(Action::Forget(process));
            }
        }
        actions
    }

    /// Turns run out by themselves.
    pub fn may_expire(&self, state: &State) -> bool {
        state.redis.turn.is_some() && self.bug != Some(Bug::TurnIsALock)
    }

    /// What a process does by itself.
    pub fn of_process(&self, state: &State, process: Process) -> Vec<Action> {
        let at = usize::from(process);
        let reads = || {
            let letter = match state.under_way[at] {
                Some(_) => Some(Action::Read(process)),
                None if state.redis.inboxes[at].is_empty() => None,
                None => Some(Action::Deliver(process)),
            };
            letter.into_iter()
        };
        match &state.processes[at] {
            Stage::Dead => Vec::new(),
            Stage::New => vec![Action::Submit(process)],
            Stage::Built(..) => vec![Action::Decide(process)],
            Stage::Decided => {
                let mut ways = vec![Action::Publish { by: process, letters: true }];
                if state.silent > 0 {
                    ways.push(Action::Publish { by: process, letters: false });
                }
                ways
            }
            Stage::Told { keeps: false } => Vec::new(),
            Stage::Told { keeps: true } => reads().collect(),
            Stage::Waiting => match self.bug {
                Some(Bug::NoPatience) => reads().collect(),
                _ => reads().chain([Action::Patience(process)]).collect(),
            },
        }
    }

    pub fn step(&self, state: &mut State, action: Action) {
        match action {
            Action::Submit(process) => self.submit(state, process),
            Action::Decide(by) => {
                // One who was overtaken publishes what is there.
                let Stage::Built(first, batch) = stage(state, by, Stage::Decided) else { return };
                if state.log.len() == first {
                    state.log.extend(&batch);
                }
            }
            Action::Publish { by, letters } => self.publish(state, by, letters),
            Action::Deliver(process) => {
                let inbox = &mut state.redis.inboxes[usize::from(process)];
                let letter = (!inbox.is_empty()).then(|| inbox.remove(0));
                state.under_way[usize::from(process)] = letter;
            }
            Action::Read(process) => self.read(state, process),
            Action::Patience(process) => self.look(state, process),
            Action::Expire => {
                let holder = state.redis.turn.take();
                if let Some(holder) = holder
                    && state.processes[usize::from(holder)] == (Stage::Told { keeps: true })
                {
                    stage(state, holder, Stage::Told { keeps: false });
                }
            }
            Action::Kill(process) => {
                stage(state, process, Stage::Dead);
                state.under_way[usize::from(process)] = None;
                state.kills -= 1;
            }
            Action::Lose(process) => {
                state.under_way[usize::from(process)] = None;
                state.losses -= 1;
            }
            Action::Forget(process) => {
                state.redis.inboxes[usize::from(process)].remove(0);
                state.losses -= 1;
            }
            Action::Save => state.earlier = Some(state.redis.clone()),
            Action::RollBack => {
                state.redis = state.earlier.take().unwrap_or_default();
                state.rolls -= 1;
            }
        }
    }

    /// `lua/submit.lua`: the turn with the first op, or a call upon who has it.
    fn submit(&self, state: &mut State, process: Process) {
        stage(state, process, Stage::Waiting);
        if state.redis.done.contains(&process) {
            return told(state, process);
        }
        if state.redis.queue.contains(&process) {
            return;
        }
        state.redis.queue.push(process);
        if state.redis.queue.len() > 1 {
            return;
        }
        match state.redis.turn {
            Some(holder) if holder != process => put(&mut state.redis, holder, Letter::Turn),
            _ => self.begin(state, process),
        }
    }

    fn begin(&self, state: &mut State, process: Process) {
        state.redis.turn = Some(process);
        let (first, batch) = (state.redis.done.len(), state.redis.queue.clone());
        if self.bug == Some(Bug::TellsEarly) {
            for other in batch.iter().filter(|other| **other != process) {
                put(&mut state.redis, *other, Letter::Outcome);
            }
        }
        stage(state, process, Stage::Built(first, batch));
    }

    /// `lua/publish.lua`, of what the log has and this Redis has not.
    fn publish(&self, state: &mut State, by: Process, letters: bool) {
        stage(state, by, Stage::Waiting);
        state.silent -= u8::from(!letters);
        let batch = state.log[state.redis.done.len()..].to_vec();
        let mut others = Vec::new();
        if !batch.is_empty() {
            state.redis.done.extend(&batch);
            let in_front = state.redis.queue.starts_with(&batch);
            state.redis.queue.retain(|queued| !batch.contains(queued));
            if letters && in_front {
                others = batch.iter().copied().filter(|other| *other != by).collect();
            }
        }
        for other in &others {
            put(&mut state.redis, *other, Letter::Outcome);
        }
        if state.redis.done.contains(&by) {
            told(state, by);
        }
        let is_told = matches!(state.processes[usize::from(by)], Stage::Told { .. });
        let front = state.redis.queue.first().copied();
        match front {
            Some(_) if !(self.leaves && is_told) => self.begin(state, by),
            Some(front) => {
                state.redis.turn = Some(front);
                put(&mut state.redis, front, Letter::Turn);
            }
            None if is_told && !self.leaves && !others.is_empty() => {
                state.redis.turn = Some(by);
                stage(state, by, Stage::Told { keeps: true });
            }
            None => state.redis.turn = None,
        }
    }

    fn read(&self, state: &mut State, process: Process) {
        let letter = state.under_way[usize::from(process)].take();
        match letter {
            Some(Letter::Outcome) => told(state, process),
            Some(Letter::Turn) => self.look(state, process),
            None => {}
        }
    }

    /// `lua/view.lua`, and what is asked after it.
    fn look(&self, state: &mut State, process: Process) {
        let waits = state.processes[usize::from(process)] == Stage::Waiting;
        let asks = self.bug != Some(Bug::PatienceForTurnAlone);
        if waits && asks && state.log.contains(&process) && state.redis.done.contains(&process) {
            return told(state, process);
        }
        let is_lost = !state.redis.queue.contains(&process) && !state.redis.done.contains(&process);
        if waits && is_lost && self.bug != Some(Bug::LostForGood) {
            // After a loss Redis is brought up to the log, and asked again.
            if state.log.contains(&process) {
                let behind = state.log[state.redis.done.len()..].to_vec();
                state.redis.queue.retain(|queued| !behind.contains(queued));
                state.redis.done = state.log.clone();
                return told(state, process);
            }
            return self.submit(state, process);
        }
        if state.redis.queue.is_empty() {
            if matches!(state.processes[usize::from(process)], Stage::Told { .. }) {
                stage(state, process, Stage::Told { keeps: false });
            }
        } else if state.redis.turn.is_none_or(|holder| holder == process) {
            self.begin(state, process);
        }
    }
}

/// What a process does from now on; what it did.
fn stage(state: &mut State, process: Process, next: Stage) -> Stage {
    std::mem::replace(&mut state.processes[usize::from(process)], next)
}

fn told(state: &mut State, process: Process) {
    stage(state, process, Stage::Told { keeps: false });
}

fn put(redis: &mut Redis, process: Process, letter: Letter) {
    let inbox = &mut redis.inboxes[usize::from(process)];
    inbox.push(letter);
    let surplus = inbox.len().saturating_sub(INBOX);
    inbox.drain(..surplus);
}
