//! Damaged bytes are noticed, named, and never a panic.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;

use super::run;
use crate::model::error::ErrorKind;
use crate::tree::{
    Level, MemoryStore, Metarange, RangeRef, Record, RunPlace, RunRef, ScanStart, Tree,
    TreeOptions, TreeStore,
};

async fn small_run(tree: &Tree) -> (RunRef, RangeRef) {
    let mut writer = tree.run_writer();
    for number in 0..40 {
        let path = format!("some/common/prefix/{number:03}").parse().unwrap();
        let mut value = vec![0b1];
        crate::model::entry::Entry::new("s3://lake/x", number, "etag").encode(&mut value);
        writer.push(Record { path, op: 0, value: value.into() }).await.unwrap();
    }
    let run = writer.finish().await.unwrap();
    let RunPlace::Ranges(ranges) = &run.place else { panic!("a short run") };
    let range = ranges[0].clone();
    (run, range)
}

#[test]
fn damage_is_noticed_at_every_byte_of_a_range() {
    run(async {
        let store = Arc::new(MemoryStore::new());
        let tree = Tree::new(store.clone(), TreeOptions::default());
        let (run, range) = small_run(&tree).await;
        let file = store.range_file(range.id).unwrap();
        assert_eq!(tree.verify_range(range.id).await.unwrap(), range);
        tree.verify_run(&run).await.unwrap();
        let damaged_at = |at: usize, mask: u8| {
            let mut damaged = file.to_vec();
            damaged[at] ^= mask;
            Bytes::from(damaged)
        };
        let damages = (0..file.len())
            .flat_map(|at| [damaged_at(at, 1), damaged_at(at, 0x80), file.slice(..at)])
            .chain([[file.clone(), file.clone()].concat().into()]);
        for damaged in damages {
            store.write_range(range.id, damaged.clone()).await.unwrap();
            let error = tree.verify_range(range.id).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.message().contains(&range.id.to_string()), "{error}");
            // A reader notices it or is not touched by it.
            let fresh = Tree::new(store.clone(), TreeOptions::default());
            let levels = vec![Level::all(Arc::new(run.clone()))];
            let scan = fresh.scan(Metarange { levels }, ScanStart::all());
            match scan.try_collect::<Vec<_>>().await {
                Ok(entries) => assert_eq!(entries.len(), 40),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
            }
        }
    });
}

#[test]
fn a_range_under_another_name_is_refused() {
    run(async {
        let store = Arc::new(MemoryStore::new());
        let tree = Tree::new(store.clone(), TreeOptions::default());
        let (run, range) = small_run(&tree).await;
        let other = crate::model::ids::RangeId([5; 16]);
        store.write_range(other, store.range_file(range.id).unwrap()).await.unwrap();
        assert_eq!(tree.verify_range(other).await.unwrap_err().kind(), ErrorKind::Corrupt);
        let mut lying = run.clone();
        lying.place = RunPlace::Ranges(vec![RangeRef { records: 41, ..range.clone() }]);
        let levels = vec![Level::all(Arc::new(lying))];
        let fresh = Tree::new(store, TreeOptions::default());
        let error = fresh.get(&Metarange { levels }, &range.first).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    });
}
