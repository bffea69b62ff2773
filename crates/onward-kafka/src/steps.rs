//! Change sets on the side of the sink: which of them are carried out now, what is told of them, and what of
//! that is to be told again.
//!
//! A partition has one change set under way at a time, because each may make another one's condition hold or
//! not; partitions do not wait for each other. All that was waiting when a round began may be carried out in it,
//! for a while: then the cluster is asked again whether the topics are still the same.

use std::sync::mpsc::Sender;
use std::time::Duration;

use futures::future::join_all;
use onward::{CommitId, Result};

use crate::broker::Place;
use crate::clock::Stopwatch;
use crate::engine::{Done, Engine};
use crate::event::Event;
use crate::ledger::{Known, Ledger, Move};
use crate::record::Record;
use crate::replies::{ON_THEIR_WAY_MAX, Reply, Unanswered};
use crate::requests::{Answer, Decided, Request, Wanted, json};
use crate::settings::Takes;
use crate::state::{OUTCOMES_KEY, RECORD_KEY, State};

/// Change sets of a partition in one round, at most.
const CHAIN_MAX: usize = 64;

/// No change set is begun later in a round.
const ROUND: Duration = Duration::from_millis(250);

/// Change sets of one partition, one after the other.
pub(crate) struct Chain {
    pub(crate) place: Place,
    /// The commit that moved the partition last.
    newest: CommitId,
    steps: Vec<(Move, Request)>,
}

impl Engine {
    /// What waits at the front of each partition and is a change set.
    pub(crate) fn chains(&self) -> Vec<Chain> {
        if self.settings.takes != Takes::ChangeSets {
            return Vec::new();
        }
        let partitions = self.partitions.values().filter(|partition| !partition.is_taken_over);
        let chains = partitions.map(|partition| {
            let room = ON_THEIR_WAY_MAX.saturating_sub(partition.unanswered.on_their_way());
            let ready = partition.waiting.iter().take_while(|finished| finished.is_uploaded());
            let requests = ready.map_while(|finished| finished.request.clone());
            let (mut steps, mut state) = (Vec::<(Move, Request)>::new(), partition.state.clone());
            let mut records = 0;
            let mut has_room = |request: &Request| {
                records += request.records().len();
                records <= room
            };
            let requests = requests.take_while(|request| has_room(request));
            for (passed, request) in requests.take(CHAIN_MAX).enumerate() {
                let step = partition.step(&state, passed, 1);
                state = State { asked: None, ..step.state.clone() };
                steps.push((step, request));
            }
            Chain { place: partition.place.clone(), newest: partition.newest, steps }
        });
        chains.filter(|chain| !chain.steps.is_empty()).collect()
    }

    /// What became of a change set is on the branch.
    pub(crate) fn answered(&mut self, decided: &Decided) -> Result<()> {
        let Decided { moved, commit, outcomes } = decided;
        let place = &moved.place;
        let partition = self.partitions.get(place);
        let partition =
            partition.filter(|partition| partition.assignment == moved.taken.assignment);
        let request = partition.and_then(|partition| partition.waiting.front()?.request.clone());
        self.committed(*commit, std::slice::from_ref(moved), None)?;
        for (offset, outcome) in outcomes.iter().filter(|(_, one)| one.commit().is_none()) {
            let (place, outcome) = (place.clone(), json(outcome)?);
            self.tell(Event::CameToNothing { place, offset: *offset, outcome });
        }
        // Whoever has the partition now finds that nothing says it was told.
        let records = request.iter().flat_map(Request::records);
        for (record, (_, outcome)) in records.zip(outcomes) {
            self.reply(record, json(outcome)?)?;
        }
        Ok(())
    }

    /// Tells what became of a record, if anybody is to be told.
    pub(crate) fn reply(&mut self, record: &Record, outcome: String) -> Result<()> {
        let Some(replies) = &mut self.replies else { return Ok(()) };
        let place = Place::new(record.topic.clone(), record.partition);
        if let Some(partition) = self.partitions.get_mut(&place) {
            partition.unanswered.sent(record.offset);
        }
        replies.send(Reply::to(record, outcome))
    }

    /// Hears which replies are delivered.
    pub(crate) fn hear_of_replies(&mut self) -> Result<()> {
        let Some(replies) = &mut self.replies else { return Ok(()) };
        for (place, offset) in replies.delivered()? {
            if let Some(partition) = self.partitions.get_mut(&place) {
                partition.unanswered.delivered(offset);
            }
        }
        Ok(())
    }

    /// What a claim says of the change sets of a partition, by what was known of it.
    pub(crate) fn begin_requests(&self, state: &mut State, known: &Known) {
        if self.settings.takes != Takes::ChangeSets {
            return;
        }
        let is_same_life = known.state.as_ref().is_some_and(|before| before.life == state.life);
        if known.is_unsaid && is_same_life {
            state.asked = known.commit;
        }
        state.replied = self.replies.is_some().then(|| state.replied.unwrap_or(state.next));
    }

    /// Looks for the replies of partitions that may never have been sent: they are read again from there.
    pub(crate) fn look_for_unanswered(&mut self, places: &[Place]) -> Result<()> {
        let partitions = places.iter().filter_map(|place| self.partitions.get(place));
        let wanted: Vec<Wanted<'_>> = partitions
            .filter_map(|partition| {
                let from = partition.state.replied.filter(|replied| *replied < partition.next)?;
                Some(Wanted { place: &partition.place, life: partition.state.life, from })
            })
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let (again, further) = self.runtime.block_on(self.ledger.outcomes(&wanted))?;
        let again: Vec<_> = again.into_iter().map(|(place, of)| (place.clone(), of)).collect();
        let further: Vec<_> = further.iter().map(|one| (one.place.clone(), one.from)).collect();
        for (place, from) in further {
            self.tell(Event::Trouble(format!(
                "outcomes of {place} from offset {from} on may not have been told, and not all of them are in the newest {} commits of the branch: those before have `{RECORD_KEY}` or `{OUTCOMES_KEY}`",
                self.ledger.looked_through_for_row
            )));
        }
        for (place, again) in again.into_iter().filter(|(_, again)| !again.is_empty()) {
            let mut unanswered = Unanswered::of(again);
            let gone = unanswered.give_up_before(self.broker.range(&place)?.start);
            if gone > 0 {
                self.tell_of_lost_replies(&place, gone);
            }
            if let Some(partition) = self.partitions.get_mut(&place) {
                partition.unanswered = unanswered;
            }
        }
        Ok(())
    }

    pub(crate) fn tell_of_lost_replies(&mut self, place: &Place, gone: usize) {
        self.tell(Event::Trouble(format!(
            "{gone} outcomes of {place} may not have been told, and the broker has deleted the records that asked for them: their commits say `onward.kafka.record`"
        )));
    }
}

/// Carries chains out side by side, and tells each outcome as it is known.
pub(crate) async fn carry_out(ledger: Ledger, chains: Vec<Chain>, sender: Sender<Done>) {
    let begun = Stopwatch::start();
    let one = |chain: Chain| {
        let (ledger, sender) = (&ledger, sender.clone());
        async move {
            let mut newest = chain.newest;
            let mut sequence = None;
            for (mut step, request) in chain.steps {
                if begun.has_run(ROUND) {
                    return;
                }
                step.sequence = sequence.map_or(step.sequence, |sequence: u64| sequence + 1);
                let assignment = step.taken.assignment;
                let result = ledger.carry_out(step, &request, newest).await;
                let is_decided = match &result {
                    Ok(Answer::Decided(decided)) => {
                        (newest, sequence) = (decided.commit, Some(decided.moved.sequence));
                        true
                    }
                    _ => false,
                };
                // Nobody hears it when the sink has ended.
                let _ = sender.send(Done::Answered { assignment, result });
                if !is_decided {
                    return;
                }
            }
        }
    };
    join_all(chains.into_iter().map(one)).await;
}
