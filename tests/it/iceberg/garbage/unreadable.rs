//! What cannot be read: its table is left alone as a whole, and said; others are collected.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use onward::Entry;
use onward::admin::GcOptions;
use onward::internals::clock;
use onward_iceberg::catalog::{Catalog, GarbageOptions};
use onward_iceberg::table::Append;
use serde_json::{Value, json};

use super::super::faults::over_faulty_storage;
use super::super::{at, create};
use super::random::expire;
use super::world::{Collected, World, tables};
use super::{branch, orphans};
use crate::support::faulty_store::{Fault, Op};
use crate::support::until::until_async;

/// A table with two snapshots, and one beside it; both with files that nothing names, all of it old.
struct Pair {
    world: World,
    t: Value,
    orphans_of_t: BTreeSet<String>,
    orphans_of_u: BTreeSet<String>,
}

impl Pair {
    async fn new() -> Self {
        let mut world = World::new().await;
        let t = world.create("main", "t").await;
        let u = world.create("main", "u").await;
        world.write("main", "t", 1, true).await;
        world.write("main", "t", 2, true).await;
        world.write("main", "u", 1, true).await;
        let orphans_of_t = orphans(&world, &t);
        let orphans_of_u = orphans(&world, &u);
        Self { world, t, orphans_of_t, orphans_of_u }
    }

    fn file(&self, name: &str) -> String {
        format!("{}/metadata/{name}", self.t["location"].as_str().unwrap())
    }

    /// Collects: only the other table loses anything, and it is said why.
    async fn is_left_alone(&self, why: &str) -> Collected {
        self.world.age();
        let collected = self.world.gc().await;
        assert_eq!(collected.gone, self.orphans_of_u, "{why}");
        let unread = &collected.tables.unread;
        let lost = unread.iter().find(|lost| lost.why.contains(why));
        let lost = lost.unwrap_or_else(|| panic!("{why} is not said: {unread:?}"));
        assert_eq!(lost.table, "iceberg/a/t.table");
        let files = self.world.files();
        assert!(self.orphans_of_t.is_subset(&files), "{why}");
        let alone = collected.tables.folders.iter().filter(|folder| folder.is_alone);
        let alone: Vec<_> = alone.map(|folder| folder.location.as_str()).collect();
        assert_eq!(alone, [self.t["location"].as_str().unwrap()], "{why}");
        collected
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_something_damaged_or_missing_is_left_alone() {
    for (name, bytes, why) in [
        ("1-m0.avro", Some(&b"Obj\x01 and no more"[..]), "manifest: "),
        ("1-m0.avro", None, "is not there"),
        ("snap-2-0.avro", Some(&b"no list"[..]), "manifest list: "),
        ("snap-1-0.avro", None, "is not there"),
    ] {
        let pair = Pair::new().await;
        let path = pair.world.path(&pair.file(name));
        match bytes {
            Some(bytes) => std::fs::write(path, bytes).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        pair.is_left_alone(why).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_another_than_the_one_that_was_listed_is_not_believed() {
    let pair = Pair::new().await;
    let path = pair.world.path(&pair.file("1-m0.avro"));
    let mut bytes = std::fs::read(&path).unwrap();
    // Whole blocks may be missing, or be there twice, in a file that can be read to its end.
    let sync = bytes[bytes.len() - 16..].to_vec();
    let block = bytes.windows(16).position(|window| window == sync).unwrap() + 16;
    assert!(block < bytes.len());
    bytes.truncate(block);
    std::fs::write(path, bytes).unwrap();
    pair.is_left_alone("and the list that names it says").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_metadata_is_not_what_was_committed_is_left_alone() {
    let pair = Pair::new().await;
    let entries = tables(pair.world.onward(), "main~1").await;
    let entry = entries.iter().find(|entry| entry.address.contains(pair.file("").as_str()));
    let path = pair.world.path(&entry.unwrap().address);
    let metadata = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, metadata.replace(r#""snapshots":["#, r#""snapshots": ["#)).unwrap();
    pair.is_left_alone("checksum is another").await;
    std::fs::remove_file(&path).unwrap();
    let pair = Pair { orphans_of_u: BTreeSet::new(), ..pair };
    pair.is_left_alone("is not there").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_lists_are_encrypted_is_left_alone() {
    let mut pair = Pair::new().await;
    let third = json!({"requirements": [], "updates": [{"action": "upgrade-format-version", "format-version": 3}]});
    pair.world.send("POST", &at("t"), third).await;
    let known = pair.world.load("main", "t").await["metadata"].clone();
    let mut body = pair.world.written(&known, 3, true);
    let snapshot = &mut body["updates"][0]["snapshot"];
    snapshot["key-id"] = "k".into();
    snapshot["first-row-id"] = known["next-row-id"].clone();
    snapshot["added-rows"] = 1.into();
    let key = json!({"action": "add-encryption-key", "encryption-key": {"key-id": "k", "encrypted-key-metadata": "AA=="}});
    body["updates"].as_array_mut().unwrap().insert(0, key);
    pair.world.send("POST", &at("t"), body).await;
    pair.is_left_alone("is encrypted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_program_wrote_and_what_lies_elsewhere_stops_the_removal_of_all() {
    for (kind, address, why) in [
        ("table/3", "iceberg:new", "newer program"),
        ("view/1", "iceberg:new", "newer program"),
        ("table/1", "s3://elsewhere/lake2/u/metadata/1.metadata.json", "--iceberg-warehouse"),
    ] {
        let pair = Pair::new().await;
        let mut entry = Entry::new(address, 1, "c");
        entry.metadata.insert("iceberg".to_owned(), kind.to_owned());
        branch(&pair.world, "other", "main").await;
        let other = pair.world.onward().repo("lake").branch("other");
        other.change().put("iceberg/a/new.table", entry).commit().await.unwrap();
        pair.world.age();
        let collected = pair.world.gc().await;
        assert!(collected.gone.is_empty() && !collected.tables.removed);
        let halted = collected.tables.halted.unwrap();
        assert!(halted.contains(why) && halted.contains("iceberg/a/new.table"), "{halted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_list_of_what_it_lost_cannot_be_read_is_left_alone() {
    for (bytes, why) in [(Some(&b"no list"[..]), "it is damaged"), (None, "is not there")] {
        let pair = Pair::new().await;
        let known = pair.world.load("main", "t").await["metadata"].clone();
        expire(&pair.world, &at("t"), &known).await;
        let entries = tables(pair.world.onward(), "main").await;
        let folder = pair.file("");
        let lists = entries.iter().filter_map(|entry| entry.metadata.get("iceberg.lost"));
        let lists: Vec<&String> = lists.filter(|list| list.starts_with(&folder)).collect();
        let path = pair.world.path(lists[0]);
        match bytes {
            Some(bytes) => std::fs::write(path, bytes).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        pair.is_left_alone(why).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_cannot_be_listed_keep_nothing_else_from_being_collected() {
    let (sidecar, store) = over_faulty_storage().await;
    create(&sidecar, "t").await;
    let main = sidecar.onward.repo("lake").branch("main");
    main.upload(&b"forgotten"[..]).await.unwrap();
    let onward = sidecar.deployment.connect().await;
    let later = Some(clock::now_ms() + 8 * 24 * 3_600_000);
    let options = GarbageOptions { removes: true, now_ms: later, ..GarbageOptions::default() };
    let catalog = Catalog::new(onward.clone(), None);
    let garbage = catalog.garbage(&"lake".parse().unwrap(), options).unwrap();
    // The first listing is that of notices.
    store.fail_next_at(Op::List, "_iceberg/", 1, Fault::Delay(Duration::ZERO));
    store.fail_next_at(Op::List, "_iceberg/", 100, Fault::Outage);
    let options = GcOptions { now_ms: later, ..GcOptions::default() };
    let beside: Arc<_> = garbage.clone();
    let own = onward.repo("lake").gc_beside(&options, Some(beside), &mut |_| {}).await.unwrap();
    assert_eq!(own.data.removed, 1);
    let report = garbage.report();
    assert!(!report.removed && report.halted.unwrap().contains("cannot be listed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_under_way_have_128_mib_together() {
    const BYTES: usize = 40 << 20;
    let (sidecar, store) = &over_faulty_storage().await;
    let made = create(sidecar, "t").await;
    let (location, objects) = (made["location"].as_str().unwrap(), &sidecar.deployment.objects);
    let (large, mut updates) = (Bytes::from(vec![0; BYTES]), Vec::new());
    for id in 1..6 {
        let parent = Some(id - 1).filter(|parent| *parent > 0).map(|parent| (parent, parent));
        let (attempt, rows, total_rows, now_ms) = (0, 1, None, 1);
        let append =
            Append { location, snapshot_id: id, parent, attempt, rows, total_rows, now_ms };
        let key = |location: &str| objects.key_of(location).unwrap().to_owned();
        let list = append.list(BYTES, None).unwrap();
        objects.put(&key(&append.manifest_location()), large.clone()).await.unwrap();
        objects.put(&key(&append.list_location()), list).await.unwrap();
        let commit = append.commit("append");
        updates.push(commit["updates"][0].clone());
        if id == 5 {
            updates.push(commit["updates"][1].clone());
        }
    }
    // One metadata has all of them.
    let body = json!({"requirements": [], "updates": updates});
    let (status, told) = sidecar.send("POST", &at("t"), body).await;
    assert_eq!(status, 200, "{told}");
    let before = store.log().len();
    let asked = || {
        let log = store.log();
        log[before..].iter().filter(|(op, at)| *op == Op::Get && at.contains("-m0.avro")).count()
    };
    store.fail_all_at(Op::Get, "-m0.avro", Fault::Held);
    let onward = sidecar.deployment.connect().await;
    let garbage = Catalog::new(onward.clone(), None);
    let garbage = garbage.garbage(&"lake".parse().unwrap(), GarbageOptions::default()).unwrap();
    let beside: Arc<_> = garbage.clone();
    let options = GcOptions::default();
    let collects = async {
        onward.repo("lake").gc_beside(&options, Some(beside), &mut |_| {}).await.unwrap();
    };
    let watches = async {
        until_async("as many are read as there is room for", async || asked() == 3).await;
        super::super::load(sidecar, "t").await;
        assert_eq!(asked(), 3);
        store.release();
        until_async("the next one is read", async || asked() == 4).await;
        store.heal();
        (0..4).for_each(|_| store.release());
    };
    tokio::join!(collects, watches);
    assert_eq!((asked(), garbage.report().unread.len()), (5, 5));
}
