//! A look at all queues that is shared by who wants one: they all see the same, and each look is many calls
//! to the Redis that commits depend on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use onward::internals::clock::Stopwatch;
use onward::{BranchName, Error, ErrorKind, Onward, RepoName, Result};
use tokio::sync::Mutex;

use crate::watch::Waiting;

/// Queues that are told, at most.
const TOLD_MAX: usize = 100;

/// Branches that this process works on and that are looked at, at most, besides those where something
/// waits: [`Waiting`] has 1,000 of these at most.
const AT_WORK_MAX: usize = 100;

/// Queues looked at together.
const LOOKS: usize = 16;

/// How long what was found is told to others.
const FRESH: Duration = Duration::from_secs(4);

/// A queue, as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Name of the repository.
    pub repo: RepoName,
    /// Name of the branch.
    pub branch: BranchName,
    /// Ops that wait.
    pub depth: u64,
    /// Tickets decided so far.
    pub done: u64,
    /// Whether nobody had the turn to decide them.
    pub stood: bool,
    /// When the first of them was submitted, milliseconds since the Unix epoch; none where nothing waits, 0
    /// where that cannot be read.
    pub since_ms: Option<i64>,
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The queues, those first where somebody has waited longest.
    pub rows: Vec<Row>,
    /// Ops that wait in all that were looked at, and in how many queues.
    pub waiting: (u64, u64),
    /// Whether there are more of them.
    pub is_cut: bool,
}

impl Found {
    /// Of all rows those that are told: where somebody has waited longest comes first, where nobody waits last.
    fn of(mut rows: Vec<Row>) -> Self {
        rows.sort_by(|a, b| {
            let key = |row: &Row| row.since_ms.unwrap_or(i64::MAX);
            (key(a), &a.repo, &a.branch).cmp(&(key(b), &b.repo, &b.branch))
        });
        let ops = rows.iter().map(|row| row.depth).sum();
        let queues = rows.iter().filter(|row| row.depth > 0).count() as u64;
        let is_cut = rows.len() > TOLD_MAX;
        rows.truncate(TOLD_MAX);
        Self { rows, waiting: (ops, queues), is_cut }
    }
}

/// The last look, and what it found or why it found nothing.
type Last = (Stopwatch, std::result::Result<Arc<Found>, String>);

/// Looks at all queues for everybody.
#[derive(Default)]
pub struct AllQueues(Mutex<Option<Last>>);

impl AllQueues {
    /// Where something waited when all branches were looked at last, at most 20 s ago, and where this
    /// sidecar works; each as it is now, or was within the last seconds. Who comes while somebody looks
    /// waits for the same.
    pub async fn look(&self, onward: &Onward, waiting: &Waiting) -> Result<Arc<Found>> {
        let mut last = self.0.lock().await;
        let found = match last.take().filter(|(at, _)| at.elapsed() < FRESH) {
            Some(fresh) => fresh,
            None => {
                let rows = rows(onward, waiting.last()).await;
                let found = rows.map(|rows| Arc::new(Found::of(rows)));
                (Stopwatch::start(), found.map_err(|error| error.for_callers()))
            }
        };
        last.insert(found).1.clone().map_err(Error::unavailable)
    }
}

async fn rows(onward: &Onward, mut names: Vec<(RepoName, BranchName)>) -> Result<Vec<Row>> {
    let mut known: BTreeSet<_> = names.iter().cloned().collect();
    for context in onward.coordinator().at_work(AT_WORK_MAX) {
        let name = (context.lake.repo().clone(), context.name.clone());
        if known.insert(name.clone()) {
            names.push(name);
        }
    }
    let mut looked_at = stream::iter(names)
        .map(|(repo, branch)| async move { row(onward, repo, branch).await })
        .buffered(LOOKS);
    let (mut rows, mut failed) = (Vec::new(), None);
    while let Some(row) = looked_at.next().await {
        match row {
            Ok(row) => rows.push(row),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // What is wrong with one branch is no reason to show none.
            Err(error) => failed = Some(error),
        }
    }
    match failed.filter(|_| rows.is_empty()) {
        Some(error) => Err(error),
        None => Ok(rows),
    }
}

async fn row(onward: &Onward, repo: RepoName, branch: BranchName) -> Result<Row> {
    let view = onward.repo(repo.as_str()).branch(branch.as_str()).queue(1).await?;
    let since_ms = view.ops.first().map(|op| op.created_ms);
    let (depth, done, stood) = (view.depth, view.done, view.stood);
    Ok(Row { repo, branch, depth, done, stood, since_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_waited_longest_is_told_of_however_many_wait() {
        let row = |branch: String, since_ms: Option<i64>| Row {
            repo: "lake".parse().unwrap(),
            branch: branch.parse().unwrap(),
            depth: u64::from(since_ms.is_some()),
            done: 1,
            stood: false,
            since_ms,
        };
        let recent = (0..300).map(|n| row(format!("tx-{n:03}"), Some(1_000 + n)));
        let idle = (0..9).map(|n| row(format!("a-{n}"), None));
        let longest = row("zz".to_owned(), Some(5));
        let all = idle.chain(recent).chain([longest.clone()]).collect();
        let found = Found::of(all);
        assert_eq!((found.rows.len(), found.is_cut), (TOLD_MAX, true));
        assert_eq!((&found.rows[0], found.waiting), (&longest, (301, 301)));
        assert!(found.rows.iter().all(|row| row.depth == 1));
        let few = Found::of(vec![row("b".to_owned(), None), row("a".to_owned(), Some(7))]);
        assert_eq!((few.rows[0].branch.as_str(), few.is_cut), ("a", false));
    }
}
