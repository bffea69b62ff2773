//! Garbage of tables: what any commit needs that can be reached stays, what nothing needs goes when it is old.

mod claims;
mod lost;
mod races;
mod random;
mod unreadable;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use onward::RefExpr;
use onward::internals::commit::faults::Faults;
use onward::internals::objects::Objects;
use onward_iceberg::catalog::{Catalog, GarbageOptions};
use serde_json::{Value, json};

use super::{at, set};
use crate::support::faulty_store::{FaultyStore, Op};
use world::{World, on, tables};

/// Files that nothing names, in a table's folder.
fn orphans(world: &World, metadata: &Value) -> BTreeSet<String> {
    let location = metadata["location"].as_str().unwrap();
    let names = [
        "data/part=a%20b/orphan.parquet",
        "data/odd name ü.parquet",
        "metadata/orphan-m0.avro",
        "metadata/snap-orphan.avro",
        "metadata/orphan.metadata.json",
        "metadata/orphan.stats",
    ];
    // None is written twice.
    let number = world.files().len();
    names
        .map(|name| name.replacen("o", &format!("{number}-o"), 1))
        .map(|name| {
            let at = format!("{location}/{name}");
            // Metadata of a commit that came to nothing.
            let is_metadata = name.ends_with(".json");
            let bytes = if is_metadata { metadata.to_string() } else { "orphan".to_owned() };
            world.put(&at, bytes.as_bytes());
            world.key(&at)
        })
        .into()
}

async fn branch(world: &World, name: &str, from: &str) {
    world.onward().repo("lake").branch(name).create(&from.parse().unwrap()).await.unwrap();
}

fn union(sets: &[&BTreeSet<String>]) -> BTreeSet<String> {
    sets.iter().flat_map(|set| set.iter().cloned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_nothing_needs_go_and_those_that_any_commit_needs_stay() {
    let mut world = World::new().await;
    let made = world.create("main", "t").await;
    world.write("main", "t", 1, true).await;
    world.write("main", "t", 2, true).await;
    branch(&world, "try", "main").await;
    world.write("try", "t", 3, false).await;
    let tag = "v1".parse().unwrap();
    world.onward().repo("lake").create_tag(&tag, &RefExpr::plain("try")).await.unwrap();
    world.onward().repo("lake").branch("try").delete().await.unwrap();
    // Dropped on the branch whose history has it; renamed; and one that only a branch had which is gone.
    world.create("main", "dropped").await;
    world.write("main", "dropped", 11, true).await;
    world.send("DELETE", &at("dropped"), json!({})).await;
    let renamed = json!({
        "source": {"namespace": ["a"], "name": "t"},
        "destination": {"namespace": ["a"], "name": "t2"},
    });
    world.send("POST", &format!("{}/tables/rename", super::MAIN), renamed).await;
    let needed = world.needed().await;
    branch(&world, "gone", "main").await;
    let before = world.files();
    world.create("gone", "lost").await;
    world.write("gone", "lost", 21, true).await;
    world.write("gone", "t2", 22, true).await;
    world.onward().repo("lake").branch("gone").delete().await.unwrap();
    let garbage: BTreeSet<String> = world.files().difference(&before).cloned().collect();
    let orphans = orphans(&world, &made);
    let garbage = union(&[&garbage, &orphans]);
    assert!(garbage.len() > 12 && needed.is_disjoint(&garbage), "{garbage:?}");

    // Young.
    let all = world.files();
    let young = world.gc().await;
    assert!(young.gone.is_empty(), "{:?}", young.gone);
    // Old, and only counted.
    world.age();
    let counted = world.gc_told(false, |_| ()).await.unwrap();
    assert_eq!(counted.gone, garbage);
    assert_eq!(world.files(), all);
    assert!(!counted.tables.removed);
    // Without a word of tables nobody looks at them.
    let onward = world.sidecar.deployment.connect_with(Faults::default()).await;
    onward.repo("lake").gc(&Default::default(), &mut |_| {}).await.unwrap();
    assert_eq!(world.files(), all);
    // Old.
    let collected = world.gc().await;
    assert_eq!(collected.gone, garbage);
    assert!(collected.tables.removed && collected.tables.unread.is_empty());
    let removed: u64 = collected.tables.folders.iter().map(|folder| folder.files.removed).sum();
    assert_eq!(removed, garbage.len() as u64);
    let told = collected.tables.folders.iter().find(|folder| folder.location == made["location"]);
    let told = told.unwrap();
    // It had both names in the history of the branch.
    let names = ["iceberg/a/t.table", "iceberg/a/t2.table"];
    assert!(told.table.as_deref().is_some_and(|name| names.contains(&name)), "{told:?}");
    assert_eq!(world.files(), all.difference(&garbage).cloned().collect());
    assert!(needed.is_subset(&world.files()));
    assert_eq!(world.needed().await, needed);
    // Nothing is left to do.
    assert!(world.gc().await.gone.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_stay_while_a_table_says_them() {
    let mut world = World::new().await;
    let made = world.create("main", "t").await;
    world.write("main", "t", 1, true).await;
    branch(&world, "gone", "main").await;
    let location = made["location"].as_str().unwrap();
    let file = |name: &str| format!("{location}/metadata/{name}");
    for name in ["s.stats", "p.parquet", "late.stats", "late.parquet"] {
        world.put(&file(name), b"puffin");
    }
    let said = |name: &str| {
        json!({
            "snapshot-id": 1, "statistics-path": file(name), "file-size-in-bytes": 6,
            "file-footer-size-in-bytes": 2, "blob-metadata": [],
        })
    };
    let all = |puffin: &str, parquet: &str| {
        json!({"requirements": [], "updates": [
            {"action": "set-statistics", "snapshot-id": 1, "statistics": said(puffin)},
            {"action": "set-partition-statistics", "partition-statistics": said(parquet)},
        ]})
    };
    world.send("POST", &at("t"), all("s.stats", "p.parquet")).await;
    world.send("POST", &on("gone", &at("t")), all("late.stats", "late.parquet")).await;
    world.onward().repo("lake").branch("gone").delete().await.unwrap();
    let needed = world.needed().await;
    assert!(needed.contains(&world.key(&file("s.stats"))));
    world.age();
    let gone = world.gc().await.gone;
    assert_eq!(gone.len(), 3, "two of statistics, and the metadata: {gone:?}");
    assert!(gone.contains(&world.key(&file("late.stats"))));
    assert!(needed.is_subset(&world.files()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_is_read_once_however_many_commits_name_it() {
    const APPENDS: u64 = 12;
    let mut world = World::new().await;
    world.create("main", "t").await;
    for id in 1..=APPENDS {
        world.write("main", "t", id as i64, true).await;
    }
    for n in 0..4 {
        branch(&world, &format!("b{n}"), "main~1").await;
    }
    world.send("POST", &at("t"), set("k", "v")).await;
    world.age();
    // What others ask the storage for is not counted.
    let mut store = None;
    let objects = Objects::open(world.sidecar.deployment.objects.url()).unwrap();
    let objects = objects.behind(|inner| {
        let faulty = FaultyStore::new(inner);
        store = Some(faulty.clone());
        Arc::new(faulty)
    });
    let config = world.sidecar.deployment.config();
    let onward = onward::Onward::with_objects(config, objects).await.unwrap();
    let catalog = Catalog::new(onward.clone(), None);
    let options = GarbageOptions { removes: true, ..GarbageOptions::default() };
    let collected = world.gc_by(&onward, &catalog, options, &mut |_| ()).await.unwrap();
    let read = collected.tables.read;
    // A version of the metadata for each commit: the table made, appended to, and changed.
    assert_eq!((read.metadata, read.lists, read.manifests), (APPENDS + 2, APPENDS, APPENDS));
    let mut gets = Vec::new();
    let mut lists = Vec::new();
    for (op, key) in store.unwrap().log() {
        match op {
            Op::Get if key.contains("/metadata/") => gets.push(key),
            Op::List if key.contains("_iceberg") => lists.push(key),
            _ => {}
        }
    }
    let distinct: BTreeSet<&String> = gets.iter().collect();
    assert_eq!((gets.len() as u64, distinct.len()), (3 * APPENDS + 2, gets.len()), "{gets:?}");
    // The files, and the notices of other collections.
    assert_eq!(lists.len(), 2, "{lists:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_table_has_taken_in_stay_wherever_they_lie() {
    let mut world = World::new().await;
    branch(&world, "gone", "main").await;
    // `world.create` needs the namespace there, which the branch has.
    let lent = world.create("gone", "lent").await;
    world.write("gone", "lent", 1, true).await;
    let taken = format!("{}/data/1.parquet", lent["location"].as_str().unwrap());
    let main = world.onward().repo("lake").branch("main");
    let uploaded = main.upload(&b"uploaded"[..]).await.unwrap();
    let forgotten = main.upload(&b"forgotten"[..]).await.unwrap();
    // A table whose manifests name a file of the other one, and an object of the repository.
    world.create("main", "t").await;
    for (id, file) in [(5, taken.as_str()), (6, uploaded.address.as_str())] {
        let known = world.load("main", "t").await["metadata"].clone();
        let body = world.written_with(&known, id, true, file);
        world.send("POST", &at("t"), body).await;
    }
    // A file that a path of the branch names by its address.
    let linked = format!("{}/data/linked.parquet", lent["location"].as_str().unwrap());
    world.put(&linked, b"linked");
    let entry = onward::Entry::new(linked.as_str(), 6, "c");
    main.change().put("linked.parquet", entry).commit().await.unwrap();
    world.onward().repo("lake").branch("gone").delete().await.unwrap();
    world.age();
    let collected = world.gc().await;
    let files = world.files();
    assert!(files.contains(&world.key(&taken)) && files.contains(&world.key(&linked)));
    assert!(!files.contains(
        &world.key(&format!("{}/metadata/1-m0.avro", lent["location"].as_str().unwrap()))
    ));
    assert!(world.path(&uploaded.address).exists() && !world.path(&forgotten.address).exists());
    assert_eq!((collected.own.data.kept, collected.own.data.removed), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_repository_that_was_deleted_go_and_those_of_the_next_stay() {
    let mut world = World::new().await;
    world.create("main", "t").await;
    world.write("main", "t", 1, true).await;
    let lake = world.onward().repo("lake");
    let before = world.files();
    lake.delete().await.unwrap();
    world.age();
    let counted = world.gc_told(false, |_| ()).await.unwrap();
    assert_eq!(counted.gone, before);
    lake.create(&"main".parse().unwrap()).await.unwrap();
    world.namespace().await;
    world.create("main", "t").await;
    world.write("main", "t", 1, true).await;
    let needed = world.needed().await;
    assert_eq!(world.gc().await.gone, before);
    assert_eq!(world.files(), needed);
    lake.delete().await.unwrap();
    world.age();
    assert_eq!(world.gc().await.gone, needed);
    assert!(world.files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn below_another_root_only_folders_of_tables_are_looked_at() {
    let world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let elsewhere = Objects::open(&format!("file://{}", root.display())).unwrap();
    let onward = world.sidecar.deployment.connect_with(Faults::default()).await;
    let catalog = Catalog::new(onward.clone(), Some(elsewhere));
    let old = "0193a7c0-0000-4000-8000-000000000001/data/old.parquet";
    let md5 = "lake/0193a7c0000040008000000000000001/md5.csv";
    let files = ["lake/raw/mine.csv", &format!("lake/{old}"), "pond/raw/x", "lake/top.csv", md5];
    let age = std::time::SystemTime::now() - std::time::Duration::from_secs(30 * 24 * 3600);
    for file in files {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "x").unwrap();
        std::fs::File::options().append(true).open(path).unwrap().set_modified(age).unwrap();
    }
    // Who else has tables there is not known.
    let options = GarbageOptions { removes: true, list: true, ..GarbageOptions::default() };
    let collected = world.gc_by(&onward, &catalog, options.clone(), &mut |_| ()).await.unwrap();
    assert!(collected.gone.is_empty() && root.join("lake").join(old).exists());
    assert!(collected.tables.halted.unwrap().contains("--sole-owner"));
    let options = GarbageOptions { sole: true, ..options };
    let collected = world.gc_by(&onward, &catalog, options, &mut |_| ()).await.unwrap();
    let told = format!("file://{}/lake/{old}", root.display());
    assert_eq!(collected.gone, BTreeSet::from([told]));
    assert!(files.iter().filter(|file| !file.ends_with(old)).all(|file| root.join(file).exists()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grace_period_that_is_too_short_is_refused() {
    let world = World::new().await;
    let catalog = Catalog::new(world.onward().clone(), None);
    let short = |exclusive| GarbageOptions {
        grace: std::time::Duration::from_secs(24 * 3600),
        exclusive,
        ..GarbageOptions::default()
    };
    let repo = "lake".parse().unwrap();
    let error = catalog.garbage(&repo, short(false)).err().unwrap();
    assert!(error.message().contains("--exclusive"), "{error}");
    assert!(catalog.garbage(&repo, short(true)).is_ok());
    let entries = tables(world.onward(), "main").await;
    assert!(entries.is_empty());
}
