//! What a run must come to see, so that what always holds does not hold for want of anything
//! happening.

use stateright::Property;

use super::redis::Redis;
use super::state::{Behind, Progress, Scope, Stage, State, What};
use super::values::{Verdict, call_of};

/// Whether something can be seen in a scope at all.
type Applies = fn(&Scope) -> bool;

/// Whether it is seen in a state.
type Sight = fn(&Scope, &State) -> bool;

/// Whether more than one op is queued.
fn several(scope: &Scope) -> bool {
    scope.calls.iter().filter(|call| !matches!(call.what, What::Stage(_))).count() > 1
}

/// What can be seen, by name, and in which scopes.
const SIGHTS: &[(&str, Applies, Sight)] = &[
    (
        "everybody has been told",
        |_| true,
        |_, state| {
            state.calls.iter().all(|call| matches!(call, Progress::Told(_) | Progress::Refused))
        },
    ),
    (
        "a batch has several ops",
        |scope| scope.batch_max > 1 && several(scope),
        |_, state| state.log.iter().any(|entry| entry.ops.len() > 1),
    ),
    (
        "a place of the log is taken",
        |scope| scope.helpers > 1 && scope.batch_max > 1,
        |_, state| lost_race(state),
    ),
    (
        "a batch is decided before the one in front of it is published",
        |scope| scope.ahead,
        |_, state| {
            let ahead = |stage: &Stage| {
                matches!(
                    stage,
                    Stage::Decided { ahead: Some(Behind::Decided { mine: true, .. }), .. }
                )
            };
            state.helpers.iter().any(|helper| ahead(&helper.stage))
        },
    ),
    (
        "a batch was prepared behind one that another's has the place of",
        |scope| scope.ahead && scope.helpers > 1,
        |_, state| {
            let in_vain = |stage: &Stage| match stage {
                Stage::Built { entry, ahead } if ahead.is_some() => {
                    state.entry(entry.first).is_some_and(|theirs| theirs != entry)
                }
                _ => false,
            };
            state.helpers.iter().any(|helper| in_vain(&helper.stage))
        },
    ),
    (
        "a client is told again",
        |scope| scope.lost_replies || scope.forgetful,
        |_, state| {
            let redis = state.redis.iter().flatten();
            let decided =
                |redis: &Redis, op: u8| redis.ops.get(&op).is_some_and(|at| *at <= redis.done);
            let asked = |op: u8| state.calls[usize::from(op)] == Progress::Asked;
            redis
                .flat_map(|redis| (0..state.calls.len() as u8).map(move |op| (redis, op)))
                .any(|(redis, op)| asked(op) && decided(redis, op))
        },
    ),
    (
        "the log is adopted past the queue",
        |scope| !scope.keeps_all() && several(scope),
        |_, state| {
            state.redis.iter().flatten().any(|redis| {
                let next = state.entry(redis.done + 1);
                next.is_some_and(|next| {
                    !redis
                        .queue
                        .iter()
                        .map(|e| e.op)
                        .take(next.ops.len())
                        .eq(next.ops.iter().map(|op| op.op))
                }) && !redis.queue.is_empty()
            })
        },
    ),
    (
        "an op of the log is queued again",
        |scope| !scope.keeps_all() && several(scope),
        |_, state| {
            let mut queued = state
                .redis
                .iter()
                .flatten()
                .flat_map(|redis| redis.queue.iter().map(move |element| (redis, element)));
            queued.any(|(redis, element)| {
                state.decided(element.op).is_some_and(|outcome| outcome.ticket > redis.done + 1)
            })
        },
    ),
    (
        "Redis has nothing and the log does",
        |scope| scope.losses > 0,
        |_, state| !state.log.is_empty() && state.redis[0].is_none(),
    ),
    (
        "a branch is restored to less than the log",
        |scope| scope.losses > 0,
        |_, state| {
            state.helpers.iter().any(|helper| matches!(helper.stage, Stage::Restoring { entries } if entries < state.log.len()))
        },
    ),
    (
        "two primaries would decide differently",
        |scope| scope.split,
        |_, state| {
            let built = || {
                state.helpers.iter().filter_map(|helper| match &helper.stage {
                    Stage::Built { entry, .. } => Some((helper.at, entry)),
                    _ => None,
                })
            };
            built().any(|(at, entry)| {
                built().any(|(other, theirs)| {
                    at != other && entry.first == theirs.first && entry != theirs
                })
            })
        },
    ),
    (
        "a cancel wins",
        |scope| scope.cancels > 0,
        |_, state| {
            state.log.iter().flat_map(|entry| &entry.ops).any(|op| op.verdict == Verdict::Cancelled)
        },
    ),
    (
        "a cancel loses",
        |scope| scope.cancels > 0,
        |_, state| {
            let mut queued = state.redis.iter().flatten().flat_map(|redis| &redis.queue);
            queued.any(|element| {
                element.cancelled
                    && state
                        .decided(element.op)
                        .is_some_and(|outcome| outcome.verdict == Verdict::Committed)
            })
        },
    ),
    ("an area is given back", seals_and_cancels, |_, state| {
        state
            .redis
            .iter()
            .flatten()
            .flat_map(|redis| &redis.sealed)
            .any(|area| area.owner.is_none())
    }),
    (
        "an area is taken again",
        |scope| seals_and_cancels(scope) && count(scope, What::Seal) > 1,
        |_, state| {
            state
                .redis
                .iter()
                .flatten()
                .flat_map(|redis| &redis.sealed)
                .any(|area| area.owner.is_some_and(|owner| owner != area.id))
        },
    ),
    (
        "nothing is staged",
        |scope| count(scope, What::Seal) > 1,
        |_, state| state.calls.contains(&Progress::Refused),
    ),
    (
        "a fold takes effect",
        |scope| count(scope, What::Fold) > 0,
        |scope, state| folds(scope, state, Verdict::Committed),
    ),
    (
        "a fold comes to nothing",
        |scope| count(scope, What::Fold) > 1,
        |scope, state| folds(scope, state, Verdict::NoChanges),
    ),
];

/// The sights that a scope must come to see, if it goes to the end.
pub fn of(scope: &Scope) -> Vec<Property<Scope>> {
    let due = SIGHTS.iter().filter(|(_, applies, _)| scope.depth.is_none() && applies(scope));
    due.map(|(name, _, sight)| Property::sometimes(name, *sight)).collect()
}

fn count(scope: &Scope, what: What) -> usize {
    scope.calls.iter().filter(|call| call.what == what).count()
}

fn seals_and_cancels(scope: &Scope) -> bool {
    scope.cancels > 0 && count(scope, What::Seal) > 0
}

/// A round has a batch for a place that another batch has.
fn lost_race(state: &State) -> bool {
    state.helpers.iter().any(|helper| match &helper.stage {
        Stage::Built { entry, .. } => {
            state.entry(entry.first).is_some_and(|theirs| theirs != entry)
        }
        _ => false,
    })
}

fn folds(scope: &Scope, state: &State, verdict: Verdict) -> bool {
    let mut ops = state.log.iter().flat_map(|entry| &entry.ops);
    ops.any(|op| scope.calls[call_of(op.op)].what == What::Fold && op.verdict == verdict)
}
