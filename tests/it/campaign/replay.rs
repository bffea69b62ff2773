//! The decided commits once more, over plain maps: what each must have changed, and what must be
//! there in the end.

use std::collections::{BTreeSet, HashMap};

use onward::CommitId;

use super::history::{BranchHistory, Changes, Content, Journals};
use super::journal::{StagedWrite, Strategy, What};
use super::site::SIDE;

/// A replay of all branches, one after the other.
pub struct Replay<'a> {
    journals: &'a Journals,
    /// The content of commits of the branch that merges come from.
    side: HashMap<CommitId, Content>,
}

impl<'a> Replay<'a> {
    pub fn new(journals: &'a Journals) -> Self {
        Self { journals, side: HashMap::new() }
    }

    /// Replays one branch; the one that is merged into others comes first. Tells what differs.
    pub fn branch(&mut self, branch: &BranchHistory) -> Vec<String> {
        let (mut content, mut wrong) = (Content::new(), Vec::new());
        let mut merged = branch.start;
        for op in &branch.ops {
            let (Some((id, commit)), Some(asked)) = (&op.commit, self.journals.asked.get(&op.op))
            else {
                continue;
            };
            let expected = match &asked.plan.what {
                What::Changes { .. } => effective(&content, &asked.plan.changes().unwrap()),
                What::Staged => {
                    wrong.extend(self.strange_writes(&branch.name, &op.changes));
                    op.changes.clone()
                }
                What::Merge { strategy, .. } => {
                    let source = commit.parents.get(1).copied();
                    let expected = self.merge(merged, source, &content, *strategy);
                    merged = source;
                    expected.unwrap_or_else(|conflict| {
                        wrong.push(format!("merge {id} was committed over {conflict}"));
                        op.changes.clone()
                    })
                }
            };
            if expected != op.changes {
                wrong.push(difference(id, &expected, &op.changes));
            }
            for (path, number) in &op.changes {
                match number {
                    Some(number) => drop(content.insert(path.clone(), *number)),
                    None => drop(content.remove(path)),
                }
            }
            if branch.name == SIDE {
                self.side.insert(*id, content.clone());
            }
        }
        if content != branch.head {
            let paths: Vec<_> = differing(&content, &branch.head).into_iter().take(5).collect();
            wrong.push(format!("the head of {} differs from a replay at {paths:?}", branch.name));
        }
        wrong
    }

    /// Changes of a commit of what was staged that nobody had staged so.
    fn strange_writes(&self, branch: &str, changes: &Changes) -> Vec<String> {
        let staged = |path: &String, number: Option<u64>| {
            let number = number?;
            let write = StagedWrite { branch: branch.to_owned(), path: path.clone(), number };
            self.journals.staged.get(&write)
        };
        let strange = changes.iter().filter(|(path, number)| staged(path, **number).is_none());
        strange.map(|change| format!("{change:?} was committed and never staged")).collect()
    }

    /// What a merge changes, or the first path in conflict.
    fn merge(
        &self,
        base: Option<CommitId>,
        source: Option<CommitId>,
        dest: &Content,
        strategy: Strategy,
    ) -> Result<Changes, String> {
        let empty = Content::new();
        // A base that is no commit of the side is where both branches began: nothing was there.
        let of = |id: Option<CommitId>| id.and_then(|id| self.side.get(&id)).unwrap_or(&empty);
        let (base, source) = (of(base), of(source));
        let mut changes = Changes::new();
        for path in differing(base, source) {
            let (b, s, d) = (base.get(path), source.get(path), dest.get(path));
            let take = s != d && (d == b || strategy == Strategy::SourceWins);
            if s != d && d != b && strategy == Strategy::Fail {
                return Err(format!("a conflict at {path}"));
            }
            if take {
                changes.insert(path.clone(), s.copied());
            }
        }
        Ok(changes)
    }
}

/// Those of `changes` that change something.
fn effective(content: &Content, changes: &Changes) -> Changes {
    let differs = |(path, number): &(&String, &Option<u64>)| content.get(*path) != number.as_ref();
    changes.iter().filter(differs).map(|(path, number)| (path.clone(), *number)).collect()
}

fn differing<'a>(a: &'a Content, b: &'a Content) -> BTreeSet<&'a String> {
    a.keys().chain(b.keys()).filter(|path| a.get(*path) != b.get(*path)).collect()
}

fn difference(id: &CommitId, expected: &Changes, found: &Changes) -> String {
    let missing = expected.iter().filter(|(path, number)| found.get(*path) != Some(number));
    let strange = found.iter().filter(|(path, number)| expected.get(*path) != Some(number));
    let (missing, strange): (Vec<_>, Vec<_>) =
        (missing.take(3).collect(), strange.take(3).collect());
    format!("commit {id} should change {missing:?} and changes {strange:?}")
}
