//! What the writers were told, held against what the lake says: the log, the history and a listing
//! of the branch.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::TryStreamExt;
use onward::internals::commit::op::verdict::Verdict;
use onward::internals::repo::ticket::TicketStatus;
use onward::internals::repo::{LogRequest, Repository};
use onward::internals::tree::{ListItem, ListRequest};
use onward::{CommitId, Onward, OpId, Outcome, RefExpr, Result, Ticket};
use serde_json::{Value, json};

use super::super::ingest::quantile;
use super::cast::{Acknowledged, File, PAUSED, Submitted};

/// How long the dead writer's last commit is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// One claim, whether it holds, and by what.
pub struct Row {
    pub claim: &'static str,
    pub holds: bool,
    pub evidence: String,
}

/// What the demo saw.
#[derive(Default)]
pub struct Evidence {
    pub acknowledged: Vec<Acknowledged>,
    pub seconds: f64,
    /// Ops that writers decided for others.
    pub helped: u64,
    pub pause: Option<Pause>,
    victim: Option<Victim>,
}

struct Victim {
    number: usize,
    last: Submitted,
    /// Its place in the queue just before the kill; `None` when it was decided already.
    position: Option<u64>,
}

/// The paused writer's pause.
pub struct Pause {
    before: usize,
    during: Option<(usize, Duration)>,
}

impl Evidence {
    pub fn killed(&mut self, number: usize, last: Submitted, status: TicketStatus) {
        let position = match status {
            TicketStatus::Pending { position, .. } => Some(position),
            TicketStatus::Decided(_) => None,
        };
        self.victim = Some(Victim { number, last, position });
    }

    pub fn commits_of(&self, writer: usize) -> usize {
        self.acknowledged.iter().filter(|commit| commit.writer == writer).count()
    }

    fn of_others(&self) -> usize {
        self.acknowledged.len() - self.commits_of(PAUSED)
    }

    pub fn pause_begins(&mut self) {
        self.pause = Some(Pause { before: self.of_others(), during: None });
    }

    pub fn pause_ends(&mut self, length: Duration) {
        let others = self.of_others();
        if let Some(pause) = &mut self.pause {
            pause.during = Some((others - pause.before, length));
        }
    }

    pub fn is_paused(&self) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.during.is_none())
    }

    pub fn bytes(&self) -> u64 {
        self.acknowledged.iter().flat_map(|commit| &commit.files).map(|file| file.size).sum()
    }

    /// Time-to-commit: p50 and p99, in milliseconds.
    pub fn quantiles(&self) -> (f64, f64) {
        let mut waits: Vec<u32> = self.acknowledged.iter().map(|commit| commit.wait_us).collect();
        waits.sort_unstable();
        (quantile(&waits, 0.5), quantile(&waits, 0.99))
    }

    /// The progress in one line.
    pub fn line(&self, depth: u64, seconds: f64) -> String {
        let (p50, p99) = self.quantiles();
        format!(
            "{} commits, {:.0}/s · queue {depth} · time-to-commit p50 {p50:.0} ms, p99 {p99:.0} ms",
            self.acknowledged.len(),
            self.acknowledged.len() as f64 / seconds.max(0.001)
        )
    }

    /// The summary for programs.
    pub fn total(&self, holds: bool) -> Value {
        let (p50, p99) = self.quantiles();
        json!({
            "holds": holds, "commits": self.acknowledged.len(), "seconds": self.seconds,
            "bytes": self.bytes(), "p50_ms": p50, "p99_ms": p99, "helped": self.helped,
        })
    }
}

/// Holds the evidence against the lake.
pub async fn prove(onward: &Onward, repo: &str, evidence: &Evidence) -> Result<Vec<Row>> {
    let repository = onward.repo(repo);
    let dead = dead_writer(&repository, evidence).await?;
    let listing = listing(&repository).await?;
    let log = Log::read(onward, &repository, repo).await?;
    let mut rows = vec![
        files(evidence, &listing),
        one_commit_per_op(evidence, &log),
        ticket_order(evidence, &log),
    ];
    rows.push(dead_row(evidence, dead, &listing));
    rows.push(paused_row(evidence));
    rows.push(rounds(evidence));
    Ok(rows)
}

/// The whole branch: checksums by path.
async fn listing(repository: &Repository) -> Result<HashMap<String, String>> {
    let head = "main@".parse()?;
    let mut all = HashMap::new();
    let mut request = ListRequest::default();
    loop {
        let page = repository.list(&head, &request).await?;
        for item in page.items {
            if let ListItem::Object(path, entry) = item {
                all.insert(path.to_string(), entry.checksum);
            }
        }
        match page.next {
            Some(next) => request.after = Some(next),
            None => return Ok(all),
        }
    }
}

/// The branch's log and history.
struct Log {
    /// What each ticket is, as often as the log says so.
    tickets: Vec<(Ticket, OpId, bool)>,
    /// Commits by op.
    commits: BTreeMap<OpId, Vec<CommitId>>,
    /// Tickets of the history, newest first.
    history: Vec<Ticket>,
}

impl Log {
    async fn read(onward: &Onward, repository: &Repository, repo: &str) -> Result<Self> {
        let main = RefExpr::plain("main");
        let uid = repository.require_commit(&main).await?.uid();
        let lake = onward.coordinator().lake(&repo.parse()?);
        let firsts = lake.log_tickets(uid, Ticket(0)).await?;
        let (mut tickets, mut commits) = (Vec::new(), BTreeMap::new());
        for entry in lake.entries(uid, &firsts).await? {
            for (index, op) in entry.ops.iter().enumerate() {
                let commit = entry.commit_id(index)?;
                let committed = matches!(op.verdict, Verdict::Committed);
                tickets.push((entry.first.plus(index as u64), op.op_id, committed));
                if let Some(commit) = commit {
                    commits.entry(op.op_id).or_insert_with(Vec::new).push(commit);
                }
            }
        }
        let history = repository.log(&main, &LogRequest::default()).await?;
        let history = history.map_ok(|info| info.ticket()).try_collect().await?;
        Ok(Self { tickets, commits, history })
    }
}

fn there(files: &[File], listing: &HashMap<String, String>) -> usize {
    files.iter().filter(|file| listing.get(&file.path) == Some(&file.checksum)).count()
}

fn files(evidence: &Evidence, listing: &HashMap<String, String>) -> Row {
    let total: usize = evidence.acknowledged.iter().map(|commit| commit.files.len()).sum();
    let found: usize =
        evidence.acknowledged.iter().map(|commit| there(&commit.files, listing)).sum();
    Row {
        claim: "every file of every acknowledged commit, with its MD5",
        holds: total > 0 && found == total,
        evidence: format!("{found} of {total} files"),
    }
}

fn one_commit_per_op(evidence: &Evidence, log: &Log) -> Row {
    let acknowledged = evidence.acknowledged.iter();
    let right = acknowledged
        .filter(|commit| log.commits.get(&commit.op_id).is_some_and(|ids| *ids == [commit.commit]))
        .count();
    let doubled = log.commits.values().filter(|ids| ids.len() > 1).count();
    Row {
        claim: "one commit per op, the one its writer was told",
        holds: right == evidence.acknowledged.len() && doubled == 0,
        evidence: format!("{right} ops, {doubled} of them twice"),
    }
}

fn ticket_order(evidence: &Evidence, log: &Log) -> Row {
    let whole = log.tickets.iter().zip(1..).all(|((ticket, _, _), wanted)| ticket.0 == wanted);
    let ordered = log.history.windows(2).all(|pair| match pair {
        [newer, older] => newer > older,
        _ => true,
    });
    let by_ticket: HashMap<Ticket, OpId> =
        log.tickets.iter().map(|(ticket, op_id, _)| (*ticket, *op_id)).collect();
    let matching = evidence
        .acknowledged
        .iter()
        .all(|commit| by_ticket.get(&commit.ticket) == Some(&commit.op_id));
    Row {
        claim: "history is ticket order, without a gap or a duplicate",
        holds: whole && ordered && matching,
        evidence: format!(
            "tickets 1 to {}, {} commits in the history",
            log.tickets.len(),
            log.history.len()
        ),
    }
}

async fn dead_writer(repository: &Repository, evidence: &Evidence) -> Result<Option<Outcome>> {
    match &evidence.victim {
        Some(victim) => {
            let branch = repository.branch("main");
            branch.ticket_wait(victim.last.op_id, PATIENCE).await.map(Some)
        }
        None => Ok(None),
    }
}

fn dead_row(
    evidence: &Evidence,
    outcome: Option<Outcome>,
    listing: &HashMap<String, String>,
) -> Row {
    let claim = "the killed writer's last commit was finished by others";
    let (Some(victim), Some(Outcome::Committed { ticket, .. })) = (&evidence.victim, &outcome)
    else {
        let evidence = match &outcome {
            Some(outcome) => format!("it ended as {}", outcome.name()),
            None => "no writer was killed".to_owned(),
        };
        return Row { claim, holds: false, evidence };
    };
    let (found, total) = (there(&victim.last.files, listing), victim.last.files.len());
    let place = match victim.position {
        Some(position) => format!("killed at place {position} of the queue"),
        None => "decided by others even before the kill".to_owned(),
    };
    Row {
        claim,
        holds: found == total && total > 0,
        evidence: format!(
            "writer {}, ticket {ticket}: {place}; {found} of {total} files",
            victim.number
        ),
    }
}

fn paused_row(evidence: &Evidence) -> Row {
    let claim = "the paused writer held nobody up";
    match evidence.pause.as_ref().and_then(|pause| pause.during) {
        Some((commits, length)) => Row {
            claim,
            holds: commits > 0,
            evidence: format!("{commits} commits of others in {:.1} s", length.as_secs_f64()),
        },
        None => Row { claim, holds: false, evidence: "no writer was paused".to_owned() },
    }
}

fn rounds(evidence: &Evidence) -> Row {
    let beyond = evidence.acknowledged.iter().filter(|c| c.rounds > c.rounds_bound).count();
    let most = evidence.acknowledged.iter().map(|c| c.rounds).max().unwrap_or(0);
    let bound = evidence.acknowledged.iter().map(|c| c.rounds_bound).max().unwrap_or(0);
    Row {
        claim: "no commit took more rounds than its bound",
        holds: beyond == 0,
        evidence: format!(
            "at most {most}, bound {bound}; {} ops decided for others",
            evidence.helped
        ),
    }
}
