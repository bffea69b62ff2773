//! What a round has learned of its commits, for its next tries: nothing of it becomes another while others are faster.

use std::collections::{HashMap, HashSet};

use onward::{CommitId, ObjectPath};

use super::fate::{Answer, Question};

/// What was learned by the tries so far.
#[derive(Default)]
pub(super) struct Learned {
    /// What the log says of a commit to a table, from some commit of the branch on back.
    by_log: HashMap<(ObjectPath, Question), (CommitId, Answer)>,
    /// Which ids were looked for on a page of what a table has lost, and which are on it.
    by_page: HashMap<String, (HashSet<i64>, HashSet<i64>)>,
}

impl Learned {
    /// What the log says from this commit on back.
    pub(super) fn in_log(
        &self,
        table: &ObjectPath,
        question: &Question,
        from: CommitId,
    ) -> Option<Answer> {
        let (top, answer) = self.by_log.get(&(table.clone(), question.clone()))?;
        (*top == from).then(|| answer.clone())
    }

    /// Keeps what the log says.
    pub(super) fn keep_answer(
        &mut self,
        table: &ObjectPath,
        question: &Question,
        from: CommitId,
        answer: &Answer,
    ) {
        if *answer != Answer::NotSaid {
            let key = (table.clone(), question.clone());
            self.by_log.insert(key, (from, answer.clone()));
        }
    }

    /// Which of these ids are on a page, where all of them were looked for there.
    pub(super) fn on_page(&self, page: &str, wanted: &HashSet<i64>) -> Option<HashSet<i64>> {
        let (asked, found) = self.by_page.get(page)?;
        wanted.is_subset(asked).then(|| found.intersection(wanted).copied().collect())
    }

    /// Keeps which of these ids are on a page.
    pub(super) fn keep_page(&mut self, page: &str, wanted: &HashSet<i64>, found: &HashSet<i64>) {
        let (asked, kept) = self.by_page.entry(page.to_owned()).or_default();
        asked.extend(wanted);
        kept.extend(found);
    }
}
