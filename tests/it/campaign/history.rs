//! What happened, gathered from the two witnesses: the object store's logs and the workers' journals.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use futures::{StreamExt, TryStreamExt};
use onward::internals::commit::log::lake::{Lake, LakeOptions};
use onward::internals::commit::log::record::BranchRecord;
use onward::internals::model::commit::Commit;
use onward::internals::objects::Objects;
use onward::internals::tree::{ListItem, ListRequest};
use onward::{CommitId, Onward, OpId, RefExpr, Ticket};

use super::crew::Crew;
use super::journal::{Line, Plan, Reader, StagedWrite, Told};
use crate::support::branch::outcome_name;

/// Comparisons of two commits under way at the same time.
const READS: usize = 8;

/// Path to the number of its entry.
pub type Content = BTreeMap<String, u64>;
/// Path to what it becomes.
pub type Changes = BTreeMap<String, Option<u64>>;

/// One op as the log has it.
#[derive(Debug, Clone)]
pub struct Decided {
    pub op: OpId,
    pub ticket: u64,
    pub outcome: String,
    pub commit: Option<(CommitId, Commit)>,
    /// What the commit changes, by a comparison with its first parent.
    pub changes: Changes,
}

/// One branch as the object store has it.
#[derive(Debug)]
pub struct BranchHistory {
    pub name: String,
    pub start: Option<CommitId>,
    /// First ticket and number of ops of each batch.
    pub batches: Vec<(u64, u64)>,
    pub ops: Vec<Decided>,
    /// What a listing of the head shows.
    pub head: Content,
}

impl BranchHistory {
    /// Reads a branch past all caches and past Redis.
    pub async fn read(onward: &Onward, objects: &Objects, branch: &str) -> Self {
        let lake = Lake::new("lake".parse().unwrap(), objects.clone(), LakeOptions::default());
        let name = branch.parse().unwrap();
        let record = BranchRecord::newest(&lake, &name).await.unwrap().unwrap().0;
        let firsts = lake.log_tickets(record.uid, Ticket(0)).await.unwrap();
        let (mut batches, mut ops) = (Vec::new(), Vec::new());
        for entry in lake.entries(record.uid, &firsts).await.unwrap() {
            batches.push((entry.first.0, entry.len()));
            for (index, op) in entry.ops.iter().enumerate() {
                let commit = entry.commit_id(index).unwrap().zip(op.commit.clone());
                ops.push(Decided {
                    op: op.op_id,
                    ticket: entry.first.0 + index as u64,
                    outcome: outcome_name(&entry, index).to_owned(),
                    commit,
                    changes: Changes::new(),
                });
            }
        }
        let lake = &lake;
        let compared = ops.into_iter().map(|mut op| async move {
            if let Some((id, commit)) = &op.commit {
                op.changes = changes(lake, commit.parents.first().copied(), *id).await;
            }
            op
        });
        let ops: Vec<Decided> = futures::stream::iter(compared).buffered(READS).collect().await;
        let last = ops.iter().rev().find_map(|op| op.commit.as_ref().map(|(id, _)| *id));
        let head = match last.or(record.start) {
            Some(head) => content(onward, head).await,
            None => Content::new(),
        };
        Self { name: branch.to_owned(), start: record.start, batches, ops, head }
    }
}

async fn changes(lake: &Lake, before: Option<CommitId>, after: CommitId) -> Changes {
    let before = lake.content(before).await.unwrap();
    let after = lake.content(Some(after)).await.unwrap();
    let diff = lake.diff(before, after, onward::internals::tree::ScanStart::prefix(""));
    diff.map_ok(|diff| (diff.path.to_string(), diff.after.map(|entry| entry.size)))
        .try_collect()
        .await
        .unwrap()
}

async fn content(onward: &Onward, commit: CommitId) -> Content {
    let (mut content, reference) = (Content::new(), RefExpr::plain(commit.to_string()));
    let mut request = ListRequest::default();
    loop {
        let page = onward.repo("lake").list(&reference, &request).await.unwrap();
        for item in page.items {
            let ListItem::Object(path, entry) = item else { panic!("{item:?} is no object") };
            content.insert(path.to_string(), entry.size);
        }
        match page.next {
            Some(next) => request.after = Some(next),
            None => return content,
        }
    }
}

/// An op as the journals have it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub plan: Plan,
    /// When it was asked for first, milliseconds.
    pub began: u64,
    /// When somebody was first told what was decided.
    pub ended: Option<u64>,
    /// Everything that anybody was told.
    pub told: Vec<Told>,
}

/// What the workers wrote down.
#[derive(Debug, Default)]
pub struct Journals {
    pub asked: HashMap<OpId, Asked>,
    /// Ops that a successor submitted again.
    pub again: u64,
    /// Staged writes, and when they were acknowledged, if they were.
    pub staged: BTreeMap<StagedWrite, Option<u64>>,
    pub refused: Vec<String>,
}

impl Journals {
    /// Reads the journals of so many slots.
    pub fn read(dir: &Path, slots: impl IntoIterator<Item = u32>) -> Self {
        let mut all = Self::default();
        for slot in slots {
            for line in Reader::new(&Crew::journal(dir, slot)).more() {
                all.take(line);
            }
        }
        all
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Asked { at, plan, again } => {
                self.again += u64::from(again);
                let new = || Asked { plan: plan.clone(), began: at, ended: None, told: Vec::new() };
                let asked = self.asked.entry(plan.op).or_insert_with(new);
                assert_eq!(asked.plan, plan, "an op is the same whenever it is asked for");
            }
            Line::Told { at, op, told, .. } => {
                let asked = self.asked.get_mut(&op).expect("nobody is told before asking");
                if !told.is_of_the_moment() {
                    asked.ended = Some(asked.ended.map_or(at, |ended| ended.min(at)));
                }
                asked.told.push(told);
            }
            Line::Refused { op, kind, message } => {
                self.refused.push(format!("{op:?} {kind}: {message}"));
            }
            Line::Staging { write, .. } => {
                self.staged.entry(write).or_default();
            }
            Line::Staged { at, write } => {
                self.staged.insert(write, Some(at));
            }
        }
    }

    /// All branches that ops were asked for on.
    pub fn branches(&self) -> BTreeSet<&str> {
        self.asked.values().map(|asked| asked.plan.branch.as_str()).collect()
    }
}
