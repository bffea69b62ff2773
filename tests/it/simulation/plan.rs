//! What the clients of a history are going to do, drawn from the seed before it begins.

use onward::{Entry, OpId, Producer};

use super::world::World;

/// Paths that plain commits change: few, so that they meet.
pub const PATHS: usize = 8;

/// Producers that all clients have, as partitions that go from one to another.
const SHARED: [&str; 2] = ["t/0", "t/1"];

/// What one op is to do.
#[derive(Clone, Debug)]
pub enum Act {
    /// A commit of one's own changes.
    Commit { changes: Vec<Put>, guard: Guard, cancel: bool },
    /// A commit of producers, whose op id follows from their sequences.
    Produce { changes: Vec<Put>, producers: Vec<Producer> },
    /// A write to the staging area, to a path of its own.
    Stage { value: u32 },
    /// A commit of all that is staged; one that is called off in time gives back what it had taken.
    CommitStaged { cancel: bool },
    /// A commit on branch `side`.
    Side { changes: Vec<Put> },
    /// A merge of `side`.
    Merge,
    /// An op that forgets producers that are as they are named, as upkeep submits it.
    Forget { rows: Vec<Producer> },
    /// A look at the head.
    Show,
}

/// A put of a value, or a delete.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    pub path: String,
    pub value: Option<u32>,
}

/// What a commit depends on.
#[derive(Clone, Debug, PartialEq)]
pub enum Guard {
    Nothing,
    /// Its first path names nothing.
    Absent,
    /// Its paths are as they were at the head that the client saw.
    Base,
}

/// One op of a client.
#[derive(Clone, Debug)]
pub struct Plan {
    pub op_id: OpId,
    pub act: Act,
    /// Whether the client asks once more after it was told.
    pub asks_again: bool,
}

/// The entry that stands for a value. Some are so large that a commit of two writes a run.
pub fn entry(value: u32) -> Entry {
    let mut entry = Entry::new(format!("mem://data/{value}"), value.into(), format!("v{value}"));
    if value.is_multiple_of(4) {
        entry.metadata.insert("padding".into(), "x".repeat(5000));
    }
    entry
}

/// The name of a client's own producer.
fn own(client: usize) -> String {
    format!("producer-{client}")
}

/// All producers of so many clients.
pub fn producers(clients: usize) -> impl Iterator<Item = String> {
    (0..clients).map(own).chain(SHARED.map(str::to_owned))
}

/// The value that an entry stands for.
pub fn value(entry: &Entry) -> u32 {
    u32::try_from(entry.size).unwrap()
}

/// Draws the plans of one history.
pub struct Planner<'a> {
    pub world: &'a World,
    /// Whether there is a second branch to merge from.
    pub merges: bool,
    pub staging: bool,
    values: u32,
    ops: u32,
}

impl<'a> Planner<'a> {
    pub fn new(world: &'a World) -> Self {
        let (merges, staging) = (world.one_in(3), world.one_in(2));
        // What staged writes and merges bring can only be told apart where there is one of them.
        Self { world, merges: merges && !staging, staging, values: 0, ops: 0 }
    }

    fn value(&mut self) -> u32 {
        self.values += 1;
        self.values
    }

    fn changes(&mut self) -> Vec<Put> {
        let mut changes: Vec<Put> = Vec::new();
        for _ in 0..=self.world.pick(3) {
            let path = format!("p/{}", self.world.pick(PATHS));
            let value = if self.world.one_in(5) { None } else { Some(self.value()) };
            changes.retain(|put| put.path != path);
            changes.push(Put { path, value });
        }
        changes
    }

    /// One of the client's own, and now and then those that all clients have.
    fn producers(&mut self, client: usize, sequence: u64) -> Vec<Producer> {
        let mut producers = vec![Producer::new(own(client), 1, sequence)];
        if self.world.one_in(2) {
            for shared in SHARED {
                let epoch = self.world.pick(3) as u64;
                producers.push(Producer::new(shared, epoch, sequence));
            }
        }
        producers
    }

    /// Rows as they may be by then, or may have been.
    fn rows(&mut self) -> Vec<Producer> {
        let mut rows = Vec::new();
        for client in 0..3 {
            rows.push(Producer::new(own(client), 1, 1 + self.world.pick(3) as u64));
        }
        for shared in SHARED {
            let (epoch, sequence) = (self.world.pick(3) as u64, 1 + self.world.pick(3) as u64);
            rows.push(Producer::new(shared, epoch, sequence));
        }
        rows
    }

    /// The next op of client `client`.
    pub fn plan(&mut self, client: usize, sequence: u64) -> Plan {
        self.ops += 1;
        let act = match self.world.pick(13) {
            0 | 1 if self.staging => Act::Stage { value: self.value() },
            2 if self.staging => Act::CommitStaged { cancel: self.world.one_in(3) },
            0 | 1 if self.merges => Act::Side { changes: self.changes() },
            2 if self.merges => Act::Merge,
            3 => Act::Show,
            4 => Act::Produce {
                changes: if self.world.one_in(6) { Vec::new() } else { self.changes() },
                producers: self.producers(client, sequence),
            },
            12 => Act::Forget { rows: self.rows() },
            5 => Act::Commit { changes: self.changes(), guard: Guard::Absent, cancel: false },
            6 => Act::Commit { changes: self.changes(), guard: Guard::Base, cancel: false },
            7 => Act::Commit { changes: self.changes(), guard: Guard::Nothing, cancel: true },
            _ => Act::Commit { changes: self.changes(), guard: Guard::Nothing, cancel: false },
        };
        let op_id = match &act {
            Act::Produce { producers, .. } => Producer::op_id_of(producers),
            _ => format!("00000000-0000-4000-8000-{:012}", self.ops).parse().unwrap(),
        };
        Plan { op_id, act, asks_again: self.world.one_in(5) }
    }
}
