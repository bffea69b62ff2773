//! Partitions come and go: where they begin, what is missing, who else has them.

use std::sync::Arc;
use std::time::Duration;

use onward::{Error, ErrorKind, Result};

use crate::broker::{Place, TopicFacts, topics_of};
use crate::clock::Stopwatch;
use crate::engine::Engine;
use crate::event::{Event, Gap};
use crate::ledger::{Known, Move, Taken, Written};
use crate::partition::Partition;
use crate::replies::Unanswered;
use crate::settings::OnGap;
use crate::state::State;

/// How often a claim is made again because somebody else has moved a partition meanwhile.
const CLAIMS_MAX: usize = 20;

/// How long one try of a claim may take.
const CLAIM_PATIENCE: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(200);

impl Engine {
    /// Reads partitions from where the branch is, after it was made sure that nobody else moves them.
    pub(crate) fn assign(&mut self, places: &[Place]) -> Result<()> {
        self.assigned = Stopwatch::start();
        let starts = self.claim_patiently(places)?;
        self.broker.assign(&starts)?;
        // A partition that was paused in an earlier assignment stays so otherwise.
        self.broker.resume(places)?;
        self.tell(Event::Assigned(starts));
        Ok(())
    }

    /// Claims partitions, again and again while Onward or the cluster is away.
    fn claim_patiently(&mut self, places: &[Place]) -> Result<Vec<(Place, i64)>> {
        let begun = Stopwatch::start();
        loop {
            match self.claim(places) {
                Ok(starts) => return Ok(starts),
                Err(error) if !error.is_retryable() => return Err(error),
                Err(error) if begun.has_run(self.settings.assign_patience) => {
                    let all = places.len();
                    return Err(error.context(format!("{all} partitions cannot be begun")));
                }
                Err(error) => self.tell(Event::Trouble(error.to_string())),
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Takes partitions for this process and tells where each begins.
    fn claim(&mut self, places: &[Place]) -> Result<Vec<(Place, i64)>> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        self.learn_topics(&topics_of(places.iter()))?;
        for _ in 0..CLAIMS_MAX {
            if let Some(starts) = self.try_claim(places)? {
                return Ok(starts);
            }
        }
        Err(Error::unavailable(format!(
            "another process moves partitions of group '{}' all the time: is a second sink running under this name?",
            self.settings.group
        )))
    }

    /// Takes partitions for this process, once; `None` where somebody else was faster.
    fn try_claim(&mut self, places: &[Place]) -> Result<Option<Vec<(Place, i64)>>> {
        let mut known = self.runtime.block_on(self.ledger.read(places))?;
        let unsettled = known.iter().filter(|(_, known)| known.is_unsettled);
        let unsettled: Vec<Place> = unsettled.map(|(place, _)| place.clone()).collect();
        if !unsettled.is_empty() {
            // What the group was told is not believed, but says that there was something.
            let read_before = self.broker.known_to_group(&unsettled)?;
            for new in unsettled.iter().filter(|place| !read_before.contains(place)) {
                known.entry(new.clone()).and_modify(|known| known.is_unsettled = false);
            }
            self.runtime.block_on(self.ledger.look_further(&read_before, &mut known))?;
        }
        let mut moves = Vec::new();
        for place in places {
            let Some(known) = known.get(place) else { continue };
            let mut state = self.begin(place, known)?;
            self.begin_requests(&mut state, known);
            let sequence = known.sequence + 1;
            let (files, skipped, taken) = (Vec::new(), Vec::new(), Taken::default());
            moves.push(Move { place: place.clone(), sequence, state, files, skipped, taken });
        }
        for part in self.ledger.split(moves) {
            let written = self.ledger.write(&part, None, CLAIM_PATIENCE);
            let Written::Committed(commit) = self.runtime.block_on(written)? else {
                return Ok(None);
            };
            self.check_incarnation(commit)?;
            for claim in part {
                let place = claim.place.clone();
                self.assignments += 1;
                self.partitions.insert(place, Partition::new(claim, self.assignments, commit));
            }
        }
        self.look_for_unanswered(places)?;
        let begun = places.iter().filter_map(|place| self.partitions.get(place));
        Ok(Some(begun.map(Partition::start).collect()))
    }

    /// Where a partition begins, by what the branch knows of it.
    fn begin(&mut self, place: &Place, known: &Known) -> Result<State> {
        let facts: Option<&TopicFacts> = self.topics.get(&place.topic);
        let topic_id = facts.and_then(|facts| facts.id.clone());
        let Some(state) = &known.state else {
            let next = self.broker.range(place)?.start;
            if known.is_unsettled {
                self.skip_or_fail(place, &Gap::Forgotten, next)?;
            }
            let (through_ms, replied, asked) = (None, None, None);
            return Ok(State { topic_id, next, life: 0, through_ms, replied, asked });
        };
        match (&topic_id, &state.topic_id) {
            (Some(now), Some(before)) if now != before => {
                let next = self.broker.range(place)?.start;
                self.skip_or_fail(place, &Gap::MadeAgain, next)?;
                let (life, through_ms) = (state.life + 1, state.through_ms);
                Ok(State { topic_id, next, life, through_ms, replied: None, asked: None })
            }
            _ => {
                Ok(State { topic_id: topic_id.or_else(|| state.topic_id.clone()), ..state.clone() })
            }
        }
    }

    /// Goes on at `next` behind a gap, or fails with it.
    fn skip_or_fail(&mut self, place: &Place, gap: &Gap, next: i64) -> Result<()> {
        let what = gap.to_string();
        match self.settings.on_gap {
            OnGap::Skip => {
                self.tell(Event::Skipped { place: place.clone(), what, next });
                Ok(())
            }
            OnGap::Fail => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "partition {place} of group '{}': {what}. All that was read is safe; with `--on-gap skip` the sink goes on at offset {next}",
                    self.settings.group
                ),
            )),
        }
    }

    /// Asks the cluster about topics.
    pub(crate) fn learn_topics(&mut self, topics: &[Arc<str>]) -> Result<()> {
        for facts in self.broker.topics(topics)? {
            self.topics.insert(Arc::clone(&facts.topic), facts);
        }
        Ok(())
    }

    /// Partitions whose offsets mean something else now: what was read and not committed is discarded, and
    /// they begin as if they were assigned.
    pub(crate) fn begin_anew(&mut self, places: &[Place]) -> Result<()> {
        let starts = self.claim_patiently(places)?;
        self.begin_again(&starts)
    }

    /// Reads these partitions from elsewhere on.
    fn begin_again(&mut self, moved: &[(Place, i64)]) -> Result<()> {
        let all: Vec<(Place, i64)> = self.partitions.values().map(Partition::start).collect();
        self.broker.begin_again(moved, &all)?;
        let places: Vec<Place> = moved.iter().map(|(place, _)| place.clone()).collect();
        for place in &places {
            if let Some(partition) = self.partitions.get_mut(place) {
                partition.is_paused = false;
                partition.end_seen_ms = None;
            }
        }
        self.broker.resume(&places)
    }

    /// Lets go of partitions, after what was read of them is committed if there is time for that.
    pub(crate) fn revoke(&mut self, places: &[Place], is_lost: bool) -> Result<()> {
        let is_all_committed = !is_lost && self.commit_all(places)?;
        self.forget(places);
        self.broker.unassign(places)?;
        self.tell(Event::Revoked { places: places.to_vec(), is_all_committed });
        Ok(())
    }

    /// Forgets partitions, and what was read of them and not committed. From now on the group has time to
    /// give others.
    pub(crate) fn forget(&mut self, places: &[Place]) {
        self.assigned = Stopwatch::start();
        for place in places {
            self.partitions.remove(place);
        }
    }

    /// Looks at what there is to read where a partition asked for what is not there, or stands still: the
    /// client tells it once and then is silent.
    pub(crate) fn look_for_gaps(&mut self) -> Result<()> {
        let standstill = self.settings.standstill;
        let is_told = self.is_out_of_range && self.looked.has_run(PAUSE);
        if !is_told && !self.looked.has_run(standstill) {
            return Ok(());
        }
        self.looked = Stopwatch::start();
        let still = |partition: &&Partition| {
            let is_still = partition.quiet.has_run(standstill) && partition.end_seen_ms.is_none();
            !partition.is_paused && (is_told || is_still)
        };
        let places: Vec<Place> = self
            .partitions
            .values()
            .filter(still)
            .map(|partition| partition.place.clone())
            .collect();
        for place in places {
            match self.look_at(&place, is_told) {
                Ok(()) => {}
                Err(error) if error.is_retryable() => {
                    self.tell(Event::Trouble(error.to_string()));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.is_out_of_range = false;
        Ok(())
    }

    fn look_at(&mut self, place: &Place, is_told: bool) -> Result<()> {
        let range = self.broker.range(place)?;
        let Some(partition) = self.partitions.get_mut(place) else { return Ok(()) };
        let next = partition.next;
        if next < range.start {
            let gap = next..range.start;
            self.roll(|partition, _| partition.place == *place)?;
            self.skip_or_fail(place, &Gap::Deleted(gap.clone()), gap.end)?;
            if let Some(partition) = self.partitions.get_mut(place) {
                partition.next = gap.end;
                partition.skipped.push(gap.clone());
                partition.quiet = Stopwatch::start();
            }
            return self.begin_again(&[(place.clone(), gap.end)]);
        }
        let gone = partition.unanswered.give_up_before(range.start);
        if gone > 0 {
            let start = partition.unanswered.from().unwrap_or(next);
            self.tell_of_lost_replies(place, gone);
            return self.begin_again(&[(place.clone(), start)]);
        }
        // A new leader may not know its end for a moment: only what is so twice, or was told, counts.
        let is_cut_off = next > range.end;
        let is_sure = is_told || partition.is_suspect;
        partition.is_suspect = is_cut_off;
        if !is_cut_off || !is_sure {
            return Ok(());
        }
        self.skip_or_fail(place, &Gap::CutOff { next, end: range.end }, range.end)?;
        self.cut_off(place, range.end)
    }

    /// Goes on in a partition that was cut off: offsets come once more, and so belong to another life.
    fn cut_off(&mut self, place: &Place, end: i64) -> Result<()> {
        // What was read so far is of the life before.
        self.roll(|partition, _| partition.place == *place)?;
        let mut gone = 0;
        if let Some(partition) = self.partitions.get_mut(place) {
            partition.next = end;
            partition.life += 1;
            gone = partition.unanswered.give_up_before(i64::MAX);
            partition.unanswered = Unanswered::default();
            partition.quiet = Stopwatch::start();
        }
        if gone > 0 {
            self.tell_of_lost_replies(place, gone);
        }
        self.begin_again(&[(place.clone(), end)])
    }
}
