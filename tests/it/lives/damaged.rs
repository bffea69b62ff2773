//! Ends of what is damaged.

use bytes::Bytes;
use futures::TryStreamExt;
use onward::RefExpr;
use onward::internals::repo::gc::GcOptions;

use super::{content, create, in_order, not_found, put};
use crate::support::branch::{Ghost, keys};
use crate::support::lake::{Deployment, entry};

/// Damages the newest log entry of a branch.
async fn damage(deployment: &Deployment, branch: &str) {
    let keys = keys(&deployment.objects, branch).await;
    let uid = keys.head.split(['/', '}']).nth(1).unwrap();
    let entries = deployment.objects.list(&format!("lake/log/{uid}"), None);
    let entries: Vec<_> = entries.try_collect().await.unwrap();
    let newest = entries.iter().map(|entry| &entry.key).max().unwrap();
    deployment.objects.put(newest, Bytes::from_static(b"garbage")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_whose_newest_log_entry_is_damaged_can_be_deleted() {
    for loses_redis in [false, true] {
        let (deployment, onward) = Deployment::lake().await;
        let repo = onward.repo("lake");
        repo.branch("dev").create(&RefExpr::plain("main")).await.unwrap();
        put(&onward, "dev", "a", 1).await.unwrap();
        put(&onward, "dev", "b", 2).await.unwrap();
        let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "dev").await);
        let waits = deployment.connect().await;
        let handle = waits.repo("lake").branch("dev").change().put("c", entry(3)).submit().await;
        let mut handle = handle.unwrap();
        damage(&deployment, "dev").await;
        drop(ghost);
        if loses_redis {
            deployment.redis.command::<String>(&["FLUSHALL"]);
        }
        let fresh = deployment.connect().await;
        fresh.repo("lake").branch("dev").delete().await.unwrap();
        // Who waited for it in another process is told, and nothing fails there any more.
        not_found(loop {
            match handle.wait(crate::support::until::PATIENCE).await {
                Ok(onward::Outcome::StillQueued { .. }) => {}
                told => break told,
            }
        });
        let failed = waits.counters().failed_rounds;
        assert_eq!(fresh.repo("lake").branches().await.unwrap().len(), 1);
        not_found(content(&fresh, "dev").await);
        fresh.repo("lake").gc(&GcOptions::default(), &mut |_| ()).await.unwrap();
        fresh.repo("lake").recover().await.unwrap();
        fresh.repo("lake").branch("dev").create(&RefExpr::plain("main")).await.unwrap();
        put(&waits, "dev", "d", 4).await.unwrap();
        assert_eq!(waits.counters().failed_rounds, failed, "its helper has let go of the old one");
        assert_eq!(content(&fresh, "dev").await.unwrap(), [("d".into(), 4)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_are_listed_beside_one_that_is_damaged_and_that_says_so() {
    let (deployment, onward) = Deployment::lake().await;
    let repo = onward.repo("lake");
    for branch in ["dev", "no-record"] {
        repo.branch(branch).create(&RefExpr::plain("main")).await.unwrap();
        put(&onward, branch, "a", 1).await.unwrap();
    }
    let main = repo.branch("main").show().await.unwrap();
    damage(&deployment, "dev").await;
    let record = "lake/branches/no-record/0000000001";
    deployment.objects.put(record, Bytes::from_static(b"\x01garbage")).await.unwrap();
    deployment.redis.command::<String>(&["FLUSHALL"]);
    let fresh = deployment.connect().await;
    let listed = fresh.repo("lake").branches().await.unwrap();
    let told: Vec<_> = listed.iter().map(|info| (info.name.as_str(), &info.damage)).collect();
    let [("dev", Some(log)), ("main", None), ("no-record", Some(no_record))] = told[..] else {
        panic!("{told:?}")
    };
    assert!(log.contains("lake/log/"), "{log}");
    assert!(no_record.contains(record), "{no_record}");
    assert_eq!(listed[1], main);
    // A dump of all heads without one of them would be none.
    let error = fresh.repo("lake").dump_refs().await.unwrap_err();
    assert_eq!(error.kind(), onward::ErrorKind::Corrupt, "{error}");
    // What is damaged can be deleted, and is listed no more.
    fresh.repo("lake").branch("dev").delete().await.unwrap();
    assert_eq!(fresh.repo("lake").branches().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_with_damaged_branches_can_be_deleted() {
    let (deployment, onward) = Deployment::lake().await;
    for branch in ["dev", "no-record"] {
        onward.repo("lake").branch(branch).create(&RefExpr::plain("main")).await.unwrap();
        put(&onward, branch, "a", 1).await.unwrap();
    }
    damage(&deployment, "dev").await;
    damage(&deployment, "main").await;
    let record = "lake/branches/no-record/0000000001";
    deployment.objects.put(record, Bytes::from_static(b"\x01garbage")).await.unwrap();
    let fresh = deployment.connect().await;
    fresh.repo("lake").delete().await.unwrap();
    for branch in ["dev", "main", "no-record"] {
        not_found(put(&onward, branch, "b", 2).await);
    }
    create(&fresh).await.unwrap();
    put(&onward, "main", "new", 3).await.unwrap();
    assert_eq!(content(&fresh, "main").await.unwrap(), [("new".into(), 3)]);
    in_order(&deployment).await;
}
