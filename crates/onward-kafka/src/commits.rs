//! When and what the sink commits: what is finished and uploaded, of all partitions in one op, after the
//! cluster has said that their topics are still the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onward::{CommitId, Error, Result};

use crate::broker::{Place, topics_of};
use crate::clock::Stopwatch;
use crate::engine::{Done, Engine};
use crate::event::Event;
use crate::ledger::{Ledger, Move, PATIENCE, Written};
use crate::partition::{Finished, Partition};
use crate::requests::Answer;
use crate::state::State;
use crate::steps::carry_out;

/// How long the cluster may be unable to say whether topics are the same before that ends the sink.
const UNVERIFIED_MAX: Duration = Duration::from_secs(300);

/// How often it is asked while it cannot.
const VERIFY_EVERY: Duration = Duration::from_secs(1);

impl Engine {
    /// Commits what is finished, if there is any and no commit is under way.
    pub(crate) fn commit(&mut self) -> Result<()> {
        let waits = self.unverified.is_some_and(|since| !since.has_run(VERIFY_EVERY));
        if self.is_under_way || waits {
            return Ok(());
        }
        self.bury()?;
        let chains = self.chains();
        let mut moves = self.finished();
        if moves.is_empty() && chains.is_empty() {
            moves = self.idle();
        }
        let places =
            moves.iter().map(|each| &each.place).chain(chains.iter().map(|chain| &chain.place));
        let topics = topics_of(places);
        if topics.is_empty() || !self.verify(&topics)? {
            return Ok(());
        }
        self.last_commit = Stopwatch::start();
        let valid_through = self.valid_through(&moves);
        let mut parts = self.ledger.split(moves);
        let last = parts.pop();
        self.is_under_way = true;
        let (ledger, sender) = (self.ledger.clone(), self.sender.clone());
        let requests = carry_out(ledger.clone(), chains, sender.clone());
        // Nobody hears it when the sink has ended.
        let tell = move |done| drop(sender.send(done));
        let task = async move {
            let mut is_all = true;
            for part in parts {
                let result = ledger.write(&part, None, PATIENCE).await;
                is_all &= matches!(result, Ok(Written::Committed(_)));
                tell(Done::Committed { moves: part, result, valid_through_ms: None });
            }
            if let Some(part) = last {
                // When this part is a commit as all before it are, everything is.
                let valid_through_ms = together(&ledger, valid_through.filter(|_| is_all)).await;
                let result = ledger.write(&part, valid_through_ms, PATIENCE).await;
                tell(Done::Committed { moves: part, result, valid_through_ms });
            }
            requests.await;
            tell(Done::Over);
        };
        self.tasks.spawn_on(task, &self.runtime);
        Ok(())
    }

    /// What is uploaded of each partition, up to the first file that is not.
    fn finished(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for partition in self.partitions.values().filter(|partition| !partition.is_taken_over) {
            let is_ready =
                |finished: &&Finished| finished.is_uploaded() && finished.request.is_none();
            let ready = partition.waiting.iter().take_while(is_ready).count();
            if ready < partition.waiting.len() && ready == 0 {
                continue;
            }
            let step = partition.step(&partition.state, 0, ready);
            // A life that has begun is told at once: offsets come again below those on the branch.
            let is_reborn = step.state.life != partition.state.life;
            // What is known of replies goes with what comes next, and by itself where nothing comes.
            let may_tell = self.is_settling || partition.quiet.has_run(self.settings.standstill);
            let is_replied = may_tell
                && partition.unanswered.on_their_way() == 0
                && step.state.replied != partition.state.replied;
            if ready > 0 || step.taken.gaps > 0 || is_reborn || is_replied {
                moves.push(step);
            }
        }
        moves
    }

    /// Where nothing comes: all partitions with the time up to which they are there.
    fn idle(&self) -> Vec<Move> {
        let is_idle = |partition: &Partition| {
            partition.is_committed() && partition.end_seen_ms.is_some() && !partition.is_taken_over
        };
        let is_due =
            self.settings.idle_commit_every.is_some_and(|every| self.last_commit.has_run(every));
        if !is_due || !self.partitions.values().all(is_idle) {
            return Vec::new();
        }
        self.partitions.values().map(|partition| partition.step(&partition.state, 0, 0)).collect()
    }

    /// Whether the topics are the ones that were read: an id never comes back, so what was read before the
    /// cluster says this is of the topic with that id. A topic that is another one is dealt with.
    fn verify(&mut self, topics: &[Arc<str>]) -> Result<bool> {
        match self.learn_topics(topics) {
            Ok(()) => self.unverified = None,
            Err(error) => {
                let since = *self.unverified.get_or_insert_with(Stopwatch::start);
                if !error.is_retryable() || since.has_run(UNVERIFIED_MAX) {
                    return Err(error);
                }
                self.tell(Event::Trouble(error.to_string()));
                return Ok(false);
            }
        }
        let other: Vec<Place> = self
            .partitions
            .values()
            .filter(|partition| self.is_another_topic(partition))
            .map(|partition| partition.place.clone())
            .collect();
        if other.is_empty() {
            return Ok(true);
        }
        self.begin_anew(&other)?;
        Ok(false)
    }

    fn is_another_topic(&self, partition: &Partition) -> bool {
        let now = self.topics.get(&partition.place.topic).and_then(|facts| facts.id.as_ref());
        matches!((now, &partition.state.topic_id), (Some(now), Some(before)) if now != before)
    }

    /// The time up to which the partitions of this member are there when these moves are made, and those that
    /// others have.
    fn valid_through(&self, moves: &[Move]) -> Option<(i64, Vec<Place>)> {
        let moved: BTreeMap<&Place, &State> =
            moves.iter().map(|each| (&each.place, &each.state)).collect();
        let (mut through, mut others) = (i64::MAX, Vec::new());
        for topic in &self.settings.topics {
            for partition in 0..self.topics.get(topic)?.partitions {
                let place = Place::new(Arc::clone(topic), partition);
                let mine = self.partitions.get(&place);
                // One that was taken over is another's: what was read of it here is not on the branch.
                let Some(partition) = mine.filter(|partition| !partition.is_taken_over) else {
                    others.push(place);
                    continue;
                };
                let state = moved.get(&place).copied().unwrap_or(&partition.state);
                let idle = partition.end_seen_ms.filter(|_| partition.is_committed());
                through = through.min(state.through_ms.max(idle)?);
            }
        }
        Some((through, others))
    }

    /// What a task has told.
    pub(crate) fn hear(&mut self, done: Done) -> Result<()> {
        match done {
            Done::Uploaded { place, assignment, path, result } => {
                let entry = result?;
                if let Some(partition) = self.partitions.get_mut(&place)
                    && partition.assignment == assignment
                {
                    partition.uploaded(&path, entry);
                }
                Ok(())
            }
            Done::Committed { moves, result, valid_through_ms } => {
                match result? {
                    Written::Committed(commit) => {
                        self.committed(commit, &moves, valid_through_ms)?;
                    }
                    Written::TakenOver(place) => {
                        let taken = moves.iter().find(|each| each.place == place);
                        self.taken_over(&place, taken.map_or(0, |each| each.taken.assignment));
                    }
                }
                Ok(())
            }
            Done::Answered { assignment, result } => match result? {
                Answer::Decided(decided) => self.answered(&decided),
                Answer::TakenOver(place) => {
                    self.taken_over(&place, assignment);
                    Ok(())
                }
            },
            Done::Trouble(what) => {
                self.tell(Event::Trouble(what));
                Ok(())
            }
            Done::Over => {
                self.is_under_way = false;
                Ok(())
            }
        }
    }

    pub(crate) fn committed(
        &mut self,
        commit: CommitId,
        moves: &[Move],
        valid_through_ms: Option<i64>,
    ) -> Result<()> {
        self.check_incarnation(commit)?;
        let (mut records, mut bytes, mut hints) = (0, 0, Vec::new());
        for each in moves {
            records += each.taken.records;
            bytes += each.taken.bytes;
            if let Some(partition) = self.partitions.get_mut(&each.place)
                && partition.assignment == each.taken.assignment
            {
                partition.moved(each, commit);
                hints.push((each.place.clone(), each.state.next));
            }
        }
        let files = moves.iter().map(|each| each.files.len() as u64).sum();
        self.broker.hint(&hints);
        self.report.records += records;
        self.report.files += files;
        self.report.bytes += bytes;
        self.report.commits += u64::from(records > 0);
        self.tell(Event::Committed { commit, files, records, bytes, valid_through_ms });
        Ok(())
    }

    /// Fails where the branch is another one under its name: its offsets are not those that were read.
    pub(crate) fn check_incarnation(&mut self, commit: CommitId) -> Result<()> {
        let uid = *self.uid.get_or_insert(commit.uid());
        if uid == commit.uid() {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "the branch was deleted and made again while group '{}' was writing to it: commit {commit} is on the new one and goes on where the old one was. Look whether that is what you want, then start again",
            self.settings.group
        )))
    }

    fn taken_over(&mut self, place: &Place, assignment: u64) {
        let Some(partition) = self.partitions.get_mut(place) else { return };
        if assignment != partition.assignment {
            return;
        }
        partition.discard();
        partition.is_taken_over = true;
        self.taken_over.get_or_insert_with(Stopwatch::start);
        self.tell(Event::TakenOver(place.clone()));
    }
}

/// The time up to which all partitions are there, with those of other members as their commits say.
async fn together(ledger: &Ledger, mine: Option<(i64, Vec<Place>)>) -> Option<i64> {
    let (mine, others) = mine?;
    if others.is_empty() {
        return Some(mine);
    }
    match ledger.through(&others).await {
        Ok(theirs) => theirs.map(|theirs| theirs.min(mine)),
        // The commit is more than what it says of others.
        Err(error) => {
            tracing::debug!(%error, "a commit does not say up to when everything is there");
            None
        }
    }
}
