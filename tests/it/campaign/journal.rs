//! What a worker writes down: a line before it asks for something, a line when it was told. The
//! file outlives the process, so what was acknowledged is known whatever became of the worker.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use onward::{CommitId, OpId};
use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Line {
    /// An op is about to be submitted, for the first time or again by a worker's successor.
    Asked { at: u64, plan: Plan, again: bool },
    /// An op's outcome.
    Told { at: u64, life: u32, lane: u32, op: OpId, told: Told },
    /// A call ended with an error that says not to try again. No call here should.
    Refused { op: Option<OpId>, kind: String, message: String },
    /// A write is about to be staged.
    Staging { at: u64, write: StagedWrite },
    /// It is staged.
    Staged { at: u64, write: StagedWrite },
}

/// One staged write: where, and the number of its entry, which no other write has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StagedWrite {
    pub branch: String,
    pub path: String,
    pub number: u64,
}

/// An op as it is submitted, each time the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub op: OpId,
    pub branch: String,
    pub message: String,
    pub committer: String,
    pub meta: BTreeMap<String, String>,
    pub what: What,
}

/// What an op does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// Changes of its own.
    Changes {
        puts: Vec<(String, u64)>,
        deletes: Vec<String>,
        /// So many more puts, of paths and numbers that follow from the first.
        bulk: u64,
        producer: Option<(String, u64, u64)>,
    },
    /// A commit of what is staged.
    Staged,
    /// A merge of another branch.
    Merge { source: String, strategy: Strategy },
}

/// What a merge does where both sides changed a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    Fail,
    SourceWins,
    DestWins,
}

/// What a worker was told of an op.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub outcome: String,
    pub ticket: Option<u64>,
    pub commit: Option<CommitId>,
    pub rounds: u64,
    pub rounds_bound: u64,
    /// Why it failed or was fenced.
    pub reason: Option<String>,
}

impl Told {
    /// Whether this is an answer without a ticket, true of the moment: nothing was accepted, and the
    /// same op may be asked for again, by whoever it was taken from, and be decided then.
    pub fn is_of_the_moment(&self) -> bool {
        self.ticket.is_none() && matches!(self.outcome.as_str(), "no_changes" | "conflict")
    }
}

impl Plan {
    /// The paths that a commit of its own changes sets, with the numbers of their entries.
    pub fn changes(&self) -> Option<BTreeMap<String, Option<u64>>> {
        let What::Changes { puts, deletes, bulk, .. } = &self.what else { return None };
        let mut changes: BTreeMap<_, _> = deletes.iter().map(|path| (path.clone(), None)).collect();
        changes.extend(puts.iter().map(|(path, number)| (path.clone(), Some(*number))));
        if let Some((path, number)) = puts.first() {
            let many = (0..*bulk).map(|n| (format!("{path}/{n:05}"), Some(number + 1 + n)));
            changes.extend(many);
        }
        Some(changes)
    }
}

/// A journal being written. Lives of a worker share the file, a line is one write.
pub struct Journal {
    file: Mutex<File>,
}

impl Journal {
    pub fn append_to(path: &Path) -> Self {
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        // A life before this one may have been killed in the middle of a line.
        file.write_all(b"\n").unwrap();
        Self { file: Mutex::new(file) }
    }

    pub fn write(&self, line: &Line) {
        let mut text = serde_json::to_vec(line).unwrap();
        text.push(b'\n');
        self.file.lock().unwrap().write_all(&text).unwrap();
    }
}

/// A journal being read while it grows.
pub struct Reader {
    path: PathBuf,
    at: u64,
    rest: Vec<u8>,
}

impl Reader {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), at: 0, rest: Vec::new() }
    }

    /// The whole lines that have come since the last call.
    pub fn more(&mut self) -> Vec<Line> {
        let Ok(mut file) = File::open(&self.path) else { return Vec::new() };
        file.seek(SeekFrom::Start(self.at)).unwrap();
        self.at += file.read_to_end(&mut self.rest).unwrap() as u64;
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else {
            return Vec::new();
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        // What was cut short by a kill was not acted upon either.
        whole.split(|&byte| byte == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect()
    }
}

/// Ops that nobody was told the outcome of, in the order in which they were asked for.
pub fn unacknowledged(lines: Vec<Line>) -> Vec<Plan> {
    let told = |line: &Line| match line {
        Line::Told { op, .. } => Some(*op),
        _ => None,
    };
    let told: BTreeSet<OpId> = lines.iter().filter_map(told).collect();
    let asked = lines.into_iter().filter_map(|line| match line {
        Line::Asked { plan, .. } => Some(plan),
        _ => None,
    });
    let mut seen = BTreeSet::new();
    asked.filter(|plan| !told.contains(&plan.op) && seen.insert(plan.op)).collect()
}
