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

use crate::broker::Place;
use crate::clock::new_op_id;
use crate::ledger::{EPOCH, Ledger, Move, PATIENCE, patiently, producer_of};
use crate::record::Record;
use crate::state::{OUTCOME_KEY, OWN_KEYS, RECORD_KEY, State, decode};

/// What an outcome may take in the metadata of a commit, in bytes: of conflicts the first paths have room.
const OUTCOME_BYTES_MAX: usize = 4 * 1024;

/// What of a reason is kept, in bytes.
const REASON_BYTES_MAX: usize = 1024;

/// A record that is a change set, or was to be one.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) record: Record,
    /// Why it is none.
    pub(crate) refused: Option<String>,
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
    pub(crate) outcome: Outcome,
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
        let record = &request.record;
        let asked = step.state.asked.take();
        let (outcome, is_used) = match (&request.refused, asked) {
            (Some(reason), _) => (failed(new_op_id(), reason), false),
            (None, asked) => match self.known(&step.place, record.offset, asked).await? {
                // It was decided under the sequence of whoever had the partition before.
                Some(outcome) => (outcome, false),
                None => {
                    let op_id = self.op_id(&step.place, newest, record.offset);
                    (self.try_out(&step, record, op_id).await?, true)
                }
            },
        };
        match outcome {
            Outcome::Committed { commit, .. } => {
                Ok(Answer::Decided(Box::new(Decided { moved: step, commit, outcome })))
            }
            outcome if self.is_own(&step.place, &outcome) => Ok(Answer::TakenOver(step.place)),
            outcome => {
                // One that was decided in its turn has used its sequence up, unless that was behind.
                let is_behind = outcome.standing().is_some();
                step.sequence += u64::from(is_used && outcome.ticket().is_some() && !is_behind);
                self.come_to_nothing(step, record, outcome).await
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

    /// Moves the partition behind a record that made no commit, and says what became of it.
    async fn come_to_nothing(
        &self,
        step: Move,
        record: &Record,
        outcome: Outcome,
    ) -> Result<Answer> {
        let outcome = short(outcome)?;
        let text = json(&outcome)?;
        let op_id = new_op_id();
        let message = format!("kafka: {} ({}:{})", outcome.name(), step.place, record.offset);
        let submitted = self.see_through(PATIENCE, || {
            let op = self.op(std::slice::from_ref(&step), None).message(message.as_str());
            Ok(op.meta(RECORD_KEY, name_of(record)).meta(OUTCOME_KEY, text.as_str()).op_id(op_id))
        });
        match submitted.await? {
            Outcome::Committed { commit, .. } => {
                Ok(Answer::Decided(Box::new(Decided { moved: step, commit, outcome })))
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
        head.metadata.insert(RECORD_KEY.to_owned(), name_of(record));
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

    /// What became of the records of a partition from this offset on, as the commits say: by offset, in
    /// JSON. And whether that is all, or there were more commits than are looked through.
    pub(crate) async fn outcomes(
        &self,
        place: &Place,
        now: &State,
        from: i64,
    ) -> Result<(BTreeMap<i64, String>, bool)> {
        let request = LogRequest { first_parent: true, ..LogRequest::default() };
        let commits = self.branch().repository().log(self.head(), &request).await?;
        let mut commits = commits.enumerate();
        let mut outcomes = BTreeMap::new();
        while let Some((number, info)) = commits.next().await {
            if number == self.looked_through_for_row {
                return Ok((outcomes, false));
            }
            let info = info?;
            let Some(state) = decode(&info.commit.metadata, self.group(), place)? else { continue };
            if state.next <= from || state.life != now.life {
                break;
            }
            let record = info.commit.metadata.get(RECORD_KEY);
            let offset = record.and_then(|record| offset_of(record, place));
            // The last record of a life that was cut off is in a commit that begins the next, before it.
            if let Some(offset) = offset.filter(|offset| (from..state.next).contains(offset)) {
                outcomes.entry(offset).or_insert(outcome_of(&info)?);
            }
        }
        Ok((outcomes, true))
    }
}

/// The place of a record, as commits say it.
fn name_of(record: &Record) -> String {
    format!("{}/{}:{}", record.topic, record.partition, record.offset)
}

fn offset_of(name: &str, place: &Place) -> Option<i64> {
    let (of, offset) = name.rsplit_once(':')?;
    (of == place.to_string()).then(|| offset.parse().ok())?
}

/// What a commit says became of its record.
fn outcome_of(info: &CommitInfo) -> Result<String> {
    match info.commit.metadata.get(OUTCOME_KEY) {
        Some(outcome) => Ok(outcome.clone()),
        None => json(&Outcome::Committed {
            commit: info.id,
            ticket: info.ticket(),
            details: Details::of(info.commit.op_id),
        }),
    }
}

fn failed(op_id: OpId, reason: &str) -> Outcome {
    Outcome::Failed { ticket: None, reason: reason.to_owned(), details: Details::of(op_id) }
}

/// An outcome as JSON, as `/onward/v1` tells it.
pub(crate) fn json(outcome: &Outcome) -> Result<String> {
    serde_json::to_string(outcome)
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
