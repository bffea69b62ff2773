//! What a round does in memory: `prepare.rs`, `judge.rs` and `build.rs` of the product.

use super::bugs::Bug;
use super::redis::View;
use super::state::{Scope, State, What};
use super::values::{Decided, Entry, Level, Op, Staging, Verdict, call_of};

/// Whether deciding a view takes a read of sealed areas.
pub fn reads_areas(scope: &Scope, view: &View) -> bool {
    let seals = |op: Op| scope.calls[call_of(op)].what == What::Seal;
    view.elements.iter().any(|element| seals(element.op) && !element.cancelled)
}

/// The log entry for the front of the queue; `None` where a sealed area went away while it was
/// read, which ends the round (`load.rs`, `area_page`).
pub fn build(scope: &Scope, state: &State, at: u8, view: &View) -> Option<Entry> {
    let before = state.entry(view.position);
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
