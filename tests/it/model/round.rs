//! What a round does in memory: `prepare.rs`, `judge.rs` and `build.rs` of the product.

use std::sync::Arc;

use super::bugs::Bug;
use super::redis::View;
use super::state::{Helper, Scope, Stage, State, What};
use super::values::{Decided, Entry, Level, Op, Staging, Verdict, call_of};

/// Whether deciding a view takes a read of sealed areas.
pub fn reads_areas(scope: &Scope, view: &View) -> bool {
    let seals = |op: Op| scope.calls[call_of(op)].what == What::Seal;
    view.elements.iter().any(|element| seals(element.op) && !element.cancelled)
}

/// The log entry for the front of the queue; `None` where a sealed area went away while it was
/// read, which ends the round (`load.rs`, `area_page`).
pub fn build(scope: &Scope, state: &State, at: u8, view: &View) -> Option<Entry> {
    build_on(scope, state, at, view, state.entry(view.position))
}

/// The same on top of an entry, whether or not it is in the log.
fn build_on(
    scope: &Scope,
    state: &State,
    at: u8,
    view: &View,
    before: Option<&Arc<Entry>>,
) -> Option<Entry> {
    let mut head = before.and_then(|entry| entry.head);
    let mut levels: Vec<Level> = before.map_or_else(Vec::new, |entry| entry.levels.clone());
    let mut on_top: Vec<Level> = Vec::new();
    let mut ops = Vec::new();
    for element in &view.elements {
        let op = element.op;
        let what = scope.calls[call_of(op)].what;
        let areas = (what == What::Seal).then(|| owned(view, op));
        let mut writes = Vec::new();
        let verdict = match what {
            _ if element.cancelled => Verdict::Cancelled,
            What::Commit => Verdict::Committed,
            What::Seal => {
                writes = read(state, at, areas.as_deref().unwrap_or_default())?;
                if writes.is_empty() { Verdict::NoChanges } else { Verdict::Committed }
            }
            What::Fold => fold(&mut levels, state.plans[call_of(op)].as_deref(), scope.bug),
            What::Stage(_) => unreachable!("a staged write is not queued"),
        };
        let parent = head;
        if verdict == Verdict::Committed && what != What::Fold {
            head = Some(op);
            on_top.insert(0, vec![op]);
        }
        ops.push(Decided { op, verdict, parent, writes, areas });
    }
    on_top.extend(levels);
    Some(Entry { first: view.done + 1, ops, head, levels: on_top })
}

impl Scope {
    /// The batch that a round which is about to decide one prepares behind it, if there is one now:
    /// `ahead_of`.
    pub fn prepared_ahead(&self, state: &State, helper: &Helper) -> Option<Entry> {
        let Stage::Built { entry, ahead: None } = &helper.stage else { return None };
        let redis = state.at(helper.at)?;
        let blindly = self.bug == Some(Bug::AheadBlindly);
        if redis.done != entry.first - 1 && !blindly {
            return None;
        }
        let behind = redis.queue.iter().skip(entry.ops.len()).take(self.batch_max);
        let elements: Vec<_> = behind.cloned().collect();
        let is_known = |op| entry.ops.iter().any(|known| known.op == op) && !blindly;
        let is_plain = |op| self.calls[call_of(op)].what == What::Commit;
        let fits = elements.iter().all(|element| is_plain(element.op) && !is_known(element.op));
        if elements.is_empty() || !fits {
            return None;
        }
        let areas = redis.sealed.clone();
        let view = View { done: entry.last(), position: entry.first, elements, areas };
        build_on(self, state, helper.at, &view, Some(entry))
    }
}

fn owned(view: &View, op: Op) -> Vec<Op> {
    view.areas.iter().filter(|area| area.owner == Some(op)).map(|area| area.id).collect()
}

/// Sealed areas as `lua/staged.lua` reads them now, oldest first: the newest write of a path wins.
fn read(state: &State, at: u8, areas: &[Op]) -> Option<Vec<u8>> {
    let mut all = Staging::new();
    for id in areas {
        let redis = state.at(at)?;
        if !redis.sealed.iter().any(|listed| listed.id == *id) {
            return None;
        }
        all.extend(redis.areas.get(id).into_iter().flatten());
    }
    Some(all.into_values().collect())
}

/// `Judge::fold`, for a fold of the bottom.
fn fold(levels: &mut Vec<Level>, plan: Option<&[Level]>, bug: Option<Bug>) -> Verdict {
    let Some(plan) = plan else { return Verdict::Failed };
    let Some(at) = levels.len().checked_sub(plan.len()) else { return Verdict::NoChanges };
    if levels[at..] != *plan && bug != Some(Bug::FoldBlindly) {
        return Verdict::NoChanges;
    }
    levels.truncate(at);
    levels.push(plan.concat());
    Verdict::Committed
}

/// What a fold of the present head would exchange, if there is anything.
pub fn plan_fold(levels: &[Level]) -> Option<Vec<Level>> {
    (levels.len() >= 2).then(|| levels[levels.len() - 2..].to_vec())
}
