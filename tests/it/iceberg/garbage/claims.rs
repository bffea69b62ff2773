//! Which folders below a warehouse are those of tables, where others may have put something beside them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use onward::Entry;
use onward::internals::commit::faults::Faults;
use onward::internals::objects::Objects;
use onward_iceberg::catalog::{Catalog, GarbageOptions};

use super::world::World;

fn put_old(root: &Path, key: &str, bytes: &[u8]) {
    let path = root.join(key);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let age = SystemTime::now() - Duration::from_secs(30 * 24 * 3600);
    std::fs::File::options().append(true).open(path).unwrap().set_modified(age).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_table_says_is_its_location_is_its_alone_and_nothing_that_it_could_mean() {
    let world = World::new().await;
    let made = world.create("main", "t").await;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let url = format!("file://{}", root.display());
    // The name of the repository is in it twice: it could mean `lake/orders`, too.
    let location = format!("{url}/lake/lake/orders");
    let metadata = made.to_string().replace(made["location"].as_str().unwrap(), &location);
    let at = "lake/lake/orders/metadata/00000-1.metadata.json";
    put_old(&root, at, metadata.as_bytes());
    let checksum = blake3::hash(metadata.as_bytes()).to_hex();
    let address = format!("{url}/{at}");
    let mut entry = Entry::new(address.as_str(), metadata.len() as u64, checksum.as_str());
    let uuid = made["table-uuid"].as_str().unwrap();
    for (key, value) in [("iceberg", "table/1"), ("iceberg.uuid", uuid)] {
        entry.metadata.insert(key.to_owned(), value.to_owned());
    }
    let main = world.onward().repo("lake").branch("main");
    main.change().put("iceberg/a/orders.table", entry).commit().await.unwrap();
    let orphan = "lake/lake/orders/data/orphan.parquet";
    let others = ["lake/orders/mine.csv", "lake/lake/raw/mine.csv", "orders/mine.csv"];
    others.iter().chain([&orphan]).for_each(|key| put_old(&root, key, b"x"));

    let onward = world.sidecar.deployment.connect_with(Faults::default()).await;
    let catalog = Catalog::new(onward.clone(), Some(Objects::open(&url).unwrap()));
    let (removes, list, sole) = (true, true, true);
    let options = GarbageOptions { removes, list, sole, ..GarbageOptions::default() };
    let collected = world.gc_by(&onward, &catalog, options, &mut |_| ()).await.unwrap();
    assert!(collected.tables.unread.is_empty(), "{:?}", collected.tables.unread);
    assert_eq!(collected.gone, BTreeSet::from([format!("{url}/{orphan}")]));
    assert!(others.iter().chain([&at]).all(|key| root.join(key).exists()));
}
