//! Collections beside others who work on the repository.

use std::time::Duration;

use onward::internals::repo::gc::{GcEvent, GcOptions};
use onward::{Config, ErrorKind, Onward, Outcome, RefExpr};

use super::{below, bytes_of, commit_many, days_later, gc, leftovers, listing, stage, upload};
use crate::support::branch::{Ghost, keys};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::RedisServer;
use crate::support::verify::sound;
use crate::support::worker::Worker;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_by_a_commit_under_way_stays() {
    let (deployment, onward) = Deployment::lake().await;
    let entry = upload(&onward, "main", "sealed").await;
    stage(&onward, "main", "up/sealed", entry).await;
    upload(&onward, "main", "forgotten").await;
    // Its commit is called off in the queue: the area is given back, and stays one of its own.
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let main = onward.repo("lake").branch("main");
    let mut handle = main.commit_staged().message("called off").submit().await.unwrap();
    handle.cancel().await.unwrap();
    drop(ghost);
    let outcome = handle.wait(Duration::from_secs(60)).await.unwrap();
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
    onward.close().await;
    let fresh = deployment.connect().await;
    let (report, _) = gc(&fresh, &days_later()).await.unwrap();
    assert_eq!((report.data.kept, report.data.removed), (1, 1));
    let main = fresh.repo("lake").branch("main");
    main.commit_staged().message("again").commit().await.unwrap();
    sound(&fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_whose_helper_was_killed_is_finished_first() {
    let redis = RedisServer::new();
    let dir = tempfile::tempdir().unwrap();
    let storage = format!("file://{}", dir.path().display());
    let onward = Onward::connect(Config::new(redis.url(), &storage)).await.unwrap();
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let url = redis.url();
    let variables = [
        ("ONWARD_REDIS", url.as_str()),
        ("ONWARD_STORAGE", storage.as_str()),
        ("ONWARD_FAILPOINTS", "view=kill"),
    ];
    let mut worker = Worker::start("huge main 40000", &variables);
    assert!(!tokio::task::block_in_place(|| worker.await_end()).success());
    let queue = onward.repo("lake").branch("main").queue(10).await.unwrap();
    assert_eq!(queue.depth, 1, "accepted, and nobody has decided it");
    let ranges = below(&onward, "lake/ranges").await;
    assert!(!ranges.is_empty());
    upload(&onward, "main", "forgotten").await;

    let options = GcOptions { exclusive: true, ..days_later() };
    let (report, removed) = gc(&onward, &options).await.unwrap();
    assert_eq!(removed.len(), 1, "{report:?}");
    assert_eq!(below(&onward, "lake/ranges").await, ranges);
    let info = onward.repo("lake").show_commit(&RefExpr::plain("main")).await.unwrap();
    assert_eq!(info.commit.message, "huge");
    assert!(sound(&onward).await.records >= 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_does_not_empty_is_named_and_nothing_goes() {
    let (deployment, onward) = Deployment::lake().await;
    upload(&onward, "main", "forgotten").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let main = onward.repo("lake").branch("main");
    let mut handle = main.change().put("a", entry(1)).submit().await.unwrap();
    let options = GcOptions { timeout: Some(Duration::ZERO), ..days_later() };
    let error = gc(&onward, &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("'main'"), "{error}");
    assert_eq!(below(&onward, "lake/data").await.len(), 1);
    drop(ghost);
    assert!(handle.wait(Duration::from_secs(60)).await.unwrap().commit().is_some());
    let (_, removed) = gc(&onward, &days_later()).await.unwrap();
    assert_eq!(removed.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_beside_a_collection_lose_nothing() {
    const WRITERS: usize = 16;
    const EACH: usize = 12;
    let (deployment, onward) = Deployment::lake().await;
    commit_many(&onward, "main", "kept", 5_000).await;
    onward.repo("lake").branch("gone").create(&RefExpr::plain("main")).await.unwrap();
    commit_many(&onward, "gone", "gone", 5_000).await;
    onward.repo("lake").branch("gone").delete().await.unwrap();
    let garbage = leftovers(&onward).await;
    onward.close().await;
    let later = days_later();
    let processes = [deployment.connect().await, deployment.connect().await];
    let tasks: Vec<_> = (0..WRITERS)
        .map(|w| {
            let onward = processes[w % processes.len()].clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    match (w % 4, n) {
                        (0, 3) => commit_many(&onward, "main", "shared", 5_000).await,
                        (0, 7) => commit_many(&onward, "main", &format!("w{w}"), 4_500).await,
                        (1, _) => {
                            let content = format!("content {w} {n}");
                            let entry = upload(&onward, "main", &content).await;
                            stage(&onward, "main", &format!("up/{w}/{n}"), entry).await;
                            let main = onward.repo("lake").branch("main");
                            main.commit_staged().message(content).commit().await.unwrap();
                        }
                        _ => {
                            let change = onward.repo("lake").branch("main").change();
                            let change = change.put(format!("t/{w}/{n}"), entry(w * EACH + n));
                            assert!(change.commit().await.unwrap().commit().is_some());
                        }
                    }
                }
            })
        })
        .collect();
    let collector = deployment.connect().await;
    let mut collections = 0;
    while collections < 2 || tasks.iter().any(|task| !task.is_finished()) {
        gc(&collector, &later).await.unwrap();
        collections += 1;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let fresh = deployment.connect().await;
    let left = below(&fresh, "lake").await;
    assert!(garbage.iter().all(|key| !left.contains(key)));
    sound(&fresh).await;
    let main = listing(&fresh, "main").await;
    for (w, n) in (0..WRITERS).flat_map(|w| (0..EACH).map(move |n| (w, n))) {
        let found = |path: String| main.iter().find(|(known, ..)| *known == path);
        match (w % 4, n) {
            (0, 3) => assert!(found("shared/004999".into()).is_some()),
            (0, 7) => assert!(found(format!("w{w}/004499")).is_some()),
            (1, _) => {
                let (_, _, bytes) = found(format!("up/{w}/{n}")).unwrap();
                assert_eq!(*bytes, format!("content {w} {n}").into_bytes());
            }
            _ => assert!(found(format!("t/{w}/{n}")).is_some(), "{w} {n}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_while_a_collection_marks_stays() {
    let (deployment, onward) = Deployment::lake().await;
    let repo = onward.repo("lake");
    repo.branch("gone").create(&RefExpr::plain("main")).await.unwrap();
    commit_many(&onward, "gone", "gone", 5_000).await;
    let lost = repo.commit_of(&RefExpr::plain("gone")).await.unwrap().unwrap().to_string();
    repo.branch("gone").delete().await.unwrap();
    let staged = upload(&onward, "main", "staged late").await;
    let committed = upload(&onward, "main", "committed late").await;
    upload(&onward, "main", "forgotten").await;
    onward.close().await;
    let later = days_later();
    // Everything is unnamed when the collection looks first, and named before it looks again.
    let other = deployment.connect().await;
    let collector = deployment.connect().await;
    let runtime = tokio::runtime::Handle::current();
    let (mut marking, mut removed) = (false, Vec::new());
    let report = collector
        .repo("lake")
        .gc(&later, &mut |event| match event {
            GcEvent::Marked { .. } if !std::mem::replace(&mut marking, true) => {
                let name_all = async {
                    stage(&other, "main", "up/staged", staged.clone()).await;
                    let main = other.repo("lake").branch("main");
                    let change = main.change().put("up/committed", committed.clone());
                    assert!(change.commit().await.unwrap().commit().is_some());
                    let back = other.repo("lake").branch("back");
                    back.create(&RefExpr::plain(lost.clone())).await.unwrap();
                };
                tokio::task::block_in_place(|| runtime.block_on(name_all));
            }
            GcEvent::Removed { key, .. } => removed.push(key.to_owned()),
            _ => {}
        })
        .await
        .unwrap();
    assert!(removed.len() == 1 && removed[0].starts_with("lake/data/"), "{removed:?}");
    assert_eq!((report.ranges.removed, report.data.kept), (0, 2));
    let fresh = deployment.connect().await;
    assert_eq!(bytes_of(&fresh, &staged).await, b"staged late");
    assert_eq!(listing(&fresh, "back").await.len(), 5_000);
    sound(&fresh).await;
}
