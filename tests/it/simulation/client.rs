//! The clients of a history: each does what it has planned, one op after the other, and keeps a
//! journal that outlives the process it runs in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use onward::internals::commit::op::request::Request;
use onward::internals::commit::op::upkeep::upkeep;
use onward::internals::model::ids::Fingerprint;
use onward::internals::repo::ChangeBuilder;
use onward::{CommitId, Condition, Error, ErrorKind, Onward, OpId, Outcome, Producer, RefExpr};

use super::plan::{Act, Guard, Plan, Put, entry};
use super::world::World;

/// What a client was told of an op.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub outcome: &'static str,
    pub ticket: Option<u64>,
    pub commit: Option<CommitId>,
}

/// One op in a journal. Times are events of the world.
#[derive(Clone, Debug)]
pub struct Entry {
    pub plan: Plan,
    /// The head that the client had seen, where the op depends on one.
    pub base: Option<CommitId>,
    pub began: u64,
    /// When the op was known to be accepted, and as which ticket.
    pub accepted: Option<(u64, u64)>,
    /// When the process that sees a commit of what is staged through knew that it was accepted.
    pub promised: Option<u64>,
    pub ended: Option<u64>,
    /// What it was told, each time it asked.
    pub told: Vec<Told>,
    /// Rounds that its process ran for it, and their bound.
    pub rounds: Option<(u64, u64)>,
}

/// A client: what it plans to do, and its journal.
#[derive(Debug, Default)]
pub struct Client {
    pub plans: Vec<Plan>,
    pub journal: Vec<Entry>,
    /// What went wrong that must not.
    pub complaint: Option<String>,
}

pub type Shared = Arc<Mutex<Client>>;

/// Goes on with a client's plans in the process of `onward`.
pub async fn run(world: World, onward: Onward, client: Shared) {
    while let Some(plan) = next(&world, &client) {
        if let Err(error) = perform(&world, &onward, &client, &plan).await {
            client.lock().unwrap().complaint = Some(format!("{plan:?}: {error:?}"));
            return;
        }
        tokio::time::sleep(world.moment(20)).await;
    }
}

/// The op to go on with. One that a killed process had begun is submitted again, but for a staged
/// write: made again it would be another write.
fn next(world: &World, client: &Shared) -> Option<Plan> {
    let mut client = client.lock().unwrap();
    if let Some(last) = client.journal.last()
        && last.ended.is_none()
        && !matches!(last.plan.act, Act::Stage { .. } | Act::Forget { .. })
    {
        let plan = last.plan.clone();
        // The process that had promised it is gone: this is another commit of what is staged.
        client.journal.last_mut().unwrap().promised = None;
        return Some(plan);
    }
    let plan = client.plans.get(client.journal.len())?.clone();
    client.journal.push(Entry {
        plan: plan.clone(),
        base: None,
        began: world.event(),
        accepted: None,
        promised: None,
        ended: None,
        told: Vec::new(),
        rounds: None,
    });
    Some(plan)
}

fn record(client: &Shared, note: impl FnOnce(&mut Entry)) {
    note(client.lock().unwrap().journal.last_mut().unwrap());
}

async fn perform(
    world: &World,
    onward: &Onward,
    client: &Shared,
    plan: &Plan,
) -> Result<(), Error> {
    let main = onward.repo("lake").branch("main");
    if let Act::Stage { value } = plan.act {
        let path = format!("s/{value}").parse().unwrap();
        // Whether a write was made whose call failed is not known; it may be.
        if main.stage_put(path, entry(value), None).await.is_ok() {
            let now = world.event();
            record(client, |entry| entry.ended = Some(now));
        } else {
            record(client, |entry| entry.told.push(unknown()));
        }
        return Ok(());
    }
    if let Act::Forget { rows } = &plan.act {
        // Once, whatever comes of it: nobody waits for such an op.
        if let Err(error) = forget(onward, plan.op_id, rows).await {
            world.note(|| format!("a client forgets nothing: {error}"));
        }
        record(client, |entry| entry.told.push(unknown()));
        return Ok(());
    }
    if let Act::Show = plan.act {
        let head = patiently(world, || main.show()).await?;
        let now = world.event();
        record(client, |entry| {
            let (ticket, commit) = (Some(head.done), head.commit);
            entry.told.push(Told { outcome: "head", ticket, commit });
            entry.ended = Some(now);
        });
        return Ok(());
    }
    let mut base = client.lock().unwrap().journal.last().unwrap().base;
    if let Act::Commit { guard: Guard::Base, .. } = plan.act
        && base.is_none()
    {
        base = patiently(world, || main.show()).await?.commit;
        record(client, |entry| entry.base = base);
    }
    let mut is_decided = false;
    for _ in 0..if plan.asks_again { 2 } else { 1 } {
        let outcome = decide(world, onward, client, plan, base).await?;
        is_decided = outcome.ticket().is_some();
        let now = world.event();
        // A round that fails because something cannot be reached is not one that others have won.
        let counters = onward.counters();
        if counters.invariant_violations > 0 {
            return Err(Error::internal("the program itself saw an invariant broken"));
        }
        let all_succeeded = counters.failed_rounds == 0;
        record(client, |entry| {
            if let Outcome::Committed { details, .. } = &outcome
                && entry.told.is_empty()
                && all_succeeded
            {
                entry.rounds = Some((details.rounds, details.rounds_bound));
            }
            let ticket = outcome.ticket().map(|ticket| ticket.0);
            let told = Told { outcome: outcome.name(), ticket, commit: outcome.commit() };
            entry.told.push(told);
            entry.ended.get_or_insert(now);
        });
        // What was never accepted may come out differently the next time.
        if outcome.ticket().is_none() {
            break;
        }
    }
    if plan.asks_again && is_decided {
        not_another(world, onward, client, plan, base).await?;
    }
    Ok(())
}

async fn forget(onward: &Onward, op_id: OpId, rows: &[Producer]) -> Result<(), Error> {
    let head = onward.repo("lake").commit_of(&RefExpr::plain("main")).await?;
    let Some(head) = head else { return Ok(()) };
    let submission = upkeep(op_id, Request::Forget(rows.to_vec()), 0, None)?;
    let (life, main) = ("lake".parse().unwrap(), "main".parse().unwrap());
    let queue = onward.coordinator().queue(&life, &main, head.uid());
    queue.submit(submission).await.map(drop)
}

/// Submits another request under the id of an op that was decided: nobody may be told that it was done.
async fn not_another(
    world: &World,
    onward: &Onward,
    client: &Shared,
    plan: &Plan,
    base: Option<CommitId>,
) -> Result<(), Error> {
    let other = Fingerprint::of(b"another request");
    match patiently(world, || attempt(world, onward, client, plan, base, other)).await {
        Err(error) if error.kind() == ErrorKind::OpIdReused => Ok(()),
        // Its producer had come past it.
        Ok(Outcome::Behind { .. } | Outcome::Fenced { .. }) => Ok(()),
        Ok(told) => Err(Error::internal(format!("another request was told {told:?}"))),
        Err(error) => Err(error),
    }
}

fn unknown() -> Told {
    Told { outcome: "unknown", ticket: None, commit: None }
}

/// Submits an op until it has an outcome.
async fn decide(
    world: &World,
    onward: &Onward,
    client: &Shared,
    plan: &Plan,
    base: Option<CommitId>,
) -> Result<Outcome, Error> {
    loop {
        let own = fingerprint(plan);
        let outcome = patiently(world, || attempt(world, onward, client, plan, base, own)).await?;
        if !matches!(outcome, Outcome::StillQueued { .. }) {
            return Ok(outcome);
        }
    }
}

/// What tells an op from another request under its id.
fn fingerprint(plan: &Plan) -> Fingerprint {
    Fingerprint::of(plan.op_id.to_string().as_bytes())
}

async fn attempt(
    world: &World,
    onward: &Onward,
    client: &Shared,
    plan: &Plan,
    base: Option<CommitId>,
    fingerprint: Fingerprint,
) -> Result<Outcome, Error> {
    let lake = onward.repo("lake");
    let (main, side) = (lake.branch("main"), lake.branch("side"));
    let message = plan.op_id.to_string();
    let builder = match &plan.act {
        Act::Merge => {
            let merge = main.merge(RefExpr::plain("side")).message(message).committer("merger");
            return merge.op_id(plan.op_id).fingerprint(fingerprint).commit().await;
        }
        Act::Commit { changes, guard, .. } => {
            let first = (*guard == Guard::Absent).then_some(Condition::Absent);
            let builder = with(main.change(), changes, first).op_id(plan.op_id);
            match base {
                Some(base) => builder.base(RefExpr::plain(base.to_string())),
                None => builder,
            }
        }
        Act::Produce { changes, producers } => {
            with(main.change(), changes, None).producers(producers.iter().cloned())
        }
        Act::CommitStaged { .. } => main.commit_staged().op_id(plan.op_id),
        Act::Side { changes } => with(side.change(), changes, None).op_id(plan.op_id),
        Act::Stage { .. } | Act::Forget { .. } | Act::Show => unreachable!(),
    };
    let builder =
        builder.message(message).committer("committer").meta("op", plan.op_id.to_string());
    let builder = builder.fingerprint(fingerprint);
    let cancels = match plan.act {
        Act::Commit { cancel, .. } | Act::CommitStaged { cancel } => cancel,
        _ => false,
    };
    if !cancels && !matches!(plan.act, Act::CommitStaged { .. }) {
        return builder.commit().await;
    }
    let mut handle = builder.submit().await?;
    if let Some(ticket) = handle.ticket() {
        let now = world.event();
        record(client, |entry| {
            entry.accepted.get_or_insert((now, ticket.0));
            entry.promised.get_or_insert(now);
        });
    }
    if cancels {
        handle.cancel().await?;
    }
    handle.wait(Duration::from_secs(30)).await
}

fn with(
    mut builder: ChangeBuilder,
    changes: &[Put],
    mut first: Option<Condition>,
) -> ChangeBuilder {
    for put in changes {
        let condition = first.take();
        builder = match (put.value, condition) {
            (Some(value), None) => builder.put(&put.path, entry(value)),
            (Some(value), Some(condition)) => builder.put_if(&put.path, entry(value), condition),
            (None, None) => builder.delete(&put.path),
            (None, Some(condition)) => builder.delete_if(&put.path, condition),
        };
    }
    builder
}

/// Tries again while what failed may pass.
async fn patiently<T, F>(world: &World, mut work: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        match work().await {
            Err(error) if error.is_retryable() => {
                world.note(|| format!("a client tries again: {error}"));
                tokio::time::sleep(world.moment(200)).await;
            }
            result => return result,
        }
    }
}
