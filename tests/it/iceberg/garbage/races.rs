//! Others at work while files of tables are collected, and collections that are cut short.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use onward::admin::GcOptions;
use onward::internals::clock;
use onward::internals::commit::faults::Faults;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use onward::internals::repo::gc::GcEvent;
use onward_iceberg::catalog::{Catalog, GarbageOptions, Kind, Namespace, Said, TableIdent};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::super::{MAIN, at, new_table};
use super::world::{World, on};
use super::{branch, orphans};
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::sidecar::Sidecar;
use crate::support::until::until_async;

/// Where `register` is asked.
fn register_url() -> String {
    format!("{MAIN}/namespaces/a/register")
}

/// A table of a branch that is gone, with two snapshots, all of it old; where its newest metadata is, and its files.
async fn lost(world: &mut World) -> (Value, BTreeSet<String>) {
    branch(world, "gone", "main").await;
    world.create("gone", "lost").await;
    world.write("gone", "lost", 21, true).await;
    world.write("gone", "lost", 22, true).await;
    let told = world.load("gone", "lost").await;
    let folder = world.key(told["metadata"]["location"].as_str().unwrap());
    world.onward().repo("lake").branch("gone").delete().await.unwrap();
    let files = world.files().into_iter().filter(|file| file.starts_with(&folder)).collect();
    world.age();
    (told["metadata-location"].clone(), files)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_while_a_collection_looks_stays() {
    let mut world = World::new().await;
    let made = world.create("main", "t").await;
    world.write("main", "t", 1, true).await;
    let orphans = orphans(&world, &made);
    branch(&world, "old", "main").await;
    world.write("main", "t", 2, false).await;
    // A client has written its files long ago, as far as a grace period goes, and commits them now.
    let known = world.load("main", "t").await["metadata"].clone();
    let slow = world.written(&known, 3, true);
    world.age();
    let runtime = tokio::runtime::Handle::current();
    let (mut marked, mut followed) = (false, false);
    let collected = world
        .gc_told(true, |event| {
            let work = async {
                match event {
                    // Everything is listed; the first branch is marked.
                    GcEvent::Marked { .. } if !std::mem::replace(&mut marked, true) => {
                        world.send("POST", &at("t"), slow.clone()).await;
                    }
                    // All is marked that there was; nothing is judged.
                    GcEvent::Followed { .. } if !std::mem::replace(&mut followed, true) => {
                        let repo = world.onward().repo("lake");
                        repo.branch("back").create(&"main~2".parse().unwrap()).await.unwrap();
                        repo.branch("old").delete().await.unwrap();
                        let tag = "late".parse().unwrap();
                        repo.create_tag(&tag, &"main~3".parse().unwrap()).await.unwrap();
                    }
                    _ => {}
                }
            };
            tokio::task::block_in_place(|| runtime.block_on(work));
        })
        .await
        .unwrap();
    assert!(marked && followed);
    assert_eq!(collected.gone, orphans);
    assert!(world.needed().await.is_subset(&world.files()));
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_that_are_made_while_files_go_have_all_of_theirs() {
    let mut world = World::new().await;
    let made = world.create("main", "t").await;
    for id in 1..5 {
        world.write("main", "t", id, id % 2 == 0).await;
    }
    let (_, lost) = lost(&mut world).await;
    let orphans = orphans(&world, &made);
    world.age();
    let runtime = tokio::runtime::Handle::current();
    let mut removed = 0;
    let collected = world
        .gc_told(true, |event| {
            let GcEvent::Removed { .. } = event else { return };
            removed += 1;
            let work = async {
                let repo = world.onward().repo("lake");
                let from = format!("main~{}", removed % 5).parse().unwrap();
                repo.branch(format!("b{removed}")).create(&from).await.unwrap();
            };
            tokio::task::block_in_place(|| runtime.block_on(work));
        })
        .await
        .unwrap();
    assert_eq!(collected.gone, super::union(&[&lost, &orphans]));
    assert!(removed > 5);
    assert!(world.needed().await.is_subset(&world.files()));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_taken_over_before_files_are_listed_keeps_all_it_names() {
    let mut world = World::new().await;
    let (location, files) = lost(&mut world).await;
    // The commit of whoever takes it over is held up before anything of it is queued.
    let gate = world.faults.hold("submit");
    let body = json!({"name": "back", "metadata-location": location});
    let url = register_url();
    let register = world.sidecar.send("POST", &url, body);
    let collects = async {
        gate.reached().await;
        let collected = world.gc().await;
        gate.open();
        collected
    };
    let ((status, told), collected) = tokio::join!(register, collects);
    assert_eq!(status, StatusCode::OK, "{told}");
    // What only earlier metadata of it names is nothing to the one that was taken over.
    let kept: BTreeSet<String> = files.difference(&collected.gone).cloned().collect();
    assert_eq!(collected.gone.len(), 2, "two versions of metadata: {:?}", collected.gone);
    assert!(kept.is_subset(&world.files()));
    assert!(world.needed().await.is_subset(&world.files()));
    assert_eq!(world.load("main", "back").await["metadata-location"], location);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_not_taken_over_while_files_go_and_is_afterwards() {
    let mut world = World::new().await;
    let made = world.create("main", "t").await;
    world.write("main", "t", 1, true).await;
    let location = world.load("main", "t").await["metadata-location"].clone();
    orphans(&world, &made);
    world.age();
    let faults = Faults::default();
    let onward = world.sidecar.deployment.connect_with(faults.clone()).await;
    let catalog = Catalog::new(onward.clone(), None);
    let gate = faults.hold("gc-removed");
    let body = json!({"name": "again", "metadata-location": location});
    let options = GarbageOptions { removes: true, ..GarbageOptions::default() };
    let asks = async {
        gate.reached().await;
        let told = world.sidecar.send("POST", &register_url(), body.clone()).await;
        gate.open();
        told
    };
    let mut nobody = |_: &GcEvent<'_>| ();
    let collects = world.gc_by(&onward, &catalog, options, &mut nobody);
    let (collected, (status, told)) = tokio::join!(collects, asks);
    collected.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("onward gc"), "{message}");
    world.send("POST", &register_url(), body).await;
    assert!(world.needed().await.is_subset(&world.files()));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_a_whole_collection_has_passed_by_is_not_brought_back() {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://");
    let deployment = Deployment { redis: RedisServer::new(), objects: objects.clone() };
    let onward = deployment.connect().await;
    let repo = onward.repo("lake");
    repo.create(&"main".parse().unwrap()).await.unwrap();
    let sidecar = Sidecar::over(deployment, onward.clone(), |_| {}).await;
    sidecar.send("POST", &format!("{MAIN}/namespaces"), json!({"namespace": ["a"]})).await;
    repo.branch("gone").create(&"main".parse().unwrap()).await.unwrap();
    let url = on("gone", &format!("{MAIN}/namespaces/a/tables"));
    let (status, made) = sidecar.send("POST", &url, new_table("lost")).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    repo.branch("gone").delete().await.unwrap();
    let catalog = Catalog::new(onward.clone(), None);
    let place = catalog.place("lake@main").await.unwrap();
    let ident = TableIdent::new(Namespace::new(vec!["a".to_owned()]).unwrap(), "back").unwrap();
    let location = made["metadata-location"].as_str().unwrap();
    // What is to make the metadata young takes longer than all of a collection.
    store.fail_next_at(Op::Put, "/metadata/", 1, Fault::Held);
    let is_put = |(op, key): &&(Op, String)| *op == Op::Put && key.contains("/metadata/");
    let puts = || store.log().iter().filter(is_put).count();
    let before = puts();
    let register = catalog.register(&place, &ident, location, false, Said::default());
    let collects = async {
        until_async("it is about to be young", || async { puts() > before }).await;
        let now_ms = Some(clock::now_ms() + 30 * 24 * 3_600_000);
        let options = GarbageOptions { removes: true, now_ms, ..GarbageOptions::default() };
        let garbage = catalog.garbage(&"lake".parse().unwrap(), options).unwrap();
        let own = GcOptions { now_ms, ..GcOptions::default() };
        repo.gc_beside(&own, Some(garbage.clone()), &mut |_| ()).await.unwrap();
        store.release();
        garbage.report()
    };
    let (told, report) = tokio::join!(register, collects);
    assert!(report.removed && report.folders[0].files.removed > 0, "{report:?}");
    assert_eq!(told.unwrap_err().kind, Kind::NotFound);
    let key = objects.key_of(location).unwrap();
    assert_eq!(objects.get(key).await.unwrap(), None, "it stays gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_a_killed_collection_left_is_forgotten() {
    let mut world = World::new().await;
    world.create("main", "t").await;
    world.write("main", "t", 1, true).await;
    let location = world.load("main", "t").await["metadata-location"].clone();
    let notice = world.store.join("_iceberg/lake/.removing/left");
    std::fs::create_dir_all(notice.parent().unwrap()).unwrap();
    std::fs::write(&notice, "").unwrap();
    let body = |name: &str| json!({"name": name, "metadata-location": location});
    let (status, _) = world.sidecar.send("POST", &register_url(), body("b")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let file = std::fs::File::options().append(true).open(&notice).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(11 * 60)).unwrap();
    world.send("POST", &register_url(), body("b")).await;
    file.set_modified(SystemTime::now() - Duration::from_secs(2 * 3600)).unwrap();
    world.gc().await;
    assert!(!notice.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_killed_is_run_again_and_nothing_is_lost() {
    let mut world = World::new().await;
    let made = world.create("main", "t").await;
    world.write("main", "t", 1, true).await;
    let (_, lost) = lost(&mut world).await;
    let orphans = orphans(&world, &made);
    world.age();
    let run = |faults: &str| {
        let objects = &world.sidecar.deployment.objects;
        let output = Command::new(env!("CARGO_BIN_EXE_onward"))
            .args(["gc", "lake", "--tables", "--json"])
            .env("ONWARD_REDIS", world.sidecar.deployment.redis.url())
            .env("ONWARD_STORAGE", objects.url())
            .env("ONWARD_FAILPOINTS", faults)
            .stdin(Stdio::null())
            .output();
        tokio::task::block_in_place(|| output.unwrap())
    };
    let all = world.files();
    assert_eq!(run("gc-removed=kill").status.signal(), Some(9));
    let left = world.files();
    let gone: BTreeSet<String> = all.difference(&left).cloned().collect();
    // Metadata went first.
    assert!(
        !gone.is_empty() && gone.iter().all(|file| file.ends_with(".metadata.json")),
        "{gone:?}"
    );
    assert!(world.needed().await.is_subset(&left));
    let done = run("");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told = String::from_utf8(done.stdout).unwrap();
    let told: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(told["tables"]["dry_run"], false, "{told}");
    let gone: BTreeSet<String> = all.difference(&world.files()).cloned().collect();
    assert_eq!(gone, super::union(&[&lost, &orphans]));
    let expected: BTreeSet<String> =
        gone.difference(&all.difference(&left).cloned().collect()).cloned().collect();
    assert_eq!(told["tables"]["removed"], expected.len());
    let needed = world.needed().await;
    assert!(needed.is_subset(&world.files()));
    world.load("main", "t").await;
}
