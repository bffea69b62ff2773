//! Lanes of a history: which line each commit of a page stands on, and how lines go on from row to row.
//! A function of ids and parents alone; what is drawn of it is `graph`'s.

use onward::CommitId;

/// What is drawn in the row of one commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// The lane that the commit stands on.
    pub node: usize,
    /// Lanes that come from above and end in it: lines of its children.
    pub ending: Vec<usize>,
    /// Lanes below that begin in it: lines to its parents, the first parent's first.
    pub beginning: Vec<usize>,
    /// Lanes that go by.
    pub passing: Vec<usize>,
}

impl Row {
    /// How many lanes there are, up to the last that has something in this row.
    pub fn width(&self) -> usize {
        let lanes = self.ending.iter().chain(&self.beginning).chain(&self.passing);
        lanes.chain([&self.node]).max().map_or(0, |last| last + 1)
    }
}

/// The lanes at hand while a page is gone through, newest first.
#[derive(Debug, Default)]
pub struct Lanes {
    /// The commit that each lane leads to; `None` is free.
    open: Vec<Option<CommitId>>,
    shown: Vec<CommitId>,
}

impl Lanes {
    /// Lanes that an earlier page has left open, in their order.
    pub fn going_on(open: &[CommitId]) -> Self {
        Self { open: open.iter().copied().map(Some).collect(), shown: Vec::new() }
    }

    /// The row of the next commit.
    pub fn row(&mut self, id: CommitId, parents: &[CommitId]) -> Row {
        let leads_here = |lane: &Option<CommitId>| *lane == Some(id);
        let ending = self.positions(leads_here);
        for lane in self.open.iter_mut().filter(|lane| leads_here(lane)) {
            *lane = None;
        }
        let passing = self.positions(Option::is_some);
        let node = ending.first().copied().unwrap_or_else(|| self.free());
        self.shown.push(id);
        let mut beginning = Vec::with_capacity(parents.len());
        for (number, parent) in parents.iter().enumerate() {
            // With clocks that were wrong a parent may stand above its child: there is no line up.
            if self.shown.contains(parent) {
                continue;
            }
            // A branch's own line stays straight; others come to it where they began.
            let lane = match number {
                0 => node,
                _ => {
                    let there = self.open.iter().position(|lane| lane.as_ref() == Some(parent));
                    there.unwrap_or_else(|| self.free())
                }
            };
            self.lead(lane, *parent);
            if !beginning.contains(&lane) {
                beginning.push(lane);
            }
        }
        while self.open.last().is_some_and(Option::is_none) {
            self.open.pop();
        }
        Row { node, ending, beginning, passing }
    }

    /// The commits that open lanes lead to, each once: where the next page goes on. There lanes that lead to
    /// the same commit are one.
    pub fn left_open(&self) -> Vec<CommitId> {
        let mut open: Vec<CommitId> = Vec::new();
        for to in self.open.iter().flatten() {
            if !open.contains(to) {
                open.push(*to);
            }
        }
        open
    }

    fn positions(&self, wanted: impl Fn(&Option<CommitId>) -> bool) -> Vec<usize> {
        let lanes = self.open.iter().enumerate();
        lanes.filter(|(_, lane)| wanted(lane)).map(|(at, _)| at).collect()
    }

    /// The first lane that is free.
    fn free(&self) -> usize {
        self.open.iter().position(Option::is_none).unwrap_or(self.open.len())
    }

    fn lead(&mut self, lane: usize, to: CommitId) {
        if lane >= self.open.len() {
            self.open.resize(lane + 1, None);
        }
        if let Some(open) = self.open.get_mut(lane) {
            *open = Some(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use onward::Ticket;
    use onward::history::BranchUid;
    use proptest::prelude::*;

    use super::*;

    fn id(n: u64) -> CommitId {
        CommitId::new([0; 16], BranchUid(1), Ticket(n + 1), 0).unwrap()
    }

    fn row(node: usize, ending: &[usize], beginning: &[usize], passing: &[usize]) -> Row {
        Row {
            node,
            ending: ending.to_vec(),
            beginning: beginning.to_vec(),
            passing: passing.to_vec(),
        }
    }

    #[test]
    fn a_line_of_commits_is_one_lane() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.row(id(3), &[id(2)]), row(0, &[], &[0], &[]));
        assert_eq!(lanes.row(id(2), &[id(1)]), row(0, &[0], &[0], &[]));
        assert_eq!(lanes.row(id(1), &[]), row(0, &[0], &[], &[]));
        assert!(lanes.left_open().is_empty());
    }

    #[test]
    fn a_merge_opens_a_lane_that_ends_where_the_branch_began() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.row(id(9), &[id(7), id(8)]), row(0, &[], &[0, 1], &[]));
        assert_eq!(lanes.row(id(8), &[id(5)]), row(1, &[1], &[1], &[0]));
        assert_eq!(lanes.row(id(7), &[id(5)]), row(0, &[0], &[0], &[1]));
        assert_eq!(lanes.row(id(5), &[]), row(0, &[0, 1], &[], &[]));
    }

    #[test]
    fn a_page_goes_on_with_the_lanes_that_the_one_before_it_left_open() {
        let mut all = Lanes::default();
        all.row(id(9), &[id(7), id(8)]);
        assert_eq!(all.left_open(), [id(7), id(8)]);
        let mut page = Lanes::going_on(&all.left_open());
        for (commit, parents) in [(8, 5), (7, 5)] {
            assert_eq!(page.row(id(commit), &[id(parents)]), all.row(id(commit), &[id(parents)]));
        }
    }

    #[test]
    fn many_lines_that_lead_to_one_commit_are_one_on_the_next_page() {
        let mut lanes = Lanes::default();
        for n in 1..=45 {
            assert_eq!(lanes.row(id(n), &[id(0)]).node, n as usize - 1);
        }
        assert_eq!(lanes.left_open(), [id(0)]);
        let last = Lanes::going_on(&lanes.left_open()).row(id(0), &[]);
        assert_eq!(last, row(0, &[0], &[], &[]));
        assert_eq!(lanes.row(id(0), &[]).ending.len(), 45);
    }

    #[test]
    fn a_parent_that_stands_above_its_child_leaves_no_lane_open() {
        let mut lanes = Lanes::default();
        lanes.row(id(9), &[id(8), id(7)]);
        lanes.row(id(7), &[]);
        lanes.row(id(8), &[id(7)]);
        assert!(lanes.left_open().is_empty());
    }

    proptest! {
        #[test]
        fn whatever_the_history_lines_meet_from_row_to_row(
            shape in proptest::collection::vec(proptest::collection::vec(1..9u64, 0..4), 1..80),
        ) {
            let mut lanes = Lanes::default();
            let mut above: Vec<usize> = Vec::new();
            let count = shape.len() as u64;
            for (n, back) in shape.iter().enumerate() {
                let commit = count - n as u64;
                let mut parents: Vec<CommitId> =
                    back.iter().filter(|back| **back < commit).map(|back| id(commit - back)).collect();
                parents.dedup();
                let row = lanes.row(id(commit), &parents);
                let mut from_above: Vec<usize> = row.ending.iter().chain(&row.passing).copied().collect();
                from_above.sort_unstable();
                prop_assert_eq!(from_above, above);
                prop_assert!(!row.passing.contains(&row.node), "{:?}", row);
                above = row.passing.iter().chain(&row.beginning).copied().collect();
                above.sort_unstable();
                above.dedup();
                prop_assert!(lanes.left_open().len() <= above.len());
            }
        }
    }
}
