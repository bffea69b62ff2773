//! One assigned partition: its own next offset, the file in the making, and those that wait to be committed.

use std::collections::VecDeque;
use std::ops::Range;

use onward::{CommitId, Entry, Error, ErrorKind, Result};

use crate::broker::Place;
use crate::clock::{Stopwatch, now_ms};
use crate::file::{Content, FileFacts, FileWriter, Refused};
use crate::format::DeadLetterFile;
use crate::ledger::{Move, Taken};
use crate::path::PathTemplate;
use crate::record::Record;
use crate::replies::Unanswered;
use crate::requests::Request;
use crate::settings::{DeadLetterSettings, Settings, Takes};
use crate::state::State;

/// Files that wait to be committed, at most; the partition is not read beyond it.
pub(crate) const WAITING_MAX: usize = 64;

/// Change sets that wait to be carried out, at most.
pub(crate) const REQUESTS_MAX: u64 = 1_000;

/// A partition that this member of the group has.
pub(crate) struct Partition {
    pub(crate) place: Place,
    /// Tells this assignment from earlier ones of the same partition.
    pub(crate) assignment: u64,
    /// The sequence of the newest op.
    pub(crate) sequence: u64,
    /// The newest commit that moved it.
    pub(crate) newest: CommitId,
    /// What the branch says.
    pub(crate) state: State,
    /// The next offset: that of the last record and one more, or where a gap ended. The client's own
    /// position is none before the first record, and passes over what is no record.
    pub(crate) next: i64,
    /// The life that records belong to which come now.
    pub(crate) life: u32,
    open: Option<Open>,
    pub(crate) waiting: VecDeque<Finished>,
    /// Replies to its change sets.
    pub(crate) unanswered: Unanswered,
    /// Offsets that were skipped and not yet told by a commit.
    pub(crate) skipped: Vec<Range<i64>>,
    pub(crate) is_paused: bool,
    /// Somebody else has moved it: nothing of it is committed any more.
    pub(crate) is_taken_over: bool,
    /// When it was assigned, milliseconds since the Unix epoch.
    pub(crate) assigned_ms: i64,
    /// Whether it seemed to end before where it was read to.
    pub(crate) is_suspect: bool,
    /// Whether an open transaction keeps records back.
    pub(crate) is_held_back: bool,
    /// Since when nothing has come.
    pub(crate) quiet: Stopwatch,
    /// When everything that there was had been handed out, if that is how it stands.
    pub(crate) end_seen_ms: Option<i64>,
    pub(crate) lag: Option<u64>,
}

/// The file in the making, with the dead letters of the same range.
struct Open {
    writer: Box<dyn FileWriter>,
    dead: Option<DeadLetterFile>,
    first: i64,
    last: i64,
    first_ms: Option<i64>,
    through_ms: Option<i64>,
    records: u64,
    begun: Stopwatch,
}

impl Open {
    /// A file that begins with this record.
    fn begin(record: &Record, settings: &Settings) -> Result<Self> {
        Ok(Self {
            writer: settings.format.begin()?,
            dead: None,
            first: record.offset,
            last: record.offset,
            first_ms: record.timestamp_ms,
            through_ms: None,
            records: 0,
            begun: Stopwatch::start(),
        })
    }

    fn size(&self) -> u64 {
        self.writer.size() + self.dead.as_ref().map_or(0, DeadLetterFile::size)
    }

    fn memory(&self) -> u64 {
        self.writer.memory() + self.dead.as_ref().map_or(0, DeadLetterFile::memory)
    }
}

/// A range of offsets whose files are finished.
pub(crate) struct Finished {
    /// The next offset behind it.
    pub(crate) next: i64,
    pub(crate) life: u32,
    pub(crate) through_ms: Option<i64>,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// What its files hold in memory until they are uploaded.
    pub(crate) memory: u64,
    pub(crate) files: Vec<NamedFile>,
    /// The change set that is to be carried out, or what goes to the dead letters in its place.
    pub(crate) request: Option<Request>,
}

/// A file on its way to the branch.
pub(crate) struct NamedFile {
    pub(crate) path: String,
    /// Where it lies, once it is uploaded.
    pub(crate) entry: Option<Entry>,
}

/// A finished file that is to be uploaded.
pub(crate) struct ToUpload {
    pub(crate) path: String,
    pub(crate) content: Content,
    pub(crate) content_type: String,
}

impl Finished {
    pub(crate) fn is_uploaded(&self) -> bool {
        self.files.iter().all(|file| file.entry.is_some()) && !self.is_to_be_buried()
    }

    /// Whether its dead letters have no file yet.
    pub(crate) fn is_to_be_buried(&self) -> bool {
        self.files.is_empty() && matches!(self.request, Some(Request::DeadLetters(_)))
    }
}

impl Partition {
    /// The partition as a claim, which is `newest`, has moved it.
    pub(crate) fn new(claim: Move, assignment: u64, newest: CommitId) -> Self {
        let Move { place, sequence, mut state, .. } = claim;
        // Programs of before took the word of a record whose time is still to come.
        state.through_ms = state.through_ms.filter(|through| *through <= now_ms());
        Self {
            place,
            assignment,
            sequence,
            newest,
            next: state.next,
            life: state.life,
            state,
            open: None,
            waiting: VecDeque::new(),
            unanswered: Unanswered::default(),
            skipped: Vec::new(),
            is_paused: false,
            is_taken_over: false,
            assigned_ms: now_ms(),
            is_suspect: false,
            is_held_back: false,
            quiet: Stopwatch::start(),
            end_seen_ms: None,
            lag: None,
        }
    }

    /// Where it is read from.
    pub(crate) fn start(&self) -> (Place, i64) {
        (self.place.clone(), self.unanswered.from().unwrap_or(self.next))
    }

    /// Whether a record is one to be taken.
    pub(crate) fn hear(&mut self, record: &Record) -> bool {
        self.quiet = Stopwatch::start();
        self.end_seen_ms = None;
        // One that was read before: a partition that is resumed begins where it was paused, or before.
        record.offset >= self.next && !self.is_taken_over
    }

    /// Adds a record to the file in the making. Returns what is finished by that.
    pub(crate) fn push(&mut self, record: &Record, settings: &Settings) -> Result<Vec<ToUpload>> {
        let mut finished = Vec::new();
        if !self.write(record, settings)? {
            finished.extend(self.finish(settings)?);
            if !self.write(record, settings)? {
                return Err(Error::invalid(format!(
                    "the record at offset {} of {} is larger than a file of this format can be ({} bytes): nothing of it is committed, and the offsets stand before it; use a format without that limit",
                    record.offset,
                    self.place,
                    record.memory()
                )));
            }
        }
        self.next = record.offset.saturating_add(1);
        let roll = &settings.roll;
        let is_full = self
            .open
            .as_ref()
            .is_some_and(|open| open.size() >= roll.bytes || open.records >= roll.records);
        if is_full {
            finished.extend(self.finish(settings)?);
        }
        Ok(finished)
    }

    /// Whether the record is in the file in the making, or among its dead letters; else that takes no more.
    fn write(&mut self, record: &Record, settings: &Settings) -> Result<bool> {
        let is_new = self.open.is_none();
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open::begin(record, settings)?),
        };
        match open.writer.push(record) {
            Ok(()) => {}
            Err(Refused::Unparsable(reason)) => {
                open.bury(record, &reason, settings, &self.place)?;
            }
            Err(Refused::Full) => {
                if is_new {
                    self.open = None;
                }
                return Ok(false);
            }
            Err(Refused::Failed(error)) => return Err(error),
        }
        open.last = record.offset;
        open.through_ms = open.through_ms.max(record.through_ms());
        open.records += 1;
        Ok(true)
    }

    /// What is known of a file of these offsets.
    pub(crate) fn facts<'a>(
        &'a self,
        (first_offset, last_offset): (i64, i64),
        timestamp_ms: Option<i64>,
        extension: &'a str,
    ) -> FileFacts<'a> {
        let (topic, partition, life) = (&self.place.topic, self.place.partition, self.life);
        FileFacts { topic, partition, life, first_offset, last_offset, timestamp_ms, extension }
    }

    /// Ends the file in the making, if there is one.
    pub(crate) fn finish(&mut self, settings: &Settings) -> Result<Vec<ToUpload>> {
        let Some(open) = self.open.take() else { return Ok(Vec::new()) };
        let mut uploads = Vec::new();
        let range = self.facts((open.first, open.last), open.first_ms, settings.format.extension());
        if open.writer.records() > 0 {
            uploads.push(ToUpload {
                path: name(settings, &settings.path, &range)?,
                content: open.writer.finish()?,
                content_type: settings.format.content_type().to_owned(),
            });
        }
        if let (Some(dead), Some(letters)) = (open.dead, &settings.dead_letters) {
            uploads.push(dead_file(dead, letters, settings, range)?);
        }
        let (mut bytes, mut memory) = (0, 0);
        for upload in &uploads {
            match &upload.content {
                Content::Memory(content) => {
                    bytes += content.len() as u64;
                    memory += content.len() as u64;
                }
                Content::File(file) => bytes += file.metadata().map_or(0, |facts| facts.len()),
            }
        }
        self.waiting.push_back(Finished {
            next: open.last.saturating_add(1),
            life: self.life,
            through_ms: open.through_ms,
            records: open.records,
            bytes,
            memory,
            files: named(&uploads),
            request: None,
        });
        Ok(uploads)
    }

    /// Whether the file in the making is as old as one may be.
    pub(crate) fn is_due(&self, settings: &Settings) -> bool {
        self.open.as_ref().is_some_and(|open| open.begun.has_run(settings.roll.age))
    }

    /// Whether nothing is behind the first `finished` of what waits.
    pub(crate) fn is_idle_behind(&self, finished: usize) -> bool {
        self.open.is_none() && self.waiting.len() == finished
    }

    /// This partition moved from one state to another, by so much of what waits behind the first `passed`.
    pub(crate) fn step(&self, from: &State, passed: usize, finished: usize) -> Move {
        let mut state = from.clone();
        let mut taken = Taken { assignment: self.assignment, finished, ..Taken::default() };
        let mut files = Vec::new();
        for finished in self.waiting.iter().skip(passed).take(finished) {
            (state.next, state.life) = (finished.next, finished.life);
            state.through_ms = state.through_ms.max(finished.through_ms);
            taken.records += finished.records;
            taken.bytes += finished.bytes;
            let named = finished.files.iter();
            files.extend(named.filter_map(|file| Some((file.path.clone(), file.entry.clone()?))));
        }
        if self.is_idle_behind(passed + finished) {
            // Whatever was skipped behind the last file is passed as well.
            (state.next, state.life) = (self.next, self.life);
            state.through_ms = state.through_ms.max(self.end_seen_ms);
        }
        // Those before have been told.
        let gaps = self.skipped.iter().skip_while(|gap| gap.end <= from.next && passed > 0);
        let gaps = gaps.take_while(|gap| gap.end <= state.next);
        let skipped: Vec<_> = gaps.cloned().collect();
        taken.gaps = skipped.len();
        let told = match state.life == self.state.life {
            true => self.unanswered.replied(self.state.next).min(state.next),
            // Offsets begin anew, and nothing is told of those.
            false => 0,
        };
        state.replied = state.replied.map(|_| told);
        Move {
            place: self.place.clone(),
            sequence: self.sequence + 1,
            state,
            files,
            skipped,
            taken,
        }
    }

    /// The branch has a move of it.
    pub(crate) fn moved(&mut self, by: &Move, commit: CommitId) {
        self.sequence = by.sequence;
        self.newest = commit;
        self.state = by.state.clone();
        self.waiting.drain(..by.taken.finished.min(self.waiting.len()));
        self.skipped.drain(..by.taken.gaps.min(self.skipped.len()));
    }

    /// Whether everything that was read is on the branch, and that offsets began anew if they did.
    pub(crate) fn is_committed(&self) -> bool {
        self.open.is_none()
            && self.waiting.is_empty()
            && self.skipped.is_empty()
            && self.life == self.state.life
    }

    /// Whether everything is on the branch as well that is known of replies.
    pub(crate) fn is_settled(&self) -> bool {
        let replied = self.unanswered.replied(self.state.next);
        let is_told = self.state.replied.is_none_or(|told| told == replied);
        self.is_committed() && self.unanswered.on_their_way() == 0 && is_told
    }

    /// Forgets what was read and not committed.
    pub(crate) fn discard(&mut self) {
        self.open = None;
        self.waiting.clear();
        self.skipped.clear();
        self.next = self.state.next;
        self.life = self.state.life;
    }

    /// What it holds in memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.open.as_ref().map_or(0, Open::memory)
            + self.waiting.iter().map(|finished| finished.memory).sum::<u64>()
    }

    /// Bytes of files that are not committed.
    pub(crate) fn pending(&self) -> u64 {
        self.open.as_ref().map_or(0, Open::size)
            + self.waiting.iter().map(|finished| finished.bytes).sum::<u64>()
    }

    /// Whether it is not to be read further for now.
    pub(crate) fn is_full(&self, settings: &Settings) -> bool {
        let is_waiting_full = match settings.takes {
            Takes::Values => self.waiting.len() >= WAITING_MAX,
            Takes::ChangeSets => {
                self.waiting.iter().map(|finished| finished.records).sum::<u64>() >= REQUESTS_MAX
            }
        };
        self.is_taken_over || self.pending() >= settings.partition_max || is_waiting_full
    }

    /// An upload of this path has its place now.
    pub(crate) fn uploaded(&mut self, path: &str, entry: Entry) {
        for finished in &mut self.waiting {
            if let Some(file) = finished.files.iter_mut().find(|file| file.path == path) {
                file.entry = Some(entry);
                // A record that is no change set is kept for its reply.
                if finished.is_uploaded() && finished.request.is_none() {
                    finished.memory = 0;
                }
                return;
            }
        }
    }
}

impl Open {
    /// Puts a record that does not parse among the dead letters.
    fn bury(
        &mut self,
        record: &Record,
        reason: &str,
        settings: &Settings,
        place: &Place,
    ) -> Result<()> {
        let letters = letters(record, reason, settings, place)?;
        let dead = match &mut self.dead {
            Some(dead) => dead,
            none => none.insert(letters.format.begin()?),
        };
        dead.push(record, reason)
    }
}

/// Where a record goes that does not parse; where there is no such place that is the end.
pub(crate) fn letters<'a>(
    record: &Record,
    reason: &str,
    settings: &'a Settings,
    place: &Place,
) -> Result<&'a DeadLetterSettings> {
    settings.dead_letters.as_ref().ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            format!(
                "the record at offset {} of {place} does not parse: {reason}. Nothing of it is committed, and the offsets stand before it: name a place for dead letters, or use another format",
                record.offset
            ),
        )
    })
}

/// A finished file of dead letters.
pub(crate) fn dead_file(
    dead: DeadLetterFile,
    letters: &DeadLetterSettings,
    settings: &Settings,
    range: FileFacts<'_>,
) -> Result<ToUpload> {
    let facts = FileFacts { extension: letters.format.extension(), ..range };
    Ok(ToUpload {
        path: name(settings, &letters.path, &facts)?,
        content: dead.finish()?,
        content_type: letters.format.content_type().to_owned(),
    })
}

/// Files that are on their way.
pub(crate) fn named(uploads: &[ToUpload]) -> Vec<NamedFile> {
    let named = |upload: &ToUpload| NamedFile { path: upload.path.clone(), entry: None };
    uploads.iter().map(named).collect()
}

fn name(settings: &Settings, template: &PathTemplate, facts: &FileFacts<'_>) -> Result<String> {
    Ok(format!("{}{}", settings.prefix, template.render(facts)?))
}
