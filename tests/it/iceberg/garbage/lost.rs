//! What entries name beside the metadata: lists of the snapshots that a table has lost, and their pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{at, set};
use super::random::expire;
use super::world::{World, on, tables};
use super::{branch, orphans, union};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_table_has_lost_stays_with_it_and_so_does_what_is_packed() {
    // More than a list has room for.
    const MANY: i64 = 520;
    let mut world = World::new().await;
    let mut known = world.create("main", "t").await;
    let mut bodies = Vec::new();
    for id in 1..=MANY {
        bodies.push(world.written(&known, id, false));
        known["current-snapshot-id"] = id.into();
        known["last-sequence-number"] = id.into();
    }
    let mut updates: Vec<Value> = bodies.iter().map(|body| body["updates"][0].clone()).collect();
    updates.push(bodies.last().unwrap()["updates"][1].clone());
    world.send("POST", &at("t"), json!({"requirements": [], "updates": updates})).await;
    let metadata =
        async |world: &World, branch: &str| world.load(branch, "t").await["metadata"].clone();
    expire(&world, &at("t"), &metadata(&world, "main").await).await;
    world.send("POST", &at("t"), set("write.metadata.compression-codec", "gzip")).await;
    world.write("main", "t", MANY + 1, true).await;
    expire(&world, &at("t"), &metadata(&world, "main").await).await;
    let entry = tables(world.onward(), "main").await.remove(0);
    assert!(entry.address.ends_with(".gz.metadata.json") && entry.metadata["iceberg"] == "table/2");
    let list = &entry.metadata["iceberg.lost"];
    let kept = world.pages(list);
    assert_eq!(kept.len(), 1, "the page is that of the list before");
    // A branch that is gone, which had lists of its own.
    let needed = world.needed().await;
    assert!(needed.contains(&world.key(list)) && kept.is_subset(&needed));
    let before = world.files();
    branch(&world, "gone", "main").await;
    world.write("gone", "t", MANY + 2, true).await;
    expire(&world, &on("gone", &at("t")), &metadata(&world, "gone").await).await;
    world.onward().repo("lake").branch("gone").delete().await.unwrap();
    let garbage: BTreeSet<String> = world.files().difference(&before).cloned().collect();
    assert!(garbage.iter().any(|key| key.contains("/gone-")), "{garbage:?}");
    let garbage = union(&[&garbage, &orphans(&world, &known)]);
    world.age();
    let collected = world.gc().await;
    assert!(collected.tables.unread.is_empty(), "{:?}", collected.tables.unread);
    assert_eq!(collected.gone, garbage);
    assert!(needed.is_subset(&world.files()));
    assert_eq!(world.needed().await, needed);
}
