//! Holds what the workers were told against what the object store has, and both against the
//! invariants.

use std::collections::{BTreeMap, HashMap};

use onward::internals::invariants::{self as hold, Held, Interval};
use onward::{CommitId, OpId};

use super::figures::Figures;
use super::history::{Asked, BranchHistory, Decided, Journals};
use super::journal::{StagedWrite, Strategy, Told, What};
use super::replay::Replay;

/// The key of a merge commit's metadata that the product adds.
const STRATEGY_KEY: &str = ".lakefs.merge.strategy";

/// What is compared of an outcome.
type Outcome = (String, Option<u64>, Option<CommitId>);

/// An audit under way.
pub struct Audit<'a> {
    journals: &'a Journals,
    branches: &'a [BranchHistory],
    /// Whether Redis has lost nothing.
    kept: bool,
    outages: &'a [Interval],
    decided: HashMap<OpId, &'a Decided>,
    /// What is wrong.
    pub wrong: Vec<String>,
}

impl<'a> Audit<'a> {
    /// Checks everything that can be checked without Redis. `branches`: the source of merges first.
    pub fn of(
        journals: &'a Journals,
        branches: &'a [BranchHistory],
        kept: bool,
        outages: &'a [Interval],
        figures: &mut Figures,
    ) -> Self {
        let ops = branches.iter().flat_map(|branch| &branch.ops);
        let decided = ops.map(|op| (op.op, op)).collect();
        let wrong = Vec::new();
        let mut audit = Self { journals, branches, kept, outages, decided, wrong };
        audit.wrong.extend(journals.refused.iter().map(|refusal| format!("refused: {refusal}")));
        audit.outcomes();
        let mut replay = Replay::new(journals);
        let mut held_by = HashMap::new();
        for branch in branches {
            audit.log(branch);
            audit.identities(branch);
            audit.sequences(branch);
            audit.wrong.extend(replay.branch(branch));
            audit.staged(branch, &mut held_by);
        }
        audit.latest_staged();
        audit.count(figures, &held_by);
        audit
    }

    fn holds<T>(&mut self, held: Held<T>) {
        if let Err(violation) = held {
            self.wrong.push(violation.to_string());
        }
    }

    /// What the log has of an op, as it should have been told.
    fn logged(&self, op: &OpId) -> Option<Outcome> {
        let decided = self.decided.get(op)?;
        let commit = decided.commit.as_ref().map(|(id, _)| *id);
        // Whoever comes too late is not told a ticket.
        let ticket = (!is_late(&decided.outcome)).then_some(decided.ticket);
        Some((decided.outcome.clone(), ticket, commit))
    }

    /// What everybody was told: one thing, what the log has, in the order of tickets.
    fn outcomes(&mut self) {
        let mut all = Vec::new();
        for (op, asked) in &self.journals.asked {
            if asked.told.is_empty() {
                self.wrong.push(format!("op {op:?} has no outcome: {:?}", asked.plan));
            }
            for told in &asked.told {
                if !self.expects(asked, told) {
                    self.wrong.push(format!("op {op:?} ended as {told:?}"));
                }
                if told.rounds > told.rounds_bound && !self.met_outage(asked) {
                    let (rounds, bound) = (told.rounds, told.rounds_bound);
                    self.wrong.push(format!("op {op:?} took {rounds} rounds of at most {bound}"));
                }
                if !told.is_of_the_moment() {
                    all.push((*op, (told.outcome.clone(), told.ticket, told.commit)));
                }
            }
        }
        let same = all.iter().map(|(op, (outcome, _, commit))| (*op, (outcome.clone(), *commit)));
        let same: Vec<_> = same.collect();
        self.holds(hold::one_outcome(same));
        for (op, outcome) in all {
            let logged = self.logged(&op);
            // Whom Redis told at once that he comes too late was not queued.
            if logged.is_some() || !is_late(&outcome.0) {
                self.holds(hold::nothing_lost([(op, outcome)], |_| logged.clone()));
            }
        }
    }

    /// Whether this is how such an op may end.
    fn expects(&self, asked: &Asked, told: &Told) -> bool {
        match told.outcome.as_str() {
            "committed" => true,
            "no_changes" => match &asked.plan.what {
                What::Staged | What::Merge { .. } => true,
                // Removals alone, of what is not there.
                What::Changes { puts, bulk, .. } => puts.is_empty() && *bulk == 0,
            },
            "conflict" => matches!(asked.plan.what, What::Merge { strategy: Strategy::Fail, .. }),
            "fenced" | "behind" => {
                matches!(asked.plan.what, What::Changes { producer: Some(_), .. })
            }
            // What was staged goes with Redis.
            "failed" => !self.kept && asked.plan.what == What::Staged,
            _ => false,
        }
    }

    /// Whether a round for the op may have failed.
    fn met_outage(&self, asked: &Asked) -> bool {
        let meets = |outage: &Interval| {
            asked.ended.is_none_or(|ended| ended >= outage.began)
                && outage.ended.is_none_or(|over| asked.began <= over)
        };
        self.outages.iter().any(meets)
    }

    fn log(&mut self, branch: &BranchHistory) {
        self.holds(hold::no_gap(1, branch.batches.iter().copied()));
        self.holds(hold::decided_once(branch.ops.iter().map(|op| op.op)));
        let commits = branch.ops.iter().filter_map(|op| op.commit.as_ref());
        let commits = commits.map(|(id, commit)| (*id, commit.parents.first().copied()));
        self.holds(hold::chain(branch.start, commits));
        let in_order = branch.ops.iter().filter_map(|op| {
            let Asked { began, ended, .. } = self.journals.asked.get(&op.op)?;
            Some((op.op, Interval { began: *began, ended: *ended }))
        });
        let in_order: Vec<_> = in_order.collect();
        self.holds(hold::in_order(in_order));
    }

    /// Every commit is somebody's, and says what its submitter said.
    fn identities(&mut self, branch: &BranchHistory) {
        for op in &branch.ops {
            let Some((id, commit)) = &op.commit else { continue };
            let Some(Asked { plan, .. }) = self.journals.asked.get(&op.op) else {
                self.wrong.push(format!("commit {id} of op {:?} was asked for by nobody", op.op));
                continue;
            };
            let mut meta = commit.metadata.clone();
            meta.remove(STRATEGY_KEY);
            let recorded = (&branch.name, &commit.op_id, &commit.message, &commit.committer, &meta);
            let submitted = (&plan.branch, &plan.op, &plan.message, &plan.committer, &plan.meta);
            self.holds(hold::identity(op.op, &submitted, &recorded));
        }
    }

    /// Each producer's sequences are there once, in order and without a gap within an epoch.
    fn sequences(&mut self, branch: &BranchHistory) {
        let mut last: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for op in branch.ops.iter().filter(|op| op.commit.is_some()) {
            let Some(asked) = self.journals.asked.get(&op.op) else { continue };
            let What::Changes { producer: Some((name, epoch, sequence)), .. } = &asked.plan.what
            else {
                continue;
            };
            let before = last.insert(name, (*epoch, *sequence)).unwrap_or_default();
            let next = match before.0 == *epoch {
                true => *sequence == before.1 + 1,
                false => *epoch > before.0 && *sequence == 1,
            };
            if !next {
                let now = (epoch, sequence);
                self.wrong.push(format!("producer {name} went from {before:?} to {now:?}"));
            }
        }
    }

    /// Where each staged write is: in one commit, and in time.
    fn staged(&mut self, branch: &BranchHistory, held_by: &mut HashMap<StagedWrite, u64>) {
        let is_staged = |op: &OpId| {
            let asked = self.journals.asked.get(op);
            asked.is_some_and(|asked| asked.plan.what == What::Staged)
        };
        let commits = branch.ops.iter().filter(|op| op.commit.is_some() && is_staged(&op.op));
        let commits: Vec<&Decided> = commits.collect();
        let mut holders = Vec::new();
        for op in &commits {
            for (path, number) in &op.changes {
                let Some(number) = *number else { continue };
                let branch = branch.name.clone();
                holders.push((StagedWrite { branch, path: path.clone(), number }, op.ticket));
            }
        }
        let asked = &self.journals.asked;
        let began: Vec<_> = commits.iter().map(|op| (asked[&op.op].began, op.ticket)).collect();
        held_by.extend(holders.iter().cloned());
        if !self.kept {
            return;
        }
        self.holds(hold::staged_once(holders));
        let journals = self.journals;
        for (write, acknowledged) in &journals.staged {
            // What was staged over before a commit came is in none.
            let Some(acknowledged) = acknowledged else { continue };
            if write.branch == branch.name && !write.path.contains("again") {
                let holder = held_by.get(write).copied();
                let began = began.iter().copied();
                self.holds(hold::staged_in_time(write, *acknowledged, holder, began));
            }
        }
    }

    /// Of the writes staged one over the other the last one stands.
    fn latest_staged(&mut self) {
        if !self.kept {
            return;
        }
        let mut last: BTreeMap<(&str, &str), (u64, bool)> = BTreeMap::new();
        for (write, acknowledged) in &self.journals.staged {
            let at = last.entry((&write.branch, &write.path)).or_default();
            *at = (*at).max((write.number, acknowledged.is_some()));
        }
        for branch in self.branches {
            for ((name, path), (number, acknowledged)) in &last {
                let there = branch.head.get(*path);
                if *name == branch.name && *acknowledged && there != Some(number) {
                    self.wrong.push(format!("{path} of {name} is {there:?}, staged as {number}"));
                }
            }
        }
    }

    fn count(&self, figures: &mut Figures, held_by: &HashMap<StagedWrite, u64>) {
        let asked = &self.journals.asked;
        let told = asked.values().flat_map(|asked| &asked.told);
        let commits = asked.values().filter(|a| a.told.iter().any(|told| told.commit.is_some()));
        let logged = self.branches.iter().flat_map(|branch| &branch.ops);
        let lost = commits.clone().filter(|asked| !self.decided.contains_key(&asked.plan.op));
        let decided = logged.clone().count();
        let staged = self.journals.staged.iter().filter(|(_, acknowledged)| acknowledged.is_some());
        let gone = staged
            .clone()
            .filter(|(write, _)| !write.path.contains("again") && !held_by.contains_key(*write));
        let bounds = told.clone().filter(|told| told.rounds > told.rounds_bound);
        let outcomes = |name: &str| {
            let with = |asked: &&Asked| asked.told.iter().any(|told| told.outcome == name);
            asked.values().filter(with).count()
        };
        for (what, count) in [
            ("ops submitted", asked.len()),
            ("ops acknowledged as commits", commits.count()),
            ("ops acknowledged as no_changes", outcomes("no_changes")),
            ("ops acknowledged as conflict", outcomes("conflict")),
            ("ops acknowledged as fenced", outcomes("fenced")),
            ("ops acknowledged as behind", outcomes("behind")),
            ("ops acknowledged as failed", outcomes("failed")),
            ("ops in the logs", decided),
            ("commits in the logs", logged.clone().filter(|op| op.commit.is_some()).count()),
            ("log entries", self.branches.iter().map(|branch| branch.batches.len()).sum()),
            ("acknowledged commits lost", lost.count()),
            ("ops decided twice", decided - self.decided.len()),
            ("ops submitted again by a successor", self.journals.again as usize),
            ("ops over their bound, in an outage", bounds.count()),
            ("staged writes acknowledged", staged.count()),
            ("staged writes lost with Redis", gone.count()),
        ] {
            figures.add(what, count as u64);
        }
    }
}

/// Whether that is told of an op that its producer had come past.
fn is_late(outcome: &str) -> bool {
    matches!(outcome, "fenced" | "behind")
}
