//! The snapshots behind the head of a table, and which of them one side has added since a base. Pure.

use std::collections::HashSet;

use crate::table::Metadata;
use crate::table::json::number;

/// The snapshots that lead to `main`, newest first, as far as the metadata has them.
#[derive(Default)]
pub(in crate::table) struct Line {
    pub ids: Vec<i64>,
    /// Whether the first of all is among them: none has been expired.
    pub is_whole: bool,
}

impl Line {
    pub(in crate::table) fn of(table: &Metadata) -> Self {
        let most = table.snapshot_ids().count();
        let (mut ids, mut at) = (Vec::new(), table.current_snapshot_id());
        while let Some(id) = at {
            let snapshot = table.snapshot(id).filter(|_| ids.len() < most);
            let Some(snapshot) = snapshot else { return Self { ids, is_whole: false } };
            ids.push(id);
            at = number(snapshot, "parent-snapshot-id");
        }
        Self { ids, is_whole: true }
    }

    /// What this side has that `base` had not, oldest first. None where this side has not all that the base had, or
    /// where too much is expired to say.
    ///
    /// A side that has grown straight from the base's head shows it whatever was expired below: `has_head` says that
    /// it has that head as the base has it. One that was brought elsewhere has the same id, and other rows below. So
    /// has a side in which a merge put snapshots into another order; then the sets are compared, for which both must
    /// be whole.
    pub(super) fn since(&self, base: &Self, has_head: bool) -> Option<Vec<i64>> {
        let grown = match base.ids.first() {
            None => (self.is_whole && base.is_whole).then_some(self.ids.len()),
            Some(head) => self.ids.iter().position(|id| id == head).filter(|_| has_head),
        };
        if let Some(many) = grown {
            return Some(self.ids.iter().take(many).rev().copied().collect());
        }
        let (mine, known): (HashSet<i64>, HashSet<i64>) =
            (self.ids.iter().copied().collect(), base.ids.iter().copied().collect());
        let is_told = self.is_whole && base.is_whole && known.is_subset(&mine);
        is_told.then(|| self.ids.iter().rev().filter(|id| !known.contains(id)).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ids: &[i64], is_whole: bool) -> Line {
        Line { ids: ids.to_vec(), is_whole }
    }

    #[test]
    fn what_a_side_has_added_is_told_or_it_is_said_that_nobody_knows() {
        let cases: [(Line, Line, bool, Option<&[i64]>); 16] = [
            (line(&[3, 2, 1], true), line(&[1], true), true, Some(&[2, 3])),
            (line(&[1], true), line(&[1], true), true, Some(&[])),
            (line(&[2, 1], true), line(&[], true), true, Some(&[1, 2])),
            // Expired below: it has grown from the head all the same.
            (line(&[4, 3, 2], false), line(&[2, 1], true), true, Some(&[3, 4])),
            (line(&[4, 3, 2, 1], true), line(&[3, 2], false), true, Some(&[4])),
            (line(&[4, 3], false), line(&[3, 2], false), true, Some(&[4])),
            (line(&[4, 3], false), line(&[], true), true, None),
            (line(&[4, 3], false), line(&[2, 1], true), false, None),
            // The head of the base was brought onto something else, which is expired on one of them.
            (line(&[8, 5], false), line(&[5, 4], true), false, None),
            (line(&[8, 5, 7, 4], true), line(&[5], false), false, None),
            (line(&[8, 5, 7, 4], true), line(&[5, 4], true), false, Some(&[7, 8])),
            // Rolled back behind the base.
            (line(&[9, 1], true), line(&[2, 1], true), false, None),
            // In another order, by merges.
            (line(&[12, 11, 3, 2, 1], true), line(&[12, 2, 11, 1], true), false, Some(&[3])),
            (line(&[12, 11, 3, 2], false), line(&[12, 2, 11, 1], true), false, None),
            (line(&[12, 11, 3, 2, 1], true), line(&[12, 2], false), false, None),
            (line(&[2], true), line(&[2, 1], true), false, None),
        ];
        for (at, (side, base, has_head, expected)) in cases.iter().enumerate() {
            assert_eq!(side.since(base, *has_head).as_deref(), *expected, "case {at}");
        }
    }
}
