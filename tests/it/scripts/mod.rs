//! Every Lua script against a pure step in Rust: random calls on a real server and on a model must
//! give the same replies and leave the same state.

mod accept;
mod board;
mod model;
mod reply;
mod server;
mod steps;
mod work;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::support::redis::RedisServer;
use crate::support::seed::campaign;

use accept::Batch;
use model::{Branch, Seen, id_of};
use server::Server;
use steps::{Sight, Step, Wish, any_step};

const CASES: u32 = 1000;
const STEPS: usize = 40;

#[test]
fn every_script_does_what_its_pure_step_says() {
    let redis = RedisServer::forgetful();
    holds_on(redis.connect());
}

/// What is simulated must do what the real one does.
#[cfg(feature = "simulation")]
#[test]
fn every_script_does_the_same_on_a_simulated_server() {
    holds_on(crate::simulation::Direct::new());
}

fn holds_on(connection: impl redis::ConnectionLike) {
    let connection = RefCell::new(connection);
    let uid = RefCell::new(0);
    let steps = proptest::collection::vec(any_step(), 1..STEPS);
    campaign(&steps, CASES, |steps| {
        let mut connection = connection.borrow_mut();
        *uid.borrow_mut() += 1;
        let mut server = Server::new(&mut *connection, *uid.borrow());
        // Most branches are there from the start.
        let mut model = Branch::default();
        let open = accept::Part {
            draft: 0,
            outcomes_before: 0,
            rows_before: 0,
            last: true,
            state: "open".into(),
            done: 0,
            outcomes: Vec::new(),
            producers: Vec::new(),
        };
        prop_assert_eq!(server.restore(&open), model.restore(&open));
        for step in steps {
            let before = model.clone();
            take(&mut server, &mut model, &step)
                .map_err(|why| TestCaseError::fail(format!("{step:?}\non {before:#?}\n{why}")))?;
            let after = server.dump();
            prop_assert_eq!(&after, &model, "state after {:?}\non {:#?}", step, before);
        }
        server.lose();
        Ok(())
    });
}

fn take(server: &mut Server, model: &mut Branch, step: &Step) -> Result<(), TestCaseError> {
    let (theirs, ours) = match step {
        Step::Lose => {
            server.lose();
            *model = Branch::default();
            return Ok(());
        }
        Step::Submit { asker, limits, ops } => {
            let ops = &naming(model, ops);
            (server.submit(asker, *limits, ops), model.submit(asker, *limits, ops))
        }
        Step::View { asker, wish, wanted, skip } => {
            (server.view(asker, *wish, *wanted, *skip), model.view(asker, *wish, *wanted, *skip))
        }
        Step::Extend { asker } => (server.extend(asker), model.extend(asker)),
        Step::Publish { asker, wish } => {
            let Some(batch) = batch(model, wish) else {
                return Ok(());
            };
            (server.publish(asker, &batch), model.publish(asker, &batch))
        }
        Step::Prune { at, truly, budget } => {
            let Some(area) = model.sealed.get(*at).cloned() else { return Ok(()) };
            let done = model.head.as_ref().map_or(0, |head| head.done) + u64::from(!truly);
            (server.prune(done, &area, *budget), model.prune(done, &area, *budget))
        }
        Step::Rows { producers } => (server.rows(producers), model.rows(producers)),
        Step::Status { ops } => (server.status(ops), model.status(ops)),
        Step::Remember { remembered, ops } => {
            (server.remember(*remembered, ops), model.remember(*remembered, ops))
        }
        Step::Forget => {
            if model.queue.is_empty() {
                server.forget();
                model.forget();
            }
            return Ok(());
        }
        Step::Cancel { op } => (server.cancel(op), model.cancel(op)),
        Step::Mend { index, truly, body } => {
            let there = model.queue.get(*index).cloned().unwrap_or_default();
            let seen = if *truly { there.clone() } else { format!("{there}?") };
            // Its op id stays, so that tickets and ids still belong together.
            let id = there.get(..36).unwrap_or_default();
            let replacement = format!("{id}P{body}");
            (server.mend(*index, &seen, &replacement), model.mend(*index, &seen, &replacement))
        }
        Step::Stage { call, limit, changes, seen } => {
            let (changes, seen) = sight(model, changes, *seen);
            (
                server.stage(*call, *limit, &changes, seen.as_ref()),
                model.stage(*call, *limit, &changes, seen.as_ref()),
            )
        }
        Step::StagedRange { area, bounds } => {
            let area = listed(model, *area);
            let args = ["range", &bounds.lower, &bounds.upper, &bounds.limit.to_string()];
            (
                server.staged(area.as_ref(), &args.map(str::to_owned)),
                model.staged_range(area.as_ref(), bounds),
            )
        }
        Step::StagedPaths { area, paths } => {
            let area = listed(model, *area);
            let args: Vec<String> =
                std::iter::once("paths".to_owned()).chain(paths.iter().cloned()).collect();
            (server.staged(area.as_ref(), &args), model.staged_paths(area.as_ref(), paths))
        }
        Step::Unstage { area, bounds } => {
            let area = listed(model, *area);
            (server.unstage(area.as_ref(), bounds), model.unstage(area.as_ref(), bounds))
        }
        Step::Unite { area, limit } => {
            let older = listed(model, *area);
            (server.unite(older.as_ref(), *limit), model.unite(older.as_ref(), *limit))
        }
        Step::Restore { part, is_short, is_repeated } => {
            let part = following(model, part.clone(), *is_short);
            if *is_repeated {
                let (theirs, ours) = (server.restore(&part), model.restore(&part));
                prop_assert_eq!(theirs, ours, "the first of two calls");
            }
            (server.restore(&part), model.restore(&part))
        }
        Step::Name { name, uid } => {
            server.name(name, uid);
            model.names.insert(name.clone(), uid.clone());
            return Ok(());
        }
        Step::Unname { name, uid } => (server.unname(name, uid), model.unname(name, uid)),
    };
    prop_assert_eq!(theirs, ours, "the server's reply differs from the model's");
    Ok(())
}

/// The area that stands at a place of the list, one that is not there behind its end, or the staging
/// area.
fn listed(model: &Branch, at: Option<usize>) -> Option<String> {
    let at = at?;
    Some(model.sealed.get(at).map_or_else(|| steps::area(at), |area| area[..36].to_owned()))
}

/// The ops, each with a name for the area that it may make: one that is not listed.
fn naming(model: &Branch, ops: &[accept::Submission]) -> Vec<accept::Submission> {
    let is_free = |id: &String| model.sealed.iter().all(|area| !area.starts_with(id));
    let free = (0..steps::AREAS).map(steps::area).filter(is_free);
    let named =
        |(op, area): (&accept::Submission, String)| accept::Submission { area, ..op.clone() };
    ops.iter().zip(free).map(named).collect()
}

/// The batch that a wish means at this state.
fn batch(model: &Branch, wish: &Wish) -> Option<Batch> {
    let done = model.head.as_ref().map_or(0, |head| head.done);
    let mut ops = wish.strangers.clone();
    let queued = model.queue.iter().skip(wish.skip).take(wish.count);
    ops.extend(queued.map(|element| id_of(element).to_owned()));
    let mut seen = std::collections::BTreeSet::new();
    ops.retain(|op| seen.insert(op.clone()));
    if ops.is_empty() {
        return None;
    }
    let committed = |index: usize| wish.committed & (1 << (index % 8)) != 0;
    let mut consumed = Vec::new();
    for (at, area) in model.sealed.iter().enumerate() {
        let (id, owner) = area.split_at(36);
        let owner = ops.iter().position(|op| op == owner);
        // What the log says of an area may be unlike what this Redis has of it.
        if owner.is_some_and(committed) != (wish.unlike == Some(at)) {
            consumed.push(id.to_owned());
        }
    }
    let done_before = done.saturating_add_signed(wish.offset);
    let record = |index: usize| format!("record-{done_before}-{index}");
    Some(Batch {
        done_before,
        ops: ops.into_iter().enumerate().map(|(index, op)| (op, record(index))).collect(),
        commit: format!("commit-{done_before}"),
        closes: wish.closes,
        kept: wish.kept,
        forgotten: wish.forgotten,
        budget: wish.budget,
        adopted: wish.adopted,
        wanted: wish.wanted,
        keep: wish.keep,
        producers: wish.producers.clone(),
        consumed,
    })
}

/// A part that goes on where its draft ends, or believes that there is more of it.
fn following(model: &Branch, mut part: accept::Part, is_short: bool) -> accept::Part {
    let draft = model.drafts.get(&part.draft).cloned().unwrap_or_default();
    let newest = draft.outcomes.keys().next_back().copied().unwrap_or(0);
    part.outcomes.iter_mut().for_each(|(ticket, ..)| *ticket += newest);
    part.outcomes_before = draft.outcomes.len() + usize::from(is_short);
    part.rows_before = draft.producers.len();
    part
}

/// What a writer saw, or believes to have seen.
fn sight(
    model: &Branch,
    changes: &[(String, String)],
    sight: Sight,
) -> (Vec<(String, String, String)>, Option<Seen>) {
    let done = model.head.as_ref().map_or(0, |head| head.done);
    let areas = model.sealed.len();
    let staged = |path: &str| match sight {
        Sight::WrongValue => "another".to_owned(),
        _ => model.staged.get(path).cloned().unwrap_or_default(),
    };
    let seen = match sight {
        Sight::Unconditional => None,
        Sight::OldDone => Some(Seen { done: done + 1, areas, strict: false }),
        Sight::OldAreas => Some(Seen { done, areas: areas + 1, strict: false }),
        Sight::True | Sight::WrongValue => Some(Seen { done, areas, strict: false }),
        Sight::Strict => Some(Seen { done, areas, strict: true }),
        Sight::StrictOldDone => Some(Seen { done: done + 1, areas, strict: true }),
    };
    // Each path once.
    let changes: BTreeMap<String, String> = changes.iter().cloned().collect();
    let changes =
        changes.iter().map(|(path, value)| (path.clone(), value.clone(), staged(path))).collect();
    (changes, seen)
}
