//! Records that are change sets, on the side of the branch: each becomes an op of its own that also moves its
//! partition, so that it is carried out once; what comes to nothing moves it by an op without changes, which
//! says what became of it.

use std::collections::BTreeMap;

use futures::StreamExt;
use onward::changes::{ChangeSet, ProducerShape};
use onward::history::{CommitInfo, LogRequest};
use onward::{
    ChangeBuilder, CommitId, Details, Error, ErrorKind, OpId, Outcome, Result, TicketStatus,
};
use serde::Serialize;
use serde_json::Value;

use crate::broker::Place;
use crate::clock::new_op_id;
use crate::ledger::{EPOCH, Ledger, Move, PATIENCE, patiently, producer_of};
use crate::record::Record;
use crate::state::{OUTCOME_KEY, OUTCOMES_KEY, OWN_KEYS, RECORD_KEY, State, decode};

/// What outcomes may take in the metadata of a commit, in bytes: of conflicts the first paths have room, and of
/// dead letters as many as have.
const OUTCOME_BYTES_MAX: usize = 4 * 1024;

/// What the name of one among several takes, in bytes: an offset, and what stands around it.
const OUTCOME_NAME_BYTES: usize = 24;

/// What of a reason is kept, in bytes.
const REASON_BYTES_MAX: usize = 1024;

/// What one step of a partition is about.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// A record that is a change set.
    ChangeSet(Record),
    /// Records that are none, one behind the other, whose dead letters are one file.
    DeadLetters(Vec<DeadLetter>),
}

/// A record that was to be a change set.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetter {
    pub(crate) record: Record,
    /// Why it is none.
    pub(crate) reason: String,
    /// What its sender is told.
    pub(crate) outcome: Outcome,
    /// The bytes of that as JSON.
    pub(crate) outcome_len: usize,
}

impl DeadLetter {
    pub(crate) fn new(record: Record, reason: String) -> Result<Self> {
        let outcome = short(failed(new_op_id(), &reason))?;
        let outcome_len = json(&outcome)?.len();
        Ok(Self { record, reason, outcome, outcome_len })
    }
}

impl Request {
    /// The records that are told what became of it.
    pub(crate) fn records(&self) -> Vec<&Record> {
        match self {
            Self::ChangeSet(record) => vec![record],
            Self::DeadLetters(letters) => letters.iter().map(|letter| &letter.record).collect(),
        }
    }

    /// Takes the dead letters behind its own in, where both are such and one commit has room for all their
    /// outcomes; else gives them back.
    pub(crate) fn join(&mut self, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::DeadLetters(letters), Self::DeadLetters(mut more)) => {
                let all = letters.iter().chain(&more);
                let bytes: usize = all.map(|one| one.outcome_len + OUTCOME_NAME_BYTES).sum();
                if bytes > OUTCOME_BYTES_MAX {
                    return Some(Self::DeadLetters(more));
                }
                letters.append(&mut more);
                None
            }
            (_, next) => Some(next),
        }
    }
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is decided for good, and its partition moved.
    Decided(Box<Decided>),
    /// Somebody else has moved the partition. Nothing is decided.
    TakenOver(Place),
}

#[derive(Debug)]
pub(crate) struct Decided {
    /// The move as it was made.
    pub(crate) moved: Move,
    /// The commit that says so: that of the changes, or one without.
    pub(crate) commit: CommitId,
    /// What became of each record, by its offset.
    pub(crate) outcomes: Vec<(i64, Outcome)>,
}

impl Ledger {
    /// Reads a record as a change set that this sink can carry out, or tells why it cannot.
    pub(crate) fn parse(&self, record: &Record) -> Result<ChangeSet, String> {
        let Some(value) = &record.value else {
            return Err("it is a tombstone (a null value), and no change set".into());
        };
        let why = |error: Error| error.message().to_owned();
        let set = self.branch().change_set(value).map_err(why)?;
        let head = &set.head;
        if head.producer.is_some() && head.producers.is_some() {
            return Err("it has a producer and producers: send one of them".into());
        }
        if head.op_id.is_some() {
            return Err("it has an op_id, which the sink gives by the offset: leave it out, and tell repetitions by a producer".into());
        }
        if let Some(key) = head.metadata.keys().find(|key| key.starts_with(OWN_KEYS)) {
            return Err(format!(
                "its metadata has '{key}', and names in '{OWN_KEYS}' are the sink's"
            ));
        }
        let names = head.producers.iter().flatten().chain(&head.producer);
        let own = self.names();
        if let Some(producer) = names.into_iter().find(|one| one.name.starts_with(&own)) {
            return Err(format!("its producer '{}' is one of the sink's", producer.name));
        }
        Ok(set)
    }

    /// Carries out one request. `newest` is the commit that moved the partition last: the op's id follows
    /// from it, so that nobody but its owner has this id, and whoever has the partition next finds what
    /// became of the op.
    pub(crate) async fn carry_out(
        &self,
        mut step: Move,
        request: &Request,
        newest: CommitId,
    ) -> Result<Answer> {
        let asked = step.state.asked.take();
        let record = match request {
            Request::ChangeSet(record) => record,
            Request::DeadLetters(letters) => {
                let of = |one: &DeadLetter| (one.record.offset, one.outcome.clone());
                return self.come_to_nothing(step, letters.iter().map(of).collect()).await;
            }
        };
        let (outcome, is_used) = match self.known(&step.place, record.offset, asked).await? {
            // It was decided under the sequence of whoever had the partition before.
            Some(outcome) => (outcome, false),
            None => {
                let op_id = self.op_id(&step.place, newest, record.offset);
                (self.try_out(&step, record, op_id).await?, true)
            }
        };
        match outcome {
            Outcome::Committed { commit, .. } => {
                let outcomes = vec![(record.offset, outcome)];
                Ok(Answer::Decided(Box::new(Decided { moved: step, commit, outcomes })))
            }
            outcome if self.is_own(&step.place, &outcome) => Ok(Answer::TakenOver(step.place)),
            outcome => {
                // One that was decided in its turn has used its sequence up, unless that was behind.
                let is_behind = outcome.standing().is_some();
                step.sequence += u64::from(is_used && outcome.ticket().is_some() && !is_behind);
                self.come_to_nothing(step, vec![(record.offset, short(outcome)?)]).await
            }
        }
    }

    /// Submits the changes of a record.
    pub(crate) async fn try_out(
        &self,
        step: &Move,
        record: &Record,
        op_id: OpId,
    ) -> Result<Outcome> {
        let submitted =
            self.see_through(PATIENCE, || Ok(self.request(step, record)?.op_id(op_id))).await;
        let error = match submitted {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        match error.kind() {
            // Its base may be what is not there, or the branch.
            ErrorKind::NotFound => {
                patiently(|| async { self.branch().show().await }).await?;
            }
            ErrorKind::InvalidInput => {}
            _ => return Err(error),
        }
        Ok(failed(op_id, error.message()))
    }

    /// Moves the partition behind records that made no commit, and says what became of them.
    async fn come_to_nothing(&self, step: Move, outcomes: Vec<(i64, Outcome)>) -> Result<Answer> {
        let (pairs, what) = pairs_of(&step.place, &outcomes)?;
        let (op_id, message) = (new_op_id(), format!("kafka: {what}"));
        let submitted = self.see_through(PATIENCE, || {
            let op = self.op(std::slice::from_ref(&step), None).message(message.as_str());
            let op = pairs.iter().fold(op, |op, (key, value)| op.meta(*key, value.as_str()));
            Ok(op.op_id(op_id))
        });
        match submitted.await? {
            Outcome::Committed { commit, .. } => {
                Ok(Answer::Decided(Box::new(Decided { moved: step, commit, outcomes })))
            }
            other if self.is_own(&step.place, &other) => Ok(Answer::TakenOver(step.place)),
            other => Err(self.came_to_nothing(&other)),
        }
    }

    /// The commit that a record asks for, which moves its partition too.
    fn request(&self, step: &Move, record: &Record) -> Result<ChangeBuilder> {
        let mut set = self.parse(record).map_err(Error::invalid)?;
        let head = &mut set.head;
        let one = head.producer.take();
        let producers = head.producers.get_or_insert_with(|| one.into_iter().collect());
        let name = producer_of(self.group(), &step.place);
        producers.push(ProducerShape { name, epoch: EPOCH, sequence: step.sequence });
        head.metadata.extend(self.pairs(std::slice::from_ref(step)));
        head.metadata.insert(RECORD_KEY.to_owned(), name_of(&step.place, record.offset));
        set.commit()
    }

    /// What became of a record that the former owner of its partition may have tried, after this commit.
    async fn known(
        &self,
        place: &Place,
        offset: i64,
        after: Option<CommitId>,
    ) -> Result<Option<Outcome>> {
        let Some(after) = after else { return Ok(None) };
        let op_id = self.op_id(place, after, offset);
        match patiently(|| async { self.branch().ticket_status(op_id).await }).await {
            Ok(TicketStatus::Decided(outcome)) if !self.is_own(place, &outcome) => {
                Ok(Some(*outcome))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.context(format!("looking what became of {place}:{offset}"))),
        }
    }

    pub(crate) fn op_id(&self, place: &Place, newest: CommitId, offset: i64) -> OpId {
        let name = format!("{}/{newest}", producer_of(self.group(), place));
        OpId::of_producer(&name, EPOCH, offset.unsigned_abs())
    }

    /// Whether an op came too late because somebody else has moved the partition.
    fn is_own(&self, place: &Place, outcome: &Outcome) -> bool {
        let is_late = matches!(outcome, Outcome::Behind { .. } | Outcome::Fenced { .. });
        let name = producer_of(self.group(), place);
        is_late && outcome.standing().is_none_or(|standing| standing.asked.name == name)
    }

    /// What became of records, as the commits say, in one walk through the log. Returns also those of whom there
    /// may be more, in commits further back than are looked through.
    pub(crate) async fn outcomes<'a>(
        &self,
        wanted: &[Wanted<'a>],
    ) -> Result<(BTreeMap<&'a Place, BTreeMap<i64, String>>, Vec<Wanted<'a>>)> {
        let mut outcomes = BTreeMap::<_, BTreeMap<_, _>>::new();
        let mut left = wanted.to_vec();
        let request = LogRequest { first_parent: true, ..LogRequest::default() };
        let commits = self.branch().repository().log(self.head(), &request).await?;
        let mut commits = commits.enumerate();
        while !left.is_empty()
            && let Some((number, info)) = commits.next().await
        {
            if number == self.looked_through_for_row {
                return Ok((outcomes, left));
            }
            let (info, mut further) = (info?, Vec::new());
            for one in left {
                let place = one.place;
                let state = decode(&info.commit.metadata, self.group(), place)?;
                if state.as_ref().is_some_and(|state| one.begins_behind(state)) {
                    continue;
                }
                further.push(one);
                let Some(state) = state else { continue };
                // The last record of a life that was cut off is in a commit that begins the next, before it.
                let is_wanted = |offset: &i64| (one.from..state.next).contains(offset);
                let said = outcomes_of(&info, place)?.into_iter();
                let of = outcomes.entry(place).or_default();
                for (offset, outcome) in said.filter(|(offset, _)| is_wanted(offset)) {
                    of.entry(offset).or_insert(outcome);
                }
            }
            left = further;
        }
        Ok((outcomes, Vec::new()))
    }
}

/// The records of a partition whose outcomes are looked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) place: &'a Place,
    /// The life that they are of.
    pub(crate) life: u32,
    /// From this offset on.
    pub(crate) from: i64,
}

impl Wanted<'_> {
    /// Whether they came behind a commit that says this.
    fn begins_behind(&self, state: &State) -> bool {
        state.next <= self.from || state.life != self.life
    }
}

/// What a commit says of records that made no commit of their own, and what its message says.
fn pairs_of(
    place: &Place,
    outcomes: &[(i64, Outcome)],
) -> Result<(Vec<(&'static str, String)>, String)> {
    if let [(offset, outcome)] = outcomes {
        let name = name_of(place, *offset);
        let message = format!("{} ({name})", outcome.name());
        return Ok((vec![(RECORD_KEY, name), (OUTCOME_KEY, json(outcome)?)], message));
    }
    let said: BTreeMap<i64, &Outcome> =
        outcomes.iter().map(|(offset, outcome)| (*offset, outcome)).collect();
    let [first, last] = [said.keys().next(), said.keys().next_back()];
    let [first, last] = [first, last].map(|offset| offset.copied().unwrap_or_default());
    let message = format!("{} dead letters ({place}:{first}-{last})", said.len());
    Ok((vec![(OUTCOMES_KEY, as_json(&said)?)], message))
}

/// The place of a record, as commits say it.
fn name_of(place: &Place, offset: i64) -> String {
    format!("{place}:{offset}")
}

fn offset_of(name: &str, place: &Place) -> Option<i64> {
    let (of, offset) = name.rsplit_once(':')?;
    (of == place.to_string()).then(|| offset.parse().ok())?
}

/// What a commit says became of records of this partition.
fn outcomes_of(info: &CommitInfo, place: &Place) -> Result<BTreeMap<i64, String>> {
    let pairs = &info.commit.metadata;
    if let Some(said) = pairs.get(OUTCOMES_KEY) {
        let said: BTreeMap<i64, Value> = serde_json::from_str(said).map_err(|error| {
            Error::corrupt(format!("the outcomes in commit {} cannot be read", info.id))
                .with_source(error)
        })?;
        return Ok(said.into_iter().map(|(offset, one)| (offset, one.to_string())).collect());
    }
    let offset = pairs.get(RECORD_KEY).and_then(|record| offset_of(record, place));
    let Some(offset) = offset else { return Ok(BTreeMap::new()) };
    let outcome = match pairs.get(OUTCOME_KEY) {
        Some(outcome) => outcome.clone(),
        None => json(&Outcome::Committed {
            commit: info.id,
            ticket: info.ticket(),
            details: Details::of(info.commit.op_id),
        })?,
    };
    Ok(BTreeMap::from([(offset, outcome)]))
}

fn failed(op_id: OpId, reason: &str) -> Outcome {
    Outcome::Failed { ticket: None, reason: reason.to_owned(), details: Details::of(op_id) }
}

/// An outcome as JSON, as `/onward/v1` tells it.
pub(crate) fn json(outcome: &Outcome) -> Result<String> {
    as_json(outcome)
}

fn as_json(outcomes: &impl Serialize) -> Result<String> {
    serde_json::to_string(outcomes)
        .map_err(|error| Error::internal("an outcome is no JSON").with_source(error))
}

/// An outcome that has room in the metadata of a commit.
fn short(mut outcome: Outcome) -> Result<Outcome> {
    if let Outcome::Failed { reason, .. }
    | Outcome::Behind { reason, .. }
    | Outcome::Fenced { reason, .. } = &mut outcome
    {
        cut(reason, REASON_BYTES_MAX);
    }
    while json(&outcome)?.len() > OUTCOME_BYTES_MAX {
        match &mut outcome {
            Outcome::Conflict { paths, .. } if !paths.is_empty() => {
                paths.truncate(paths.len() / 2);
            }
            // A control character takes six bytes in JSON.
            Outcome::Failed { reason, .. }
            | Outcome::Behind { reason, .. }
            | Outcome::Fenced { reason, .. }
                if !reason.is_empty() =>
            {
                cut(reason, reason.len() / 2);
            }
            _ => break,
        }
    }
    Ok(outcome)
}

/// Keeps the first characters of a text that have room in so many bytes.
fn cut(text: &mut String, bytes_max: usize) {
    let end = (0..=text.len().min(bytes_max)).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_by_its_place_alone() {
        let place = Place::new("a:b", 3);
        assert_eq!(offset_of("a:b/3:17", &place), Some(17));
        for other in ["a:b/30:17", "a:b/3", "b/3:17", "a:b/3:x", ""] {
            assert_eq!(offset_of(other, &place), None, "{other}");
        }
    }

    #[test]
    fn any_outcome_has_room_in_a_commit() {
        let op_id = new_op_id();
        for long in ["ä", "\u{1}"] {
            let long = short(failed(op_id, &long.repeat(5_000))).unwrap();
            assert!(json(&long).unwrap().len() <= OUTCOME_BYTES_MAX);
            assert!(long.reason().is_some_and(|reason| reason.len() > 200));
        }
        let path = |n: usize| {
            let path = format!(
                "{{\"path\":\"{}/{n}\",\"base\":null,\"source\":null,\"dest\":null}}",
                "p".repeat(900)
            );
            serde_json::from_str(&path).unwrap()
        };
        let (paths, details) = ((0..100).map(path).collect(), Details::of(op_id));
        let conflict = Outcome::Conflict { ticket: None, paths, total: 100, details };
        let short = short(conflict).unwrap();
        assert!(json(&short).unwrap().len() <= OUTCOME_BYTES_MAX);
        assert!(matches!(short, Outcome::Conflict { paths, total: 100, .. } if !paths.is_empty()));
    }
}
