//! The hot pieces one by one, without Redis and without a disk: `cargo bench`.
//!
//! Each counts items, so that its figure is a time for one record, lookup or op.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark fails by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use futures::TryStreamExt;
use onward::Entry;
use onward::internals::commit::log::entry::{DecidedOp, LogEntry};
use onward::internals::commit::log::levels::SpanLevel;
use onward::internals::commit::op::verdict::Verdict;
use onward::internals::model::change::{Change, encode_value};
use onward::internals::model::commit::Commit;
use onward::internals::model::ids::{BranchUid, OpId, Ticket};
use onward::internals::model::path::ObjectPath;
use onward::internals::tree::{
    ALL, ChangeSet, InlineAddress, InlineRun, Level, MemoryStore, Metarange, Record, RunRef,
    ScanStart, Tree, TreeOptions, decide,
};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

/// Records of a range or two.
const RECORDS: u64 = 20_000;

/// Ops of a batch.
const OPS: u16 = 64;

fn path(number: u64) -> ObjectPath {
    let text = format!("table/part={:03}/{number:09}.parquet", number % 100);
    ObjectPath::new(text).unwrap()
}

fn entry(number: u64) -> Entry {
    Entry::new(format!("s3://lake/data/{number:09}"), number, format!("{number:032x}"))
}

fn record(number: u64, op: u16) -> Record {
    let mut value = Vec::new();
    encode_value(&Change::Put(entry(number)), None, &mut value);
    Record { path: path(number), op, value: value.into() }
}

fn records(numbers: impl Iterator<Item = u64>) -> Vec<Record> {
    let mut records: Vec<Record> = numbers.map(|number| record(number, 0)).collect();
    records.sort_by(|a, b| a.path.cmp(&b.path));
    records
}

/// A tree in memory, and a runtime to ask it in.
struct Bench {
    runtime: Runtime,
    store: Arc<MemoryStore>,
    tree: Tree,
}

impl Bench {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let tree = Tree::new(Arc::clone(&store) as _, TreeOptions::default());
        Self { runtime: Runtime::new().unwrap(), store, tree }
    }

    fn run_of(&self, numbers: impl Iterator<Item = u64>) -> Arc<RunRef> {
        let written = self.tree.write_run(records(numbers));
        Arc::new(self.runtime.block_on(written).unwrap())
    }

    /// A level that lies in a log entry.
    fn inline(&self, first: u64, numbers: impl Iterator<Item = u64>) -> Level {
        let run = InlineRun::from_records(records(numbers)).unwrap();
        let at = InlineAddress { uid: BranchUid(1), first: Ticket(first), segment: 0 };
        let level = Level::all(Arc::new(run.run_ref(at)));
        self.store.put_inline(at, Arc::new(run));
        level
    }

    /// A large level under `height - 1` small ones.
    fn stack(&self, height: u64) -> Metarange {
        let mut levels: Vec<Level> =
            (1..height).map(|no| self.inline(no, (0..100).map(|n| n * 97 + no))).collect();
        levels.push(Level::all(self.run_of(0..RECORDS * 5)));
        Metarange { levels }
    }
}

/// Writing ranges: encode, compress, hash.
#[divan::bench]
fn range_encode(bencher: Bencher) {
    let bench = Bench::new();
    let records = records(0..RECORDS);
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(|| records.clone())
        .bench_values(|records| bench.runtime.block_on(bench.tree.write_run(records)).unwrap());
}

/// Reading ranges in order: decompress, check, decode.
#[divan::bench]
fn range_decode(bencher: Bencher) {
    let bench = Bench::new();
    let run = bench.run_of(0..RECORDS);
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let scan = bench.tree.scan_run(Arc::clone(&run), ALL, ScanStart::default());
        let read = scan.try_fold(0, |count, _| async move { Ok(count + 1) });
        assert_eq!(bench.runtime.block_on(read).unwrap(), RECORDS);
    });
}

/// One lookup among 100,000 entries, in cached blocks, under so many levels.
#[divan::bench(args = [1, 4, 8, 16])]
fn lookup(bencher: Bencher, height: u64) {
    let bench = Bench::new();
    let metarange = bench.stack(height);
    let paths: Vec<ObjectPath> = (0..1000).map(|number| path(number * 97)).collect();
    let look = |path| bench.runtime.block_on(bench.tree.get(&metarange, path)).unwrap();
    assert!(paths.iter().all(|path| look(path).is_some()), "and their blocks are cached");
    let mut next = paths.iter().cycle();
    bencher.counter(ItemsCount::new(1u64)).bench_local(|| next.next().map(look));
}

/// Folding four levels of 1,000 records inside a batch.
#[divan::bench]
fn fold_inline(bencher: Bencher) {
    let bench = Bench::new();
    let levels: Vec<Level> =
        (0..4).map(|no| bench.inline(no + 1, (0..1000).map(|n| n * 4 + no))).collect();
    bencher.counter(ItemsCount::new(4000u64)).bench(|| {
        let folded = bench.runtime.block_on(bench.tree.fold(&levels, false)).unwrap();
        assert!(matches!(folded, ChangeSet::Small(records) if records.len() == 4000));
    });
}

/// The three-way rule.
#[divan::bench]
fn three_way(bencher: Bencher) {
    let base: Vec<Option<Entry>> = (0..1000).map(|n| Some(entry(n))).collect();
    let changed = |every: u64| -> Vec<Option<Entry>> {
        (0..1000).map(|n| Some(entry(if n % every == 0 { n + 5000 } else { n }))).collect()
    };
    let (source, dest) = (changed(3), changed(5));
    bencher.counter(ItemsCount::new(1000u64)).bench(|| {
        for ((base, source), dest) in base.iter().zip(&source).zip(&dest) {
            black_box(decide(base.as_ref(), source.as_ref(), dest.as_ref()));
        }
    });
}

fn log_entry() -> LogEntry {
    let (uid, first) = (BranchUid(9), Ticket(1000));
    let numbers = 0..u64::from(OPS);
    let batch: Vec<Record> = numbers.map(|n| record(n, n as u16)).collect();
    let run = InlineRun::from_records(batch).unwrap();
    let level = Level::all(Arc::new(run.run_ref(InlineAddress { uid, first, segment: 0 })));
    let written = SpanLevel { level, from: 0, until: ALL, written: true, whole: false };
    let op = |n: u16| DecidedOp {
        op_id: OpId::of_producer("bench", 1, n.into()),
        verdict: Verdict::Committed,
        commit: Some(Commit {
            op_id: OpId::of_producer("bench", 1, n.into()),
            parents: Vec::new(),
            generation: n.into(),
            committer: "bench".into(),
            message: "one file".into(),
            created_ms: 1_700_000_000_000,
            metadata: BTreeMap::new(),
            metarange: Metarange::default().id(),
        }),
        areas: None,
        reset: None,
        fingerprint: None,
        id: Default::default(),
    };
    LogEntry {
        uid,
        first,
        sequence: 17,
        before: Some(Ticket(900)),
        parent: None,
        parent_generation: 0,
        ops: (0..OPS).map(op).collect(),
        levels: vec![written],
        runs: vec![Arc::new(run)],
        producers: BTreeMap::new(),
        forgotten: Default::default(),
        closes: false,
    }
}

/// What a batch of 64 commits puts into the log.
#[divan::bench]
fn log_entry_encode(bencher: Bencher) {
    let entry = log_entry();
    bencher.counter(ItemsCount::new(OPS)).bench(|| entry.encode().unwrap());
}

/// What a reader of the log does with it.
#[divan::bench]
fn log_entry_decode(bencher: Bencher) {
    let bytes = log_entry().encode().unwrap();
    bencher.counter(ItemsCount::new(OPS)).bench(|| LogEntry::decode("bench", &bytes).unwrap());
}

/// Ids of commits, from what they say.
#[divan::bench]
fn commit_id(bencher: Bencher) {
    let entry = log_entry();
    let commit = entry.ops[0].commit.clone().unwrap();
    bencher
        .counter(ItemsCount::new(1u64))
        .bench(|| black_box(&commit).id(entry.uid, entry.first, 0).unwrap());
}
