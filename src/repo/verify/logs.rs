//! The log of one branch: each entry by itself, and whether it fits the one before it.

use std::sync::Arc;

use futures::StreamExt;

use crate::commit::log::entry::LogEntry;
use crate::commit::log::head::Head;
use crate::commit::log::record::BranchRecord;
use crate::model::error::Result;
use crate::model::ids::{BranchUid, CommitId, Ticket};
use crate::objects::layout;
use crate::tree::MAX_LEVELS;

use super::super::reach::Needed;
use super::finding::{Finding, FindingKind};
use super::{READS, Verifier};

/// Log entries held at the same time, at most.
const CHUNK: usize = 64;

impl Verifier<'_> {
    /// Walks a log to its end. Returns the head after the last entry that can be read.
    pub(super) async fn log(
        &mut self,
        uid: BranchUid,
        record: Option<&BranchRecord>,
    ) -> Result<Option<Head>> {
        let firsts = self.lake.log_tickets(uid, Ticket(0)).await?;
        if let (None, Some(first)) = (record, firsts.first()) {
            let key = layout::log_entry(&self.repo, uid, *first);
            let meaning = format!("there is a log of branch {uid}, but no branch has that uid");
            let mut finding = Finding::new(FindingKind::Inconsistent, key, meaning);
            finding.advice =
                "restore the branch's record below branches/ from a copy of the storage";
            self.tell(&finding);
        }
        let by = Needed::by(name_of(uid, record));
        let mut walk = Walk { before: start(uid, record), last: None, by };
        for chunk in firsts.chunks(CHUNK) {
            let lake = self.lake.clone();
            let mut entries = futures::stream::iter(chunk.to_vec())
                .map(|first| {
                    let lake = lake.clone();
                    async move { (first, lake.known_entry(uid, first).await) }
                })
                .buffered(READS);
            while let Some((first, entry)) = entries.next().await {
                match entry {
                    Ok(entry) => self.entry(&mut walk, &entry).await?,
                    Err(error) if error.is_permanent() => {
                        let key = layout::log_entry(&self.repo, uid, first);
                        self.tell_error(key, "a log entry", error, Some(&walk.by)).await?;
                        walk.before = None;
                    }
                    Err(error) => return Err(error),
                }
            }
            self.progress();
        }
        Ok(walk.last)
    }

    /// The log behind `end`, as far as it goes by now.
    pub(super) async fn follow(
        &mut self,
        record: &BranchRecord,
        end: Option<Head>,
    ) -> Result<Option<Head>> {
        let by = Needed::by(record.name.as_str());
        let before = end.as_ref().map(before).or_else(|| start(record.uid, Some(record)));
        let next = Ticket(end.as_ref().map_or(1, |end| end.done + 1));
        let mut walk = Walk { before, last: end, by };
        let mut log = self.lake.log_from(record.uid, next).await?;
        loop {
            match log.next().await {
                Ok(Some(entry)) => self.entry(&mut walk, &entry).await?,
                Ok(None) => return Ok(walk.last),
                // Damage was told where the log was walked; there is no going on behind it.
                Err(error) if error.is_permanent() => return Ok(walk.last),
                Err(error) => return Err(error),
            }
        }
    }

    async fn entry(&mut self, walk: &mut Walk, entry: &Arc<LogEntry>) -> Result<()> {
        self.summary.entries += 1;
        let key = layout::log_entry(&self.repo, entry.uid, entry.first);
        let mut wrong = self.commits(&walk.by, entry, &key).await?;
        if let Some(before) = walk.before.take() {
            let next = before.done + 1;
            if entry.first.0 > next {
                let missing = layout::log_entry(&self.repo, entry.uid, Ticket(next));
                let meaning = format!(
                    "the log has a gap: tickets {next} to {} were decided and are not there",
                    entry.first.0 - 1
                );
                let finding = Finding::new(FindingKind::Missing, missing, meaning);
                self.tell(&finding.needed_by(&walk.by));
            } else {
                wrong.extend(before.misfits(entry));
            }
        }
        let head = Head::after(entry)?;
        if head.metarange.levels.len() > MAX_LEVELS {
            wrong.push("its stack is over the limit of levels".into());
        }
        walk.before = Some(before(&head));
        walk.last = Some(head);
        if !wrong.is_empty() {
            let meaning = format!("a log entry does not fit: {}", wrong.join("; "));
            let finding = Finding::new(FindingKind::Inconsistent, key, meaning);
            self.tell(&finding.needed_by(&walk.by));
        }
        Ok(())
    }

    /// What is wrong with the commits of an entry.
    async fn commits(&mut self, by: &Needed, entry: &LogEntry, key: &str) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let mut own: Vec<(CommitId, u64)> = Vec::new();
        for (index, op) in entry.ops.iter().enumerate() {
            let (Some(commit), Some(id)) = (&op.commit, entry.commit_id(index)?) else { continue };
            self.summary.commits += 1;
            let metarange = entry.metarange(id.index());
            if metarange.id() != commit.metarange {
                wrong.push(format!("commit {id} does not have the content that the entry lists"));
            }
            if metarange.levels.len() > MAX_LEVELS {
                wrong.push(format!("commit {id} has a stack over the limit of levels"));
            }
            if commit.op_id != op.op_id {
                wrong.push(format!("commit {id} is not of its op {}", op.op_id));
            }
            let child = Needed { by: Arc::clone(&by.by), commit: Some(id) };
            for parent in &commit.parents {
                let inside = own.iter().rev().find(|(known, _)| known == parent);
                let generation = match inside {
                    Some((_, generation)) => Some(*generation),
                    None if Some(*parent) == entry.parent => Some(entry.parent_generation),
                    None if is_inside(parent, entry) => {
                        wrong.push(format!(
                            "commit {id} has a parent {parent} that the entry does not hold"
                        ));
                        None
                    }
                    None => self.generation_of(parent, &child, key).await?,
                };
                if generation.is_some_and(|generation| generation >= commit.generation) {
                    wrong.push(format!("commit {id} is not of a later generation than its parent"));
                }
            }
            own.push((id, commit.generation));
        }
        Ok(wrong)
    }
}

fn is_inside(id: &CommitId, entry: &LogEntry) -> bool {
    id.uid() == entry.uid && id.first_ticket() == entry.first
}

fn name_of(uid: BranchUid, record: Option<&BranchRecord>) -> Arc<str> {
    match record {
        Some(record) => Arc::from(record.name.as_str()),
        None => Arc::from(uid.to_string()),
    }
}

/// A walk along one log.
struct Walk {
    /// What the next entry must fit; `None` where that is not known.
    before: Option<Before>,
    last: Option<Head>,
    by: Needed,
}

/// What an entry says of what was before it.
struct Before {
    done: u64,
    position: Option<Ticket>,
    entries: u64,
    commit: Option<CommitId>,
    /// Not known of the commit that a branch starts from.
    generation: Option<u64>,
    closed: bool,
}

fn start(uid: BranchUid, record: Option<&BranchRecord>) -> Option<Before> {
    let commit = record.filter(|record| record.uid == uid)?.start;
    let generation = commit.is_none().then_some(0);
    Some(Before { done: 0, position: None, entries: 0, commit, generation, closed: false })
}

fn before(head: &Head) -> Before {
    Before {
        done: head.done,
        position: head.position,
        entries: head.entries,
        commit: head.commit,
        generation: Some(head.generation),
        closed: head.closed,
    }
}

impl Before {
    fn misfits(&self, entry: &LogEntry) -> Vec<String> {
        let generation = self.generation.unwrap_or(entry.parent_generation);
        let checks = [
            (entry.first.0 == self.done + 1, "its tickets overlap with the entry before it"),
            (entry.before == self.position, "it names another entry as the one before it"),
            (entry.sequence == self.entries, "its number is not the next"),
            (entry.parent == self.commit, "it was built on another head"),
            (entry.parent_generation == generation, "its parent's generation is another"),
            (!self.closed, "the log had ended before it"),
        ];
        checks.iter().filter(|(fits, _)| !fits).map(|(_, why)| (*why).to_owned()).collect()
    }
}
