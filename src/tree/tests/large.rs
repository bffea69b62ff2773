//! Costs at a million records: what is read and written follows the question, not the size.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use super::run;
use crate::model::change::{Change, encode_value};
use crate::model::entry::Entry;
use crate::model::path::ObjectPath;
use crate::tree::{
    ChangeSet, Level, ListItem, ListRequest, MemoryStore, Metarange, Record, RunRef, ScanStart,
    Tree, TreeOptions,
};

const MILLION: u64 = 1_000_000;

fn path(number: u64) -> ObjectPath {
    let folder = if number == MILLION - 1 { "last" } else { "events" };
    format!("lake/{folder}/year=2026/month=05/day=17/part-{number:08}-c000.snappy.parquet")
        .parse()
        .unwrap()
}

fn record(number: u64, version: u64) -> Record {
    let checksum = blake3::hash(&(number + version * MILLION).to_le_bytes()).to_hex();
    let entry = Entry::new(format!("s3://bucket/data/{number:016x}"), number, &checksum[..32]);
    let mut value = Vec::new();
    encode_value(&Change::Put(entry), None, &mut value);
    Record { path: path(number), op: 0, value: Bytes::from(value) }
}

async fn write(tree: &Tree, records: impl Iterator<Item = Record>) -> RunRef {
    let mut writer = tree.run_writer();
    for record in records {
        writer.push(record).await.unwrap();
    }
    writer.finish().await.unwrap()
}

#[test]
fn costs_at_a_million_records_follow_the_question() {
    run(async {
        let store = Arc::new(MemoryStore::new());
        let tree = Tree::new(store.clone(), TreeOptions::default());
        let bottom = Arc::new(write(&tree, (0..MILLION).map(|number| record(number, 0))).await);
        let cold = || Tree::new(store.clone(), TreeOptions::default());
        let base = Metarange { levels: vec![Level::all(bottom.clone())] };

        let (reads, bytes) = (store.reads(), store.bytes_read());
        assert!(cold().get(&base, &path(777_777)).await.unwrap().is_some());
        println!("cold get: {} reads, {} bytes", store.reads() - reads, store.bytes_read() - bytes);
        assert!(store.reads() - reads <= 4, "list, index, block");

        let reads = store.reads();
        let request = ListRequest {
            prefix: "lake/".into(),
            delimiter: Some("/".into()),
            ..ListRequest::default()
        };
        let page = cold().list(&base, &request).await.unwrap();
        let names: Vec<_> = page.items.iter().map(ListItem::name).collect();
        assert_eq!(names, ["lake/events/", "lake/last/"]);
        assert!(store.reads() - reads <= 8, "the folder is jumped over");

        // A few changes on top: diff and fold cost what they change.
        let changed = [10, 500_000, 500_001, 900_000];
        let top = write(&tree, changed.into_iter().map(|number| record(number, 1))).await;
        let mut levels = vec![Level::all(Arc::new(top))];
        levels.extend(base.levels.iter().cloned());
        let (reads, writes) = (store.reads(), store.writes());
        let next = Metarange { levels: levels.clone() };
        let found: Vec<_> = cold()
            .diff(base.clone(), next.clone(), ScanStart::all())
            .map_ok(|diff| diff.path)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(found, changed.map(path));
        assert!(store.reads() - reads <= 16, "{} reads", store.reads() - reads);
        let ChangeSet::Large(folded) = tree.fold(&levels, true).await.unwrap() else {
            panic!("a run")
        };
        println!("fold of 4 changes into 1M: {} writes", store.writes() - writes);
        assert!(store.writes() - writes <= 12, "untouched ranges are taken over");

        // The fold is the run one would have written, and differs little from its parent.
        let version = |number| u64::from(changed.contains(&number));
        let direct = write(&tree, (0..MILLION).map(|number| record(number, version(number)))).await;
        assert_eq!(direct, *folded);
        let reads = store.reads();
        let folded = Metarange { levels: vec![Level::all(folded)] };
        let found = cold().diff(base.clone(), folded, ScanStart::all());
        assert_eq!(found.count().await, 4);
        println!("diff of two runs of 1M: {} reads", store.reads() - reads);

        assert_eq!(tree.scan(next, ScanStart::all()).count().await, MILLION as usize);
    });
}
