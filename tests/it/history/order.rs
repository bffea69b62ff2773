//! The order of a log and where it ends, on histories made by hand: with merges, and with clocks
//! that were wrong.

use std::collections::{BTreeMap, BTreeSet};

use onward::internals::clock;
use onward::internals::commit::log::entry::{DecidedOp, LogEntry};
use onward::internals::commit::log::format::Encoded;
use onward::internals::commit::op::verdict::Verdict;
use onward::internals::model::commit::Commit;
use onward::internals::model::ids::BranchUid;
use onward::internals::repo::LogRequest;
use onward::internals::tree::Metarange;
use onward::{CommitId, Ticket};

use super::log;
use crate::support::lake::Deployment;

/// Writes log entries of one commit each.
pub struct Forge {
    lake: onward::internals::commit::log::lake::Lake,
    pub onward: onward::Onward,
    _deployment: Deployment,
    made: BTreeMap<CommitId, Commit>,
}

impl Forge {
    pub async fn new() -> Self {
        let (deployment, onward) = Deployment::lake().await;
        let lake = onward.coordinator().lake(&"lake".parse().unwrap());
        Self { lake, onward, _deployment: deployment, made: BTreeMap::new() }
    }

    pub async fn commit(&mut self, created_ms: i64, parents: &[CommitId]) -> CommitId {
        let generations = parents.iter().map(|id| self.made[id].generation);
        let commit = Commit {
            op_id: clock::new_op_id(),
            parents: parents.to_vec(),
            generation: generations.max().unwrap_or(0) + 1,
            committer: "c".into(),
            message: String::new(),
            created_ms,
            metadata: BTreeMap::new(),
            metarange: Metarange::default().id(),
        };
        self.write(commit).await
    }

    /// Writes a log entry with this commit.
    pub async fn write(&mut self, commit: Commit) -> CommitId {
        let (uid, first) = (BranchUid(7), Ticket(self.made.len() as u64 + 1));
        let id = commit.id(uid, first, 0).unwrap();
        let op = DecidedOp {
            id: Default::default(),
            op_id: commit.op_id,
            verdict: Verdict::Committed,
            commit: Some(commit.clone()),
            areas: None,
            reset: None,
            fingerprint: None,
        };
        let entry = LogEntry {
            uid,
            first,
            sequence: first.0 - 1,
            before: None,
            parent: commit.parents.first().copied(),
            parent_generation: commit.generation - 1,
            ops: vec![op],
            levels: Vec::new(),
            runs: Vec::new(),
            producers: BTreeMap::new(),
            forgotten: Default::default(),
            closes: false,
        };
        self.lake.decide(&Encoded::of(entry).unwrap()).await.unwrap();
        self.made.insert(id, commit);
        id
    }

    async fn log(&self, from: CommitId, request: &LogRequest) -> Vec<CommitId> {
        log(&self.onward, &from.to_string(), request).await
    }

    /// What the definition says: of what is at hand the newest, then its parents are at hand.
    pub fn expected(&self, from: CommitId) -> Vec<CommitId> {
        let key = |id: &CommitId| (self.made[id].created_ms, self.made[id].generation, *id);
        let (mut at_hand, mut met) = (BTreeSet::from([key(&from)]), BTreeSet::from([from]));
        let mut order = Vec::new();
        while let Some((_, _, id)) = at_hand.pop_last() {
            order.push(id);
            for parent in &self.made[&id].parents {
                if met.insert(*parent) {
                    at_hand.insert(key(parent));
                }
            }
        }
        order
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_lines_are_told_once_and_newest_first() {
    let mut forge = Forge::new().await;
    let root = forge.commit(10, &[]).await;
    let left = forge.commit(20, &[root]).await;
    let right = forge.commit(30, &[root]).await;
    let merge = forge.commit(40, &[left, right]).await;
    let head = forge.commit(50, &[merge]).await;
    let all = LogRequest::default();
    assert_eq!(forge.log(head, &all).await, [head, merge, right, left, root]);
    let first_parent = LogRequest { first_parent: true, ..LogRequest::default() };
    assert_eq!(forge.log(head, &first_parent).await, [head, merge, left, root]);
    let stop = LogRequest { stop_at: Some(right), ..LogRequest::default() };
    assert_eq!(forge.log(head, &stop).await, [head, merge, right]);
    let since = |ms| LogRequest { since_ms: Some(ms), ..LogRequest::default() };
    assert_eq!(forge.log(head, &since(30)).await, [head, merge, right]);
    assert_eq!(forge.log(head, &since(51)).await, []);
    assert_eq!(forge.log(head, &since(0)).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_on_one_line_does_not_end_the_other() {
    let mut forge = Forge::new().await;
    let root = forge.commit(10, &[]).await;
    // This line's clock was an hour behind.
    let slow = forge.commit(-3_600_000, &[root]).await;
    let quick = forge.commit(30, &[root]).await;
    let merge = forge.commit(40, &[slow, quick]).await;
    let since = LogRequest { since_ms: Some(5), ..LogRequest::default() };
    assert_eq!(forge.log(merge, &since).await, [merge, quick, root]);
    assert_eq!(forge.log(merge, &LogRequest::default()).await, [merge, quick, root, slow]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_commit_is_told_twice_however_the_clocks_went() {
    let mut forge = Forge::new().await;
    let mut tips = vec![forge.commit(0, &[]).await];
    let mut random = crate::support::seed::seed();
    let mut draw = move |below: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    // More than what is remembered without looking what can be forgotten.
    for n in 1..2600_i64 {
        let created = n * 10 + draw(2000) as i64;
        let first = draw(tips.len() as u64) as usize;
        let second = draw(tips.len() as u64) as usize;
        let mut parents = vec![tips[first]];
        if first != second && draw(2) == 0 {
            parents.push(tips[second]);
        }
        let commit = forge.commit(created, &parents).await;
        if tips.len() < 6 && draw(10) == 0 {
            tips.push(commit);
        } else {
            tips[first] = commit;
        }
    }
    let head = forge.commit(0, &tips.clone()).await;
    assert_eq!(forge.log(head, &LogRequest::default()).await, forge.expected(head));
}
