//! The loop of the sink: one thread that polls, fills files, and sees to uploads, commits and limits.
//!
//! Uploads and commits run on the runtime beside it and tell their end over a channel. One commit is under way
//! at a time, so that the moves of a partition follow each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use onward::history::BranchUid;
use onward::{Entry, Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::broker::{Broker, Place, Polled, Seen, TopicFacts};
use crate::clock::Stopwatch;
use crate::event::{Event, Report, Stop};
use crate::ledger::{Ledger, Move, Written};
use crate::partition::{Partition, ToUpload};
use crate::record::Record;
use crate::replies::Replies;
use crate::requests::Answer;
use crate::settings::{Settings, Takes};
use crate::store::Store;

/// Uploads under way, at most.
const UPLOADS_AT_ONCE: usize = 8;

/// How long a poll waits.
const POLL: Duration = Duration::from_millis(20);

/// Records that are taken before anything else is looked after.
const RECORDS_AT_ONCE: usize = 256;

/// Without any partition, a sink that is to end at the end waits so long for one: a group of many members may
/// have none for it.
const ASSIGNMENT_PATIENCE: Duration = Duration::from_secs(60);

/// A partition that somebody else has moved, and that the group still gives to this member, ends the sink
/// after so long: two sinks use the name of the group, and not the same group.
const TAKEN_OVER_PATIENCE: Duration = Duration::from_secs(90);

/// What a task has to tell.
pub(crate) enum Done {
    Uploaded {
        place: Place,
        assignment: u64,
        path: String,
        result: Result<Entry>,
    },
    /// Moves, what became of them, and the time up to which everything is there then.
    Committed {
        moves: Vec<Move>,
        result: Result<Written>,
        valid_through_ms: Option<i64>,
    },
    /// What became of a change set, of this assignment.
    Answered {
        assignment: u64,
        result: Result<Answer>,
    },
    /// Something is wrong, and is tried again.
    Trouble(String),
    /// All that was under way is told.
    Over,
}

pub(crate) struct Engine {
    pub(crate) settings: Arc<Settings>,
    pub(crate) ledger: Ledger,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Box<dyn Broker>,
    pub(crate) runtime: Handle,
    pub(crate) stop: Stop,
    pub(crate) watch: Box<dyn FnMut(Event) + Send>,
    pub(crate) partitions: BTreeMap<Place, Partition>,
    pub(crate) topics: BTreeMap<Arc<str>, TopicFacts>,
    pub(crate) assignments: u64,
    /// Since the group has last given or taken partitions.
    pub(crate) assigned: Stopwatch,
    /// The incarnation of the branch that offsets were read from.
    pub(crate) uid: Option<BranchUid>,
    pub(crate) sender: Sender<Done>,
    pub(crate) results: Receiver<Done>,
    pub(crate) tasks: JoinSet<()>,
    pub(crate) uploads: Arc<Semaphore>,
    pub(crate) is_under_way: bool,
    /// Where outcomes of change sets go.
    pub(crate) replies: Option<Box<dyn Replies>>,
    /// What was read is being committed for good, and what is known of replies with it.
    pub(crate) is_settling: bool,
    pub(crate) last_commit: Stopwatch,
    /// Commits that may not be made before: the cluster does not say whether topics are the same.
    pub(crate) unverified: Option<Stopwatch>,
    /// What is in memory is over the limit.
    pub(crate) is_full: bool,
    /// Some partition asked for an offset that is not there.
    pub(crate) is_out_of_range: bool,
    pub(crate) looked: Stopwatch,
    pub(crate) taken_over: Option<Stopwatch>,
    pub(crate) report: Report,
}

/// What a sink is started with.
pub(crate) struct Parts {
    pub(crate) settings: Arc<Settings>,
    pub(crate) ledger: Ledger,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Box<dyn Broker>,
    pub(crate) replies: Option<Box<dyn Replies>>,
    pub(crate) stop: Stop,
    pub(crate) watch: Box<dyn FnMut(Event) + Send>,
}

impl Engine {
    pub(crate) fn new(parts: Parts, runtime: Handle) -> Self {
        let (sender, results) = channel();
        let told = sender.clone();
        // Nobody hears it when the sink has ended.
        let trouble =
            Arc::new(move |error: &Error| drop(told.send(Done::Trouble(error.to_string()))));
        Self {
            settings: parts.settings,
            ledger: parts.ledger.telling(trouble),
            store: parts.store,
            broker: parts.broker,
            runtime,
            stop: parts.stop,
            watch: parts.watch,
            partitions: BTreeMap::new(),
            topics: BTreeMap::new(),
            assignments: 0,
            assigned: Stopwatch::start(),
            uid: None,
            sender,
            results,
            tasks: JoinSet::new(),
            uploads: Arc::new(Semaphore::new(UPLOADS_AT_ONCE)),
            is_under_way: false,
            replies: parts.replies,
            is_settling: false,
            last_commit: Stopwatch::start(),
            unverified: None,
            is_full: false,
            is_out_of_range: false,
            looked: Stopwatch::start(),
            taken_over: None,
            report: Report::default(),
        }
    }

    /// Works until the end is asked for or reached, commits what was read, and leaves the group.
    pub(crate) fn run(mut self) -> Result<Report> {
        let result = self.work().and_then(|()| self.end());
        self.broker.close();
        result.map(|()| self.report)
    }

    fn work(&mut self) -> Result<()> {
        self.learn_topics(&self.settings.topics.clone())?;
        while !self.stop.is_stopped() {
            for _ in 0..RECORDS_AT_ONCE {
                match self.broker.poll(POLL)? {
                    Polled::Record(record) => self.take(record)?,
                    other => {
                        self.react(other)?;
                        break;
                    }
                }
            }
            self.tend()?;
            if self.settings.exit_at_end && self.is_at_end()? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take(&mut self, record: Record) -> Result<()> {
        let place = Place { topic: Arc::clone(&record.topic), partition: record.partition };
        // One of a partition that was taken away while it was handed out.
        let Some(partition) = self.partitions.get_mut(&place) else { return Ok(()) };
        let is_new = partition.hear(&record);
        // Records come in the order of offsets: those that should have come before are gone.
        let gone = partition.unanswered.give_up_before(record.offset);
        if let Some(outcome) = partition.unanswered.take_again(record.offset) {
            self.reply(&record, outcome)?;
        }
        if gone > 0 {
            self.tell_of_lost_replies(&place, gone);
        }
        let Some(partition) = self.partitions.get_mut(&place).filter(|_| is_new) else {
            return Ok(());
        };
        let assignment = partition.assignment;
        let finished = match self.settings.takes {
            Takes::Values => partition.push(&record, &self.settings)?,
            Takes::ChangeSets => {
                let refused = self.ledger.parse(&record).err();
                if refused.is_some() && self.settings.dead_letters.is_none() {
                    // It is the end, and those before it are not to wait for it.
                    self.commit_all(std::slice::from_ref(&place))?;
                }
                let partition = self.partitions.get_mut(&place);
                let is_there = |partition: &&mut Partition| {
                    partition.assignment == assignment && !partition.is_taken_over
                };
                let Some(partition) = partition.filter(is_there) else { return Ok(()) };
                return partition.ask(record, refused, &self.settings);
            }
        };
        self.upload(&place, assignment, finished);
        Ok(())
    }

    fn react(&mut self, polled: Polled) -> Result<()> {
        match polled {
            Polled::Nothing | Polled::Record(_) => Ok(()),
            Polled::Assigned(places) => self.assign(&places),
            Polled::Revoked { places, is_lost } => self.revoke(&places, is_lost),
            Polled::Renewed(error) => {
                self.tell(Event::Trouble(error.to_string()));
                let places: Vec<Place> = self.partitions.keys().cloned().collect();
                self.forget(&places);
                Ok(())
            }
            Polled::Seen(seen) => {
                self.see(&seen);
                Ok(())
            }
            Polled::OutOfRange => {
                self.is_out_of_range = true;
                Ok(())
            }
            Polled::Trouble(error) if error.is_retryable() => {
                self.tell(Event::Trouble(error.to_string()));
                Ok(())
            }
            Polled::Trouble(error) => Err(error),
        }
    }

    fn see(&mut self, seen: &[Seen]) {
        let mut held_back = Vec::new();
        for seen in seen {
            let Some(partition) = self.partitions.get_mut(&seen.place) else { continue };
            // What was gathered before the partition was assigned says nothing of it.
            if seen.at_ms <= partition.assigned_ms {
                continue;
            }
            partition.lag = Some(seen.lag);
            partition.end_seen_ms = seen.is_at_end.then_some(seen.at_ms);
            if seen.is_held_back && !partition.is_held_back {
                held_back.push(seen.place.clone());
            }
            partition.is_held_back = seen.is_held_back;
        }
        held_back.into_iter().for_each(|place| self.tell(Event::HeldBack(place)));
        // While nothing is known of some they would seem to be read.
        let lag: Option<u64> = self.partitions.values().map(|partition| partition.lag).sum();
        if let Some(lag) = lag {
            self.tell(Event::Lag(lag));
        }
    }

    /// Everything that is not a record: what tasks have told, files that are old enough, limits, commits.
    pub(crate) fn tend(&mut self) -> Result<()> {
        while let Ok(done) = self.results.try_recv() {
            self.hear(done)?;
        }
        while self.tasks.try_join_next().is_some() {}
        self.hear_of_replies()?;
        self.roll(|partition, settings| partition.is_due(settings))?;
        self.hold_limits()?;
        self.look_for_gaps()?;
        if self.last_commit.has_run(self.settings.commit_every) {
            self.commit()?;
        }
        if !self.partitions.values().any(|partition| partition.is_taken_over) {
            self.taken_over = None;
        }
        match self.taken_over {
            Some(since) if since.has_run(TAKEN_OVER_PATIENCE) => Err(Error::new(
                ErrorKind::Fenced,
                format!(
                    "another process moves partitions of group '{}' on this branch that Kafka gives to this one: end it, or give it another group",
                    self.settings.group
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Ends the files in the making of partitions.
    pub(crate) fn roll(&mut self, which: impl Fn(&Partition, &Settings) -> bool) -> Result<()> {
        let mut uploads = Vec::new();
        for partition in self.partitions.values_mut() {
            if which(partition, &self.settings) {
                let finished = partition.finish(&self.settings)?;
                uploads.push((partition.place.clone(), partition.assignment, finished));
            }
        }
        for (place, assignment, finished) in uploads {
            self.upload(&place, assignment, finished);
        }
        Ok(())
    }

    /// Pauses partitions that have as much as they may, all of them where memory is at its limit, and reads
    /// them again when half of that is gone.
    fn hold_limits(&mut self) -> Result<()> {
        let memory: u64 = self.partitions.values().map(Partition::memory).sum();
        let max = self.settings.memory_max;
        self.is_full = memory >= if self.is_full { max / 2 } else { max };
        let (mut full, mut free) = (Vec::new(), Vec::new());
        for partition in self.partitions.values_mut() {
            let is_full = self.is_full || partition.is_full(&self.settings);
            match (is_full, partition.is_paused) {
                (true, false) => full.push(partition.place.clone()),
                (false, true) => free.push(partition.place.clone()),
                _ => continue,
            }
            partition.is_paused = is_full;
        }
        if !full.is_empty() {
            // What waits behind a full partition is what has to go: files that are not finished too.
            if self.is_full {
                self.roll(|_, _| true)?;
            }
            self.broker.pause(&full)?;
            self.tell(Event::Paused(full));
        }
        if !free.is_empty() {
            self.broker.resume(&free)?;
            self.tell(Event::Resumed(free));
        }
        Ok(())
    }

    pub(crate) fn upload(&mut self, place: &Place, assignment: u64, files: Vec<ToUpload>) {
        for file in files {
            let (store, sender) = (Arc::clone(&self.store), self.sender.clone());
            let (uploads, place) = (Arc::clone(&self.uploads), place.clone());
            let task = async move {
                // It is never closed.
                let _permit = uploads.acquire().await;
                let result = put(&*store, &file).await;
                let path = file.path;
                // Nobody hears it when the sink has ended.
                let _ = sender.send(Done::Uploaded { place, assignment, path, result });
            };
            self.tasks.spawn_on(task, &self.runtime);
        }
    }

    fn is_at_end(&mut self) -> Result<bool> {
        if self.partitions.is_empty() {
            return Ok(self.assigned.has_run(ASSIGNMENT_PATIENCE));
        }
        if !self.partitions.values().all(|partition| partition.end_seen_ms.is_some()) {
            return Ok(false);
        }
        self.roll(|_, _| true)?;
        self.commit()?;
        Ok(self.partitions.values().all(Partition::is_committed))
    }

    /// Commits what was read, as far as that is possible within the patience for it.
    fn end(&mut self) -> Result<()> {
        let places: Vec<Place> = self.partitions.keys().cloned().collect();
        self.commit_all(&places)?;
        Ok(())
    }

    /// Commits everything that was read of these partitions, or as much as can be within the patience for
    /// it. Returns whether it was all.
    pub(crate) fn commit_all(&mut self, places: &[Place]) -> Result<bool> {
        self.roll(|partition, _| places.contains(&partition.place))?;
        self.is_settling = true;
        let is_all = self.settle(places);
        self.is_settling = false;
        is_all
    }

    fn settle(&mut self, places: &[Place]) -> Result<bool> {
        let begun = Stopwatch::start();
        loop {
            while let Ok(done) = self.results.try_recv() {
                self.hear(done)?;
            }
            self.hear_of_replies()?;
            let mut left = places.iter().filter_map(|place| self.partitions.get(place));
            if left.all(|partition| partition.is_taken_over || partition.is_settled()) {
                return Ok(true);
            }
            if begun.has_run(self.settings.last_commit_patience) {
                return Ok(false);
            }
            self.commit()?;
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        (self.watch)(event);
    }
}

/// Puts a file, again and again while the storage is away.
async fn put(store: &dyn Store, file: &ToUpload) -> Result<Entry> {
    let mut pause = Duration::from_millis(100);
    loop {
        match store.put(&file.path, &file.content).await {
            Ok(mut entry) => {
                entry.content_type = Some(file.content_type.clone());
                return Ok(entry);
            }
            Err(error) if error.is_retryable() => {
                tracing::warn!(path = file.path, %error, "a file cannot be written yet");
            }
            Err(error) => return Err(error.context(format!("writing '{}'", file.path))),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

#[cfg(test)]
mod tests;
