//! The offsets on the branch: read when partitions are assigned, moved by commits, each move on the
//! condition that nobody else has moved the partition since it was read.
//!
//! Each partition is a producer of the protocol, under one epoch for ever. Its sequence counts its commits:
//! whoever has read the partition at sequence n moves it with n + 1, and of all who try only one can. So a
//! claim, which is a commit without files, shuts out whoever had the partition before, and a claim that was
//! made from an old reading is itself shut out. The row of the producer names the commit, and that says the
//! offset.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use onward::history::LogRequest;
use onward::{
    Branch, ChangeBuilder, CommitId, Entry, Error, ErrorKind, Outcome, Producer, RefExpr,
    Repository, Result,
};

use crate::broker::Place;
use crate::clock::{Stopwatch, new_op_id};
use crate::state::{State, VALID_THROUGH_KEY, decode, encode, partition_len, topic_len};

/// A commit is tried for ever: while it cannot be made, limits keep what waits for it small.
pub(crate) const PATIENCE: Duration = Duration::MAX;

/// What names of producers and offsets may take of an op's header of 8 KiB, in bytes; the rest is for
/// message, committer and the other pairs.
const OP_BYTES_MAX: usize = 6 * 1024;

/// What the place of a producer takes in the header, besides its name.
const PLACE_BYTES: usize = 16;

/// Partitions of one op, at most.
pub const PARTITIONS_PER_COMMIT_MAX: usize = 200;

/// Ranges that a commit says were skipped, at most.
const SKIPPED_MAX: usize = 16;

/// Commits looked through for a partition that has no row: one that was forgotten, or of the branch that
/// this one was made from. And so many where the group has read it before, so that there may be something to
/// find; it is still polled in time then.
const LOOKED_THROUGH: usize = 1_000;
const LOOKED_THROUGH_FOR_GROUP: usize = 10_000;

/// Commits looked through where a row says that there is something to find.
const LOOKED_THROUGH_FOR_ROW: usize = 100_000;

/// Commits read at the same time.
const READS_AT_ONCE: usize = 16;

/// The epoch of all partitions.
pub(crate) const EPOCH: u64 = 1;

/// A partition, the sequence of its newest op where it had one, and what that op's commit says.
type Row = (Place, Option<u64>, Option<(State, CommitId)>);

/// How far a partition is on the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// The sequence of its newest op; 0 where it had none.
    pub(crate) sequence: u64,
    /// What the newest commit said; `None` where it never had one.
    pub(crate) state: Option<State>,
    /// The commit that said so.
    pub(crate) commit: Option<CommitId>,
    /// Its newest op made no commit, so that what it was is not said.
    pub(crate) is_unsaid: bool,
    /// It has no row, the commits that were looked through say nothing of it, and there are more.
    pub(crate) is_unsettled: bool,
}

/// A partition moved on, by files, by the changes of a record, or by nothing.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub(crate) place: Place,
    /// The sequence of this op: one more than that of the op before.
    pub(crate) sequence: u64,
    pub(crate) state: State,
    pub(crate) files: Vec<(String, Entry)>,
    pub(crate) skipped: Vec<Range<i64>>,
    pub(crate) taken: Taken,
}

/// What a move takes of what waits in a partition, and of which assignment that is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) assignment: u64,
    pub(crate) finished: usize,
    pub(crate) gaps: usize,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// What became of moves that were asked for together.
#[derive(Debug, Clone)]
pub(crate) enum Written {
    /// They are a commit.
    Committed(CommitId),
    /// Somebody else has moved one of them. None is moved.
    TakenOver(Place),
}

/// Hears of errors after which something is tried again. Must not wait.
pub(crate) type Told = Arc<dyn Fn(&Error) + Send + Sync>;

/// The offsets of a group on a branch.
#[derive(Clone)]
pub(crate) struct Ledger {
    branch: Branch,
    /// The branch by what is committed.
    head: RefExpr,
    group: String,
    /// Commits looked through for a partition that has no row.
    pub(crate) looked_through: usize,
    /// Commits looked through for one that the group has read before.
    pub(crate) looked_through_for_group: usize,
    /// Commits looked through for what a row says is there.
    pub(crate) looked_through_for_row: usize,
    /// Who is told what goes wrong and is tried again.
    told: Option<Told>,
}

impl Ledger {
    pub(crate) fn new(repo: &Repository, branch: &str, group: &str) -> Result<Self> {
        let head = format!("{branch}@").parse()?;
        Ok(Self {
            branch: repo.branch(branch),
            head,
            group: group.to_owned(),
            looked_through: LOOKED_THROUGH,
            looked_through_for_group: LOOKED_THROUGH_FOR_GROUP,
            looked_through_for_row: LOOKED_THROUGH_FOR_ROW,
            told: None,
        })
    }

    /// A ledger that tells what goes wrong and is tried again.
    pub(crate) fn telling(self, told: Told) -> Self {
        Self { told: Some(told), ..self }
    }

    pub(crate) fn branch(&self) -> &Branch {
        &self.branch
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    pub(crate) fn head(&self) -> &RefExpr {
        &self.head
    }

    fn name(&self, place: &Place) -> String {
        producer_of(&self.group, place)
    }

    /// What the names of all its producers begin with.
    pub(crate) fn names(&self) -> String {
        format!("kafka/{}/", self.group)
    }

    /// How far partitions are. What waits in the queue for them is decided first.
    pub(crate) async fn read(&self, places: &[Place]) -> Result<BTreeMap<Place, Known>> {
        let mut known = BTreeMap::new();
        let (mut unsaid, mut rowless) = (Vec::new(), Vec::new());
        for (place, sequence, said) in self.rows(places).await? {
            let is_unsaid = said.is_none() && sequence.is_some();
            match (&said, sequence) {
                (Some(_), _) => {}
                (None, Some(_)) => unsaid.push(place.clone()),
                (None, None) => rowless.push(place.clone()),
            }
            let sequence = sequence.unwrap_or_default();
            let (state, commit) = said.unzip();
            let is_unsettled = false;
            known.insert(place, Known { sequence, state, commit, is_unsaid, is_unsettled });
        }
        self.look_for_rowless(&rowless, self.looked_through, &mut known).await?;
        let looked_through = self.looked_through_for_row;
        let (left, _) = self.look_through(&unsaid, looked_through, &mut known).await?;
        if let Some(place) = left.first() {
            return Err(Error::corrupt(format!(
                "the newest op of partition {place} (group '{}') made no commit, and none of the newest {looked_through} commits of the branch says how far it is: look it up in the files, and begin with another group there",
                self.group
            )));
        }
        Ok(known)
    }

    /// Looks further for partitions that are not settled, and that the group has read before.
    pub(crate) async fn look_further(
        &self,
        places: &[Place],
        known: &mut BTreeMap<Place, Known>,
    ) -> Result<()> {
        self.look_for_rowless(places, self.looked_through_for_group, known).await
    }

    async fn look_for_rowless(
        &self,
        places: &[Place],
        commits_max: usize,
        known: &mut BTreeMap<Place, Known>,
    ) -> Result<()> {
        let (left, is_all) = self.look_through(places, commits_max, known).await?;
        for place in places {
            if let Some(known) = known.get_mut(place) {
                known.is_unsettled = !is_all && left.contains(place);
            }
        }
        Ok(())
    }

    /// The time up to which these partitions are on the branch, where all of them have one: what their newest
    /// commits say, and no more is looked for.
    pub(crate) async fn through(&self, places: &[Place]) -> Result<Option<i64>> {
        let mut through = i64::MAX;
        for (_, _, said) in self.rows(places).await? {
            match said.and_then(|(state, _)| state.through_ms) {
                Some(ms) => through = through.min(ms),
                None => return Ok(None),
            }
        }
        Ok(Some(through))
    }

    /// The row of each partition: the sequence of its newest op, where it had one, and what the commit of
    /// that says of it, where there is one that does.
    async fn rows(&self, places: &[Place]) -> Result<Vec<Row>> {
        let rows = self.branch.producers(places.iter().map(|place| self.name(place))).await?;
        let said = self.said(rows.values().filter_map(|row| row.commit).collect()).await?;
        let of = |place: &Place| {
            let row = rows.get(&self.name(place));
            let commit = row.and_then(|row| row.commit);
            let pairs = commit.and_then(|commit| said.get(&commit));
            let state = pairs.map(|pairs| decode(pairs, &self.group, place)).transpose()?;
            Ok((place.clone(), row.map(|row| row.sequence), state.flatten().zip(commit)))
        };
        places.iter().map(of).collect()
    }

    /// What commits say.
    async fn said(
        &self,
        commits: BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, BTreeMap<String, String>>> {
        let repo = self.branch.repository();
        stream::iter(commits)
            .map(|id| async move { Ok((id, repo.commit_info(id).await?.commit.metadata)) })
            .buffer_unordered(READS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Finds what the newest commit of the branch says of each of these. Returns those of which none does,
    /// and whether that is all there is.
    async fn look_through(
        &self,
        places: &[Place],
        commits_max: usize,
        known: &mut BTreeMap<Place, Known>,
    ) -> Result<(Vec<Place>, bool)> {
        let mut wanted = places.to_vec();
        if wanted.is_empty() {
            return Ok((wanted, true));
        }
        let request = LogRequest { first_parent: true, ..LogRequest::default() };
        let commits = self.branch.repository().log(&self.head, &request).await?;
        let mut commits = commits.enumerate();
        while let Some((number, info)) = commits.next().await {
            if number == commits_max {
                return Ok((wanted, false));
            }
            let info = info?;
            let mut left = Vec::new();
            for place in wanted {
                match (decode(&info.commit.metadata, &self.group, &place)?, known.get_mut(&place)) {
                    (Some(state), Some(known)) => {
                        (known.state, known.commit) = (Some(state), Some(info.id));
                    }
                    _ => left.push(place),
                }
            }
            wanted = left;
            if wanted.is_empty() {
                break;
            }
        }
        Ok((wanted, true))
    }

    /// Moves as many partitions at once as an op can carry: what is left comes with the next.
    pub(crate) fn split(&self, moves: Vec<Move>) -> Vec<Vec<Move>> {
        let mut parts: Vec<Vec<Move>> = Vec::new();
        let mut bytes = 0;
        for each in moves {
            let (place, state) = (&each.place, &each.state);
            let more = self.name(place).len() + PLACE_BYTES + partition_len(place, state);
            let topic = topic_len(place, state);
            // They come sorted, topic by topic.
            let last = parts.last().and_then(|part| part.last());
            let is_same = last.is_some_and(|last| last.place.topic == place.topic);
            bytes += if is_same { more } else { more + topic };
            match parts.last_mut() {
                Some(part) if bytes <= OP_BYTES_MAX && part.len() < PARTITIONS_PER_COMMIT_MAX => {
                    part.push(each);
                }
                _ => {
                    bytes = more + topic;
                    parts.push(vec![each]);
                }
            }
        }
        parts
    }

    /// Commits moves, and sees to it until it is known what became of them, or `patience` is over. The
    /// same op is submitted each time, so it is committed once. `through_ms` is the time up to which all
    /// partitions are there then, if that is to be said.
    pub(crate) async fn write(
        &self,
        moves: &[Move],
        through_ms: Option<i64>,
        patience: Duration,
    ) -> Result<Written> {
        // The sequences alone are no name for it: whoever else tries them would be told that this is theirs.
        let op_id = new_op_id();
        let submitted =
            self.see_through(patience, || Ok(self.op(moves, through_ms).op_id(op_id))).await?;
        match submitted {
            Outcome::Committed { commit, .. } => Ok(Written::Committed(commit)),
            outcome @ (Outcome::Behind { .. } | Outcome::Fenced { .. }) => {
                Ok(Written::TakenOver(self.taken_over(moves, &outcome)?))
            }
            other => Err(self.came_to_nothing(&other)),
        }
    }

    /// Submits an op, again and again until it is decided or `patience` is over. Each time it must be the
    /// same op, under the same id.
    pub(crate) async fn see_through(
        &self,
        patience: Duration,
        op: impl Fn() -> Result<ChangeBuilder>,
    ) -> Result<Outcome> {
        let begun = Stopwatch::start();
        let mut pauses = Pauses::new();
        loop {
            // A future of its own: those that wait for it are then small, and seen through by the compiler.
            let error = match op()?.commit().boxed().await {
                Ok(Outcome::StillQueued { cause, .. }) => {
                    let cause = cause.unwrap_or_default();
                    Error::unavailable(format!("the commit still waits in the queue ({cause})"))
                }
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            if !error.is_retryable() || begun.has_run(patience) {
                return Err(error.context(format!("committing offsets of group '{}'", self.group)));
            }
            if let Some(told) = &self.told {
                told(&error);
            }
            pauses.pause(&error).await;
        }
    }

    /// What a commit says of these moves.
    pub(crate) fn pairs(&self, moves: &[Move]) -> BTreeMap<String, String> {
        let states = moves.iter().map(|each| (&each.place, &each.state));
        let skipped = moves
            .iter()
            .flat_map(|each| each.skipped.iter().map(|gap| (each.place.clone(), gap.clone())));
        let skipped: Vec<(Place, Range<i64>)> = skipped.take(SKIPPED_MAX).collect();
        encode(&self.group, states, &skipped)
    }

    /// The op of these moves.
    pub(crate) fn op(&self, moves: &[Move], through_ms: Option<i64>) -> ChangeBuilder {
        let files: usize = moves.iter().map(|each| each.files.len()).sum();
        let message = match files {
            0 => format!("kafka: {} partitions, group {}", moves.len(), self.group),
            _ => format!("kafka: {files} files, {} partitions, group {}", moves.len(), self.group),
        };
        let mut op = self.branch.change().message(message).allow_empty(true).producers(
            moves.iter().map(|each| Producer::new(self.name(&each.place), EPOCH, each.sequence)),
        );
        for (key, value) in self.pairs(moves) {
            op = op.meta(key, value);
        }
        if let Some(ms) = through_ms {
            op = op.meta(VALID_THROUGH_KEY, rfc3339(ms));
        }
        for (path, entry) in moves.iter().flat_map(|each| &each.files) {
            op = op.put(path.as_str(), entry.clone());
        }
        op
    }

    fn taken_over(&self, moves: &[Move], outcome: &Outcome) -> Result<Place> {
        let named = outcome.standing().map(|standing| standing.asked.name.as_str());
        let found =
            moves.iter().find(|each| named.is_none_or(|name| self.name(&each.place) == name));
        found.map(|each| each.place.clone()).ok_or_else(|| {
            Error::internal(format!(
                "an op is behind of a producer that it does not have: {outcome:?}"
            ))
        })
    }

    pub(crate) fn came_to_nothing(&self, outcome: &Outcome) -> Error {
        let reason = outcome.reason().unwrap_or("somebody called it off");
        Error::new(
            ErrorKind::Conflict,
            format!(
                "a commit of group '{}' came to nothing ({}: {reason}): nothing of it is on the branch, and the offsets have not moved; start again to go on from there",
                self.group,
                outcome.name()
            ),
        )
    }
}

/// Pauses between tries, each longer than the one before.
struct Pauses(Duration);

impl Pauses {
    fn new() -> Self {
        Self(Duration::from_millis(50))
    }

    /// Waits until what has failed so may be tried again.
    async fn pause(&mut self, error: &Error) {
        tokio::time::sleep(error.kind().retry_after().unwrap_or(self.0)).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(2));
    }
}

/// Reads something, again and again while Onward is away.
pub(crate) async fn patiently<T, F>(read: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut pauses = Pauses::new();
    loop {
        match read().await {
            Err(error) if error.is_retryable() => pauses.pause(&error).await,
            read => return read,
        }
    }
}

/// The producer that a partition is to a group.
pub(crate) fn producer_of(group: &str, place: &Place) -> String {
    format!("kafka/{group}/{}/{}", place.topic, place.partition)
}

/// A moment as RFC 3339 in UTC.
fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}
