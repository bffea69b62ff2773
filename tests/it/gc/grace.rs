//! What is young enough to stay.

use std::time::Duration;

use onward::internals::clock;
use onward::internals::objects::Objects;
use onward::internals::repo::gc::GcOptions;
use onward::{ErrorKind, RefExpr};

use super::{below, commit_many, days_later, gc, upload};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::until::{until, until_async};
use crate::support::verify::sound;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_a_head_of_late_stays_for_whoever_still_names_it() {
    let (_deployment, onward) = Deployment::lake().await;
    let (repo, main) = (onward.repo("lake"), RefExpr::plain("main"));
    for name in ["ended", "taken-back"] {
        repo.branch(name).create(&main).await.unwrap();
        commit_many(&onward, name, name, 5_000).await;
    }
    let heads = ["ended", "taken-back"].map(RefExpr::plain);
    let heads = futures::future::join_all(heads.iter().map(|r| repo.require_commit(r))).await;
    // From here on everything is old, but for what happens now.
    let later = days_later();
    repo.branch("ended").delete().await.unwrap();
    repo.branch("taken-back").reset_to(&main).await.unwrap();
    let (_, removed) = gc(&onward, &later).await.unwrap();
    assert!(removed.is_empty(), "{removed:?}");
    // A merge that was under way is committed after all, and all it names is there.
    for head in heads {
        let head = RefExpr::plain(head.unwrap().to_string());
        let merged = repo.branch("main").merge(head).commit().await.unwrap();
        assert!(merged.commit().is_some(), "{merged:?}");
    }
    let (_, removed) = gc(&onward, &days_later()).await.unwrap();
    assert!(removed.is_empty(), "{removed:?}");
    sound(&onward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_grace_period_takes_the_word_that_nobody_else_works() {
    let (deployment, onward) = Deployment::lake().await;
    upload(&onward, "main", "forgotten").await;
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let options = |grace, exclusive| GcOptions { grace, exclusive, ..GcOptions::default() };
    let error = onward.repo("lake").gc(&options(hours(24), false), &mut |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("--exclusive"), "{error}");
    let report = onward.repo("lake").gc(&options(hours(25), false), &mut |_| {}).await.unwrap();
    assert_eq!((report.data.young, report.removed()), (1, 0));
    until_async("the object is older than no time at all", async || {
        let now = options(Duration::ZERO, true);
        onward.repo("lake").gc(&now, &mut |_| {}).await.unwrap().removed() == 1
    })
    .await;
    assert!(below(&onward, "lake/data").await.is_empty());
    sound(&deployment.connect().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_half_written_goes_when_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::open(&format!("file://{}", dir.path().display())).unwrap();
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let half = ["data/07", "ranges/ab"].map(|folder| {
        let folder = dir.path().join("lake").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder.join("0123456789abcdef0123456789abcdef#1")
    });
    for path in &half {
        std::fs::write(path, "half").unwrap();
    }
    let is_there = || half.iter().all(|path| path.exists());
    let (_, removed) = gc(&onward, &GcOptions::default()).await.unwrap();
    assert!(removed.is_empty() && is_there(), "they may be written to still: {removed:?}");
    let dry = GcOptions { dry_run: true, ..days_later() };
    assert_eq!(gc(&onward, &dry).await.unwrap().1.len(), 2);
    assert!(is_there());
    gc(&onward, &days_later()).await.unwrap();
    assert!(half.iter().all(|path| !path.exists()));
    std::fs::write(&half[0], "half").unwrap();
    onward.repo("lake").delete().await.unwrap();
    assert!(!half[0].exists(), "it goes with its repository");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_grace_period_after_a_shorter_one_finds_nothing_wrong() {
    let (deployment, onward) = Deployment::lake().await;
    onward.repo("lake").branch("dev").create(&RefExpr::plain("main")).await.unwrap();
    commit_many(&onward, "dev", "dev", 5_000).await;
    onward.repo("lake").branch("dev").delete().await.unwrap();
    let now = clock::now_ms();
    until("the clock has moved on", || clock::now_ms() > now + 1);
    let short = GcOptions {
        grace: std::time::Duration::ZERO,
        exclusive: true,
        now_ms: Some(now + 1),
        list: true,
        ..GcOptions::default()
    };
    let (_, removed) = gc(&onward, &short).await.unwrap();
    assert!(!removed.is_empty());
    let (_, removed) = gc(&onward, &GcOptions::default()).await.unwrap();
    assert!(removed.is_empty());
    sound(&deployment.connect().await).await;
}
