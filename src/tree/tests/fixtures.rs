//! Files of the first format version, to be read, and written, byte for byte for ever.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;

use super::run;
use crate::model::change::{Change, Condition, encode_value};
use crate::model::entry::Entry;
use crate::tree::{
    ALL, InlineRun, MemoryStore, Record, RunPlace, ScanStart, Tree, TreeOptions, TreeStore,
};

const RANGE_ID: &str = "3969eb78114ec348a07b33c9edf802de";
const INLINE_ID: &str = "f25dd286ecdf7a597747fd808e9b5d72";

/// Several blocks, several versions of a path, tombstones, conditions, every field of an entry.
fn records(count: u64) -> Vec<Record> {
    let mut records = Vec::new();
    for number in 0..count {
        let mut entry = Entry::new(format!("s3://lake/{number}/é.parquet"), number * 1000, "etag");
        entry.mtime = 1_700_000_000 - number as i64;
        entry.content_type = (number % 3 == 0).then(|| "text/csv".to_owned());
        entry.metadata.insert("k".into(), number.to_string());
        let change = if number % 7 == 0 { Change::Delete } else { Change::Put(entry) };
        let condition = match number % 11 {
            0 => Some(Condition::Absent),
            1 => Some(Condition::Checksum("old".into())),
            _ => None,
        };
        let mut value = Vec::new();
        encode_value(&change, condition.as_ref(), &mut value);
        let path: crate::model::path::ObjectPath =
            format!("table/day={:02}/{:04}é", number / 50, number / 2).parse().unwrap();
        records.push(Record { path, op: (number % 2 * 300) as u16, value: Bytes::from(value) });
    }
    records
}

/// The stored bytes; `ONWARD_BLESS=1` writes them for a new format version.
fn fixture(name: &str, today: &[u8]) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    if std::env::var_os("ONWARD_BLESS").is_some() {
        std::fs::write(&path, today).unwrap();
    }
    std::fs::read(path).unwrap().into()
}

#[test]
fn the_first_range_format_is_read_and_written_for_ever() {
    run(async {
        let store = Arc::new(MemoryStore::new());
        let tree = Tree::new(store.clone(), TreeOptions::default());
        let records = InlineRun::from_records(records(600)).unwrap().records().to_vec();
        let mut writer = tree.run_writer();
        for record in &records {
            writer.push(record.clone()).await.unwrap();
        }
        let run = Arc::new(writer.finish().await.unwrap());
        let RunPlace::Ranges(ranges) = &run.place else { panic!("a short run") };
        let today = store.range_file(ranges[0].id).unwrap();
        let stored = fixture("range-v1.bin", &today);
        assert_eq!(ranges.len(), 1);
        assert_eq!(ranges[0].id.to_string(), RANGE_ID);
        assert!(today == stored, "today's writer writes other bytes");

        store.write_range(ranges[0].id, stored).await.unwrap();
        let fresh = Tree::new(store.clone(), TreeOptions::default());
        fresh.verify_run(&run).await.unwrap();
        let newest: Vec<Record> =
            fresh.scan_run(run.clone(), ALL, ScanStart::all()).try_collect().await.unwrap();
        let wanted: Vec<_> = records.iter().filter(|record| record.op == 300).cloned().collect();
        assert_eq!(newest, wanted);
    });
}

#[test]
fn the_first_inline_format_is_read_and_written_for_ever() {
    let run = InlineRun::from_records(records(60)).unwrap();
    let stored = fixture("inline-run-v1.bin", &run.encode());
    assert_eq!(run.id().to_string(), INLINE_ID);
    assert!(run.encode() == stored, "today's writer writes other bytes");
    assert_eq!(InlineRun::decode(&stored).unwrap(), run);
}
