//! The audit of a history: what the object store holds, held against what the clients were told.
//!
//! It reads the log itself, replays it over a plain map, and asks the same predicates as the model
//! and the running program.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use onward::internals::commit::log::entry::LogEntry;
use onward::internals::commit::log::lake::{Lake, LakeOptions};
use onward::internals::commit::log::record::BranchRecord;
use onward::internals::commit::mend::restore::read_back;
use onward::internals::commit::op::verdict::{ProducerRow, Verdict};
use onward::internals::invariants::{self, Interval, Violation};
use onward::internals::model::commit::Commit;
use onward::internals::model::ids::BranchUid;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::ObjectStore;
use onward::internals::tree::{ListItem, ListRequest};
use onward::{CommitId, OpId, Producer, Ticket};

use super::client::{Entry, Shared, Told};
use super::plan::{Act, Guard, Put, value};

/// What a branch holds: path to value.
type Content = BTreeMap<String, u32>;

/// One op as the log has it.
struct Decided {
    op_id: OpId,
    ticket: u64,
    verdict: Verdict,
    commit: Option<(CommitId, Commit)>,
}

impl Decided {
    fn told(&self) -> Told {
        let outcome = match (&self.verdict, &self.commit) {
            (Verdict::Committed, Some(_)) => "committed",
            (Verdict::Committed, None) => "applied",
            (Verdict::NoChanges, _) => "no_changes",
            (Verdict::Conflict { .. }, _) => "conflict",
            (Verdict::LostRace(_), _) => "lost_race",
            (Verdict::Failed { .. }, _) => "failed",
            (Verdict::Cancelled, _) => "cancelled",
            (Verdict::Fenced { standing: Some(standing), .. }, _) if standing.is_behind() => {
                "behind"
            }
            (Verdict::Fenced { .. }, _) => "fenced",
        };
        let commit = self.commit.as_ref().map(|(id, _)| *id);
        Told { outcome, ticket: Some(self.ticket), commit }
    }
}

/// One branch as the log has it.
struct Line {
    name: &'static str,
    entries: Vec<Arc<LogEntry>>,
    start: Option<CommitId>,
    ops: Vec<Decided>,
}

async fn line(lake: &Lake, name: &'static str) -> Line {
    let record = BranchRecord::newest(lake, &name.parse().unwrap()).await.unwrap().unwrap().0;
    let firsts = lake.log_tickets(record.uid, Ticket(0)).await.unwrap();
    let entries = lake.entries(record.uid, &firsts).await.unwrap();
    let ops = entries.iter().flat_map(|entry| decided(record.uid, entry)).collect();
    Line { name, entries, start: record.start, ops }
}

fn decided(uid: BranchUid, entry: &LogEntry) -> Vec<Decided> {
    let decided =
        |(index, op): (usize, &onward::internals::commit::log::entry::DecidedOp)| Decided {
            op_id: op.op_id,
            ticket: entry.first.0 + index as u64,
            verdict: op.verdict.clone(),
            commit: op
                .commit
                .clone()
                .map(|commit| (commit.id(uid, entry.first, index as u16).unwrap(), commit)),
        };
    entry.ops.iter().enumerate().map(decided).collect()
}

/// Everything that is wrong. `producers`: how far they are, as was told in the end; `lossless`: whether Redis kept all
/// it had; `days`: whether days went by, so that what was written for an op can have become too old.
pub async fn audit(
    store: &Arc<dyn ObjectStore>,
    clients: &[Shared],
    producers: &[Rows],
    lossless: bool,
    days: bool,
) -> Vec<String> {
    let objects = Objects::from_store(Arc::clone(store), "memory://");
    let lake = Lake::new("lake".parse().unwrap(), objects, LakeOptions::default());
    let (main, side) = (line(&lake, "main").await, line(&lake, "side").await);
    let mut wrong: Vec<String> =
        clients.iter().filter_map(|client| client.lock().unwrap().complaint.clone()).collect();
    let journals: Vec<Entry> =
        clients.iter().flat_map(|client| client.lock().unwrap().journal.clone()).collect();
    let mut held = |result: Result<(), Violation>| {
        wrong.extend(result.err().map(|violation| violation.to_string()));
    };
    for branch in [&main, &side] {
        held(one_line(branch));
    }
    let all = || main.ops.iter().chain(&side.ops);
    let by_op: HashMap<OpId, &Decided> = all().map(|decided| (decided.op_id, decided)).collect();
    held(invariants::decided_once(all().map(|decided| decided.op_id)));
    held(told(&journals, &by_op));
    for entry in &journals {
        held(identity(entry, &by_op));
        if lossless && let Some((rounds, bound)) = entry.rounds {
            // The bound that the product states is its own; one op alone is far from the next.
            held(
                invariants::within_rounds(entry.plan.op_id, rounds, 1, 1, 0)
                    .or_else(|e| if rounds <= bound { Ok(()) } else { Err(e) }),
            );
        }
    }
    wrong.extend(looks(&journals, &main));
    let mut held = |result: Result<(), Violation>| {
        wrong.extend(result.err().map(|violation| violation.to_string()));
    };
    for branch in [&main, &side] {
        held(order(&journals, branch, lossless));
    }
    match replay(&lake, &main, &side, &journals, producers, days).await {
        Err(error) => wrong.push(error),
        Ok(staged) => {
            wrong.extend(staging(&journals, &main, &staged, lossless));
        }
    }
    wrong
}

fn one_line(branch: &Line) -> Result<(), Violation> {
    let batches = branch.entries.iter().map(|entry| (entry.first.0, entry.len()));
    invariants::no_gap(1, batches)?;
    let commits = branch.ops.iter().filter_map(|op| op.commit.as_ref());
    let children = commits.map(|(id, commit)| (*id, commit.parents.first().copied()));
    invariants::chain(branch.start, children).map(drop)
}

/// Everybody was told one thing, and that is what the log has.
fn told(journals: &[Entry], by_op: &HashMap<OpId, &Decided>) -> Result<(), Violation> {
    let asked = journals.iter().filter(|entry| {
        !matches!(entry.plan.act, Act::Stage { .. } | Act::Forget { .. } | Act::Show)
    });
    let queued = || {
        asked.clone().flat_map(|entry| {
            let answers = entry.told.iter().filter(|told| told.ticket.is_some());
            answers.map(|told| (entry.plan.op_id, told.clone()))
        })
    };
    invariants::one_outcome(queued())?;
    invariants::nothing_lost(queued(), |op| by_op.get(op).map(|decided| decided.told()))
}

fn identity(entry: &Entry, by_op: &HashMap<OpId, &Decided>) -> Result<(), Violation> {
    let op_id = entry.plan.op_id;
    let Some((_, commit)) = by_op.get(&op_id).and_then(|decided| decided.commit.as_ref()) else {
        return Ok(());
    };
    let committer = if matches!(entry.plan.act, Act::Merge) { "merger" } else { "committer" };
    let meta = (!matches!(entry.plan.act, Act::Merge)).then(|| op_id.to_string());
    let submitted = (op_id, op_id.to_string(), committer.to_owned(), meta);
    let recorded = (
        commit.op_id,
        commit.message.clone(),
        commit.committer.clone(),
        commit.metadata.get("op").cloned(),
    );
    invariants::identity(op_id, &submitted, &recorded)
}

/// Tickets are an order in which the ops can have taken effect, and looks at the head fit in; where
/// Redis kept what it had they are the order of acceptance, too.
fn order(journals: &[Entry], branch: &Line, lossless: bool) -> Result<(), Violation> {
    let by_op: HashMap<OpId, u64> =
        branch.ops.iter().map(|decided| (decided.op_id, decided.ticket)).collect();
    // Ops before looks at what they made, looks by their beginning.
    let mut effects: Vec<((u64, u64), &Entry, Interval)> = Vec::new();
    let mut acceptances: Vec<(u64, &Entry, Interval)> = Vec::new();
    for entry in journals {
        let effect = Interval { began: entry.began, ended: entry.ended };
        let look = branch.name == "main" && matches!(entry.plan.act, Act::Show);
        if let Some(ticket) = by_op.get(&entry.plan.op_id) {
            effects.push(((*ticket, 0), entry, effect));
            let accepted = entry.accepted.map(|(at, _)| at).or(entry.ended);
            let acceptance = Interval { began: entry.began, ended: accepted };
            acceptances.push((*ticket, entry, acceptance));
        } else if lossless
            && look
            && let Some(done) = entry.told.first().and_then(|told| told.ticket)
        {
            effects.push(((done, entry.began), entry, effect));
        }
    }
    effects.sort_by_key(|(place, _, _)| *place);
    invariants::in_order(effects.iter().map(|(_, entry, interval)| (entry, *interval)))?;
    if lossless {
        acceptances.sort_by_key(|(ticket, _, _)| *ticket);
        let order = acceptances.iter().map(|(_, entry, interval)| (entry, *interval));
        invariants::in_order(order)?;
    }
    Ok(())
}

/// Whoever looked saw the head as the log has it after so many tickets.
fn looks(journals: &[Entry], main: &Line) -> Vec<String> {
    let head_after = |done: u64| {
        let upto = main.ops.iter().take_while(|op| op.ticket <= done);
        upto.filter_map(|op| op.commit.as_ref()).last().map_or(main.start, |(id, _)| Some(*id))
    };
    let looks = journals.iter().filter(|entry| matches!(entry.plan.act, Act::Show));
    let seen = looks.flat_map(|entry| &entry.told);
    let wrong = seen.filter(|told| told.commit != head_after(told.ticket.unwrap_or(0)));
    wrong.map(|told| format!("a look saw a head that the log does not have: {told:?}")).collect()
}

async fn content(lake: &Lake, commit: Option<CommitId>) -> Result<Content, String> {
    let metarange = lake.content(commit).await.map_err(|error| error.to_string())?;
    let page = lake.tree().list(&metarange, &ListRequest::default()).await;
    let mut content = Content::new();
    for item in page.map_err(|error| error.to_string())?.items {
        let ListItem::Object(path, entry) = item else { unreachable!("no delimiter was given") };
        content.insert(path.to_string(), value(&entry));
    }
    Ok(content)
}

/// Replays `main` over a plain map and compares every commit with it. Returns which commit holds
/// which staged write: value and ticket.
async fn replay(
    lake: &Lake,
    main: &Line,
    side: &Line,
    journals: &[Entry],
    producers: &[Rows],
    days: bool,
) -> Result<Vec<(u32, u64)>, String> {
    let plans: HashMap<OpId, &Entry> =
        journals.iter().map(|entry| (entry.plan.op_id, entry)).collect();
    let mut contents: HashMap<CommitId, Content> = HashMap::new();
    for decided in side.ops.iter() {
        if let Some((id, _)) = &decided.commit {
            contents.insert(*id, content(lake, Some(*id)).await?);
        }
    }
    let mut now = content(lake, main.start).await?;
    contents.extend(main.start.map(|start| (start, now.clone())));
    let mut staged = Vec::new();
    let mut rows = Rows::new();
    for decided in &main.ops {
        let after = match &decided.commit {
            Some((id, _)) => content(lake, Some(*id)).await?,
            None => now.clone(),
        };
        let what = format!("ticket {} ({})", decided.ticket, decided.op_id);
        let act = plans.get(&decided.op_id).map(|entry| (&entry.plan.act, entry.base));
        let is_too_old = match &decided.verdict {
            Verdict::Failed { reason } => days && reason.contains("hours ago"),
            _ => false,
        };
        let late = match act {
            Some((Act::Produce { producers, .. }, _)) => {
                late(&mut rows, producers, decided, &what)?
            }
            Some((Act::Forget { rows: named }, _)) => forget(&mut rows, named, decided, &what)?,
            _ => false,
        };
        let expected = match act {
            _ if is_too_old || late => Some(now.clone()),
            Some((Act::Commit { changes, guard, .. }, base)) => {
                // Who saw a branch without commits has nothing to hold its changes against.
                let guard =
                    if base.is_none() && *guard == Guard::Base { &Guard::Nothing } else { guard };
                let base = base.and_then(|base| contents.get(&base));
                Some(expect(&now, changes, guard, base, decided, &what)?)
            }
            Some((Act::Produce { changes, .. }, _)) => {
                Some(expect(&now, changes, &Guard::Nothing, None, decided, &what)?)
            }
            Some((Act::Merge, _)) => {
                let from_somewhere = |(path, value): (&String, &u32)| {
                    now.get(path) == Some(value)
                        || contents.values().any(|content| content.get(path) == Some(value))
                };
                if !after.iter().all(from_somewhere) {
                    return Err(format!("{what}: a merge brought {after:?} over {now:?}"));
                }
                None
            }
            // The first and the last, and commits of what is staged: puts of staged writes alone.
            _ => {
                for (path, value) in
                    after.iter().filter(|(path, value)| now.get(*path) != Some(value))
                {
                    if path != "first" && *path != format!("s/{value}") {
                        return Err(format!("{what}: a commit of staged writes has {path}"));
                    }
                    staged.push((*value, decided.ticket));
                }
                if now.keys().any(|path| !after.contains_key(path)) {
                    return Err(format!("{what}: a commit of staged writes took paths away"));
                }
                None
            }
        };
        if let Some(expected) = expected
            && expected != after
        {
            return Err(format!("{what}: the branch holds {after:?}, not {expected:?}"));
        }
        now = after;
        if let Some((id, _)) = &decided.commit {
            contents.insert(*id, now.clone());
        }
    }
    known(lake, main, &rows).await?;
    match producers.iter().find(|told| **told != rows) {
        None => Ok(staged),
        Some(told) => {
            Err(format!("producers are told to be at {told:?}, and they came to {rows:?}"))
        }
    }
}

/// What a Redis that is put back from the log is told of producers.
async fn known(lake: &Lake, main: &Line, rows: &Rows) -> Result<(), String> {
    let record = BranchRecord::newest(lake, &main.name.parse().unwrap()).await.unwrap().unwrap().0;
    let image = read_back(lake, &record).await.map_err(|error| error.to_string())?;
    let row = |(name, row): (String, ProducerRow)| (name, (row.epoch, row.sequence));
    let there: Rows = image.producers.into_iter().map(row).collect();
    match there == *rows {
        true => Ok(()),
        false => Err(format!("by the log producers are at {there:?}, and they came to {rows:?}")),
    }
}

/// Takes out what an op that forgets finds as it was named; it leaves the branch as it is.
fn forget(
    rows: &mut Rows,
    named: &[Producer],
    decided: &Decided,
    what: &str,
) -> Result<bool, String> {
    let before = rows.clone();
    let is_as_named = |row: &&Producer| {
        before.get(&row.name).is_none_or(|there| *there == (row.epoch, row.sequence))
    };
    let mut any = false;
    for row in named.iter().filter(is_as_named) {
        rows.remove(&row.name);
        any = true;
    }
    let outcome = decided.told().outcome;
    match outcome == if any { "applied" } else { "no_changes" } {
        true => Ok(true),
        false => {
            Err(format!("{what} of {named:?} came to {outcome} where the rows are {before:?}"))
        }
    }
}

/// Epoch and sequence of each producer.
pub type Rows = BTreeMap<String, (u64, u64)>;

/// Whether an op came too late for one of its producers, as it must be told then; else all of them
/// advance.
fn late(
    rows: &mut Rows,
    producers: &[Producer],
    decided: &Decided,
    what: &str,
) -> Result<bool, String> {
    let row = |asked: &Producer| rows.get(&asked.name).copied().unwrap_or_default();
    let is_fenced = |asked: &Producer| asked.epoch < row(asked).0;
    let is_behind = |asked: &Producer| (asked.epoch, asked.sequence) <= row(asked);
    let outcome = decided.told().outcome;
    let told_late = matches!(outcome, "fenced" | "behind");
    let expected = match () {
        _ if producers.iter().any(is_fenced) => Some("fenced"),
        _ if producers.iter().any(is_behind) => Some("behind"),
        _ => None,
    };
    if expected != told_late.then_some(outcome) {
        return Err(format!(
            "{what} of {producers:?} came to {outcome} where the rows are {rows:?}"
        ));
    }
    if !told_late {
        let advanced = producers.iter().map(|p| (p.name.clone(), (p.epoch, p.sequence)));
        rows.extend(advanced);
    }
    Ok(told_late)
}

/// What a plain map comes to, and whether the op had to commit.
fn expect(
    now: &Content,
    changes: &[Put],
    guard: &Guard,
    base: Option<&Content>,
    decided: &Decided,
    what: &str,
) -> Result<Content, String> {
    let mut after = now.clone();
    let mut conflict = false;
    for (index, put) in changes.iter().enumerate() {
        let current = now.get(&put.path).copied();
        let wanted = match guard {
            Guard::Absent if index == 0 && current.is_some() => {
                conflict = true;
                current
            }
            Guard::Base => {
                let base = base.ok_or_else(|| format!("{what}: its base is unknown"))?;
                let base = base.get(&put.path).copied();
                match (put.value, current) {
                    (wanted, current) if wanted == base => current,
                    (wanted, current) if current == base || wanted == current => wanted,
                    (_, current) => {
                        conflict = true;
                        current
                    }
                }
            }
            _ => put.value,
        };
        match wanted {
            Some(value) => drop(after.insert(put.path.clone(), value)),
            None => drop(after.remove(&put.path)),
        }
    }
    let takes_away_only = changes.iter().all(|put| put.value.is_none());
    match decided.told().outcome {
        "committed" if conflict => {
            Err(format!("{what} was committed over a conflict: {changes:?}"))
        }
        "committed" if takes_away_only && after == *now => {
            Err(format!("{what} took nothing away and was committed: {changes:?} over {now:?}"))
        }
        "no_changes" if after != *now => {
            Err(format!("{what} came to nothing and had changes: {changes:?} over {now:?}"))
        }
        "committed" => Ok(after),
        "conflict" if !conflict => Err(format!(
            "{what} met a conflict that there was not: {changes:?} {:?} over {now:?}",
            decided.verdict
        )),
        "conflict" | "cancelled" | "no_changes" => Ok(now.clone()),
        other => Err(format!("{what} came to {other}: {:?}", decided.verdict)),
    }
}

fn staging(journals: &[Entry], main: &Line, staged: &[(u32, u64)], lossless: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut held = |result: Result<(), Violation>| {
        wrong.extend(result.err().map(|violation| violation.to_string()));
    };
    held(invariants::staged_once(staged.iter().copied()));
    for (op, promised, ticket) in promised(journals, main) {
        let later: Vec<u32> = journals
            .iter()
            .filter(|entry| entry.began > promised)
            .filter_map(|entry| match entry.plan.act {
                Act::Stage { value } => Some(value),
                _ => None,
            })
            .collect();
        let holds = staged.iter().filter(|(_, holder)| *holder == ticket);
        held(invariants::nothing_later(op, &later, holds.map(|(value, _)| *value)));
    }
    if !lossless {
        // Staged writes are as durable as Redis is.
        return wrong;
    }
    let by_op: HashMap<OpId, &Decided> = main.ops.iter().map(|op| (op.op_id, op)).collect();
    let holders: HashMap<u32, u64> = staged.iter().copied().collect();
    let (seals, called_off): (Vec<&Entry>, Vec<&Entry>) = journals
        .iter()
        .filter(|entry| matches!(entry.plan.act, Act::CommitStaged { .. }))
        .partition(|entry| by_op.get(&entry.plan.op_id).is_some_and(|op| op.commit.is_some()));
    // What one that was called off beside another had taken, it gave back when that had taken the rest.
    let end = |entry: &Entry| entry.ended.unwrap_or(u64::MAX);
    let beside = |a: &Entry, b: &Entry| a.began <= end(b) && b.began <= end(a);
    let seals: Vec<(u64, u64)> = seals
        .into_iter()
        .filter(|seal| !called_off.iter().any(|off| beside(seal, off)))
        .filter_map(|seal| Some((seal.began, by_op.get(&seal.plan.op_id)?.ticket)))
        // The last commit of a history takes what is left.
        .chain(main.ops.last().map(|last| (u64::MAX, last.ticket)))
        .collect();
    for entry in journals {
        if let (Act::Stage { value }, Some(acknowledged)) = (&entry.plan.act, entry.ended) {
            let holder = holders.get(value).copied();
            held(invariants::staged_in_time(value, acknowledged, holder, seals.iter().copied()));
        }
    }
    wrong
}

/// Commits of what was staged that one process has seen through: when it knew that they were accepted,
/// and the ticket as which they were decided.
fn promised(journals: &[Entry], main: &Line) -> Vec<(OpId, u64, u64)> {
    let ticket = |op: OpId| main.ops.iter().find(|decided| decided.op_id == op).map(|op| op.ticket);
    let promised =
        journals.iter().filter(|entry| matches!(entry.plan.act, Act::CommitStaged { .. }));
    let known = promised
        .filter_map(|entry| Some((entry.plan.op_id, entry.promised?, ticket(entry.plan.op_id)?)));
    known.collect()
}
