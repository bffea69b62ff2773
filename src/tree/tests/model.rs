//! The model: what a stack of runs means, said with maps; and random stacks in both forms.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use proptest::prelude::*;

use crate::model::change::{Change, Condition, decode_value, encode_value};
use crate::model::entry::Entry;
use crate::model::ids::{BranchUid, Ticket};
use crate::model::path::ObjectPath;
use crate::tree::boundary::is_cut;
use crate::tree::{
    ALL, InlineAddress, InlineRun, Level, MemoryStore, Metarange, Record, Tree, TreeOptions,
};

/// What a metarange contains.
pub(super) type Content = BTreeMap<ObjectPath, Entry>;

/// Paths that meet often, share prefixes, and some of which end a range.
pub(super) static PATHS: LazyLock<Vec<ObjectPath>> = LazyLock::new(|| {
    let mut paths: Vec<String> =
        ["a", "a/", "a/b", "a/b/c", "a/b/d", "a0", "b//", "b///", "b//c", "é/x", "é/y", "z"]
            .map(String::from)
            .to_vec();
    paths.extend((0..14).map(|number| format!("dir/{}/f{number}", number % 4)));
    // Enough in front of the cuts that a fold is already writing when it gets there.
    paths.extend((0..24).map(|number| format!("aa/{number}")));
    for folder in ["cut", "y"] {
        let cuts = (0..).map(|number| format!("{folder}/{number}"));
        paths.extend(cuts.filter(|path| is_cut(path, 1, 1)).take(10));
    }
    paths.sort();
    paths.into_iter().map(|path| ObjectPath::new(path).unwrap()).collect()
});

#[derive(Debug, Clone)]
pub(super) struct RunSpec {
    /// Index of the path, op, what is put (`None` deletes), whether it carries a condition.
    pub(super) records: Vec<RecordSpec>,
    pub(super) inline: bool,
}

type RecordSpec = (usize, u16, Option<u8>, bool);

fn any_records(max: usize) -> impl Strategy<Value = Vec<RecordSpec>> {
    let value = prop_oneof![1 => Just(None), 6 => (0..4u8).prop_map(Some)];
    let op = prop_oneof![Just(0), 0..5u16];
    let record = (0..PATHS.len(), op, value, prop::bool::weighted(0.1));
    (prop::collection::vec(record, 0..max), any::<bool>()).prop_map(|(mut records, settled)| {
        if settled {
            // As a fold leaves them: one version, no condition.
            records.iter_mut().for_each(|record| (record.1, record.3) = (0, false));
        }
        records
    })
}

/// Some runs, and stacks of them: which run as of which op, newest first.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) runs: Vec<RunSpec>,
    pub(super) stacks: [Vec<(usize, u16)>; 2],
}

const RUNS: usize = 5;

/// Half of the runs are another with a few records more, so that runs have ranges in common.
fn any_runs() -> impl Strategy<Value = Vec<RunSpec>> {
    let inline = prop::bool::weighted(0.25);
    let whole =
        (any_records(160), inline).prop_map(|(records, inline)| RunSpec { records, inline });
    let added = prop::collection::vec((any_records(3), 0..2usize), RUNS - 2);
    (prop::collection::vec(whole, 2), added).prop_map(|(mut runs, added)| {
        for (records, base) in added {
            let mut records = [runs[base].records.clone(), records].concat();
            records.dedup();
            runs.push(RunSpec { records, inline: false });
        }
        runs
    })
}

pub(super) fn any_world() -> impl Strategy<Value = World> {
    let as_of = || prop_oneof![2 => Just(ALL), 1 => 0..5u16];
    let stack = prop::collection::vec((0..RUNS, as_of()), 0..4);
    (any_runs(), stack.clone(), stack, 0..3usize, prop::option::of(as_of())).prop_map(
        |(runs, mut left, mut right, shared, other_as_of)| {
            // Stacks of a lake have their bottoms in common, perhaps as of another op.
            let bottom = left.split_off(left.len().saturating_sub(shared));
            let shared_from = right.len();
            right.extend(bottom.iter().copied());
            left.extend(bottom);
            if let (Some(as_of), Some(level)) = (other_as_of, right.get_mut(shared_from)) {
                level.1 = as_of;
            }
            World { runs, stacks: [left, right] }
        },
    )
}

fn change(value: Option<u8>) -> Change {
    match value {
        None => Change::Delete,
        // Long entries, so that few of them fill a block; odd ones differ in address alone.
        Some(value) => Change::Put(Entry::new(
            "x".repeat(3000) + &value.to_string(),
            1,
            (value / 2).to_string(),
        )),
    }
}

pub(super) fn records_of(spec: &RunSpec) -> Vec<Record> {
    let record = |(path, op, value, conditional): &RecordSpec| {
        let mut bytes = Vec::new();
        let condition = conditional.then(|| Condition::Checksum("c".repeat(100)));
        encode_value(&change(*value), condition.as_ref(), &mut bytes);
        Record { path: PATHS[*path].clone(), op: *op, value: Bytes::from(bytes) }
    };
    spec.records.iter().map(record).collect()
}

/// A tree with a world in it.
pub(super) struct Built {
    pub(super) tree: Tree,
    pub(super) stacks: [Metarange; 2],
    pub(super) contents: [Content; 2],
}

pub(super) async fn build(world: &World) -> Built {
    let store = Arc::new(MemoryStore::new());
    let tree = Tree::new(Arc::<MemoryStore>::clone(&store), TreeOptions::default());
    let mut runs = Vec::new();
    for (number, spec) in world.runs.iter().enumerate() {
        let inline = Arc::new(InlineRun::from_records(records_of(spec)).unwrap());
        let run = if spec.inline {
            let at = InlineAddress { uid: BranchUid(1), first: Ticket(number as u64), segment: 0 };
            store.put_inline(at, Arc::clone(&inline));
            inline.run_ref(at)
        } else {
            let mut writer = tree.run_writer();
            for record in inline.records() {
                writer.push(record.clone()).await.unwrap();
            }
            writer.finish().await.unwrap()
        };
        runs.push((Arc::new(run), inline));
    }
    let stacks = world.stacks.clone().map(|stack| Metarange {
        levels: stack
            .iter()
            .map(|(run, as_of)| Level::as_of(Arc::clone(&runs[*run].0), *as_of))
            .collect(),
    });
    let contents = world.stacks.clone().map(|stack| {
        let mut content = Content::new();
        for (run, as_of) in stack.iter().rev() {
            apply(runs[*run].1.records(), *as_of, &mut content);
        }
        content
    });
    Built { tree, stacks, contents }
}

/// Lets a run as of an op act on a content.
fn apply(records: &[Record], as_of: u16, content: &mut Content) {
    // Ops ascend when read backwards, so the newest visible one is applied last.
    for record in records.iter().rev().filter(|record| record.op <= as_of) {
        match decode_value(&record.value).unwrap().0 {
            Change::Put(entry) => content.insert(record.path.clone(), entry),
            Change::Delete => content.remove(&record.path),
        };
    }
}
