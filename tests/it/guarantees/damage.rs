//! Damaged objects: the message names the object, and nothing else is harmed.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use onward::internals::objects::layout;
use onward::{Change, ErrorKind, Outcome, PathChange, RefExpr};

use super::{change, commit};
use crate::support::branch::{Ghost, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::until::{PATIENCE, until_async};

async fn keys_below(deployment: &Deployment, folder: &str) -> Vec<String> {
    let listed = deployment.objects.list(folder, None);
    listed.map_ok(|listed| listed.key).try_collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_entry_is_named_and_harms_its_branch_alone() {
    let (deployment, onward) = Deployment::lake().await;
    onward.repo("lake").branch("other").create(&RefExpr::plain("main")).await.unwrap();
    commit(&onward, "main", 1).await;
    let uid = crate::support::branch::keys(&deployment.objects, "main").await.head;
    let uid = uid.split(['/', '}']).nth(1).unwrap().to_owned();
    let mut entries = keys_below(&deployment, "lake/log/").await;
    entries.retain(|key| key.contains(&uid));
    let newest = entries.iter().max().unwrap().clone();
    let mut bytes = deployment.objects.get(&newest).await.unwrap().unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    deployment.objects.put(&newest, Bytes::from(bytes.clone())).await.unwrap();

    let fresh = deployment.connect().await;
    let error = fresh.repo("lake").show_commit(&RefExpr::plain("main")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains(&newest), "{error}");
    let mut handle = change(&fresh, "main", 2).submit().await.unwrap();
    let outcome = handle.wait(PATIENCE).await.unwrap();
    let Outcome::StillQueued { cause: Some(cause), .. } = outcome else { panic!("{outcome:?}") };
    assert!(cause.contains(&newest), "{cause}");
    assert!(commit(&fresh, "other", 3).await.commit().is_some());

    // Restored from a copy, the branch goes on where it was.
    bytes[middle] ^= 1;
    deployment.objects.put(&newest, Bytes::from(bytes)).await.unwrap();
    while !matches!(handle.wait(PATIENCE).await.unwrap(), Outcome::Committed { .. }) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_range_is_named_and_harms_only_those_who_read_it() {
    let (deployment, onward) = Deployment::lake().await;
    let mut builder = onward.repo("lake").branch("main").change();
    for n in 0..6000 {
        let path = format!("many/{n:05}").parse().unwrap();
        builder.push(PathChange { path, change: Change::Put(entry(n)), condition: None }).unwrap();
    }
    builder.commit().await.unwrap();
    let ranges = keys_below(&deployment, "lake/ranges/").await;
    assert!(!ranges.is_empty());
    for key in &ranges {
        let mut bytes = deployment.objects.get(key).await.unwrap().unwrap().to_vec();
        for byte in bytes.iter_mut().step_by(7) {
            *byte ^= 0x55;
        }
        deployment.objects.put(key, Bytes::from(bytes)).await.unwrap();
    }
    let fresh = deployment.connect().await;
    let repo = fresh.repo("lake");
    let path = "many/00001".parse().unwrap();
    let error = repo.stat(&RefExpr::plain("main"), &path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let named = ranges.iter().any(|key| {
        error.message().contains(key.as_str())
            || error.message().contains(key.rsplit('/').next().unwrap())
    });
    assert!(named, "{error}");
    // A commit that needs no look at it is not held up.
    let outcome = change(&fresh, "main", 1).timeout(Duration::from_secs(60)).commit().await;
    assert!(outcome.unwrap().commit().is_some());
    let path = "t/000001".parse().unwrap();
    assert_eq!(repo.stat(&RefExpr::plain("main"), &path).await.unwrap(), entry(1));
}

async fn lose_all_ranges(deployment: &Deployment) {
    for key in keys_below(deployment, "lake/ranges").await {
        deployment.objects.delete(&key).await.unwrap();
    }
}

async fn many(onward: &onward::Onward, folder: &str) -> onward::internals::repo::TicketHandle {
    let mut builder = onward.repo("lake").branch("main").change();
    for n in 0..4_500 {
        let path = format!("{folder}/{n:05}").parse().unwrap();
        builder.push(PathChange { path, change: Change::Put(entry(n)), condition: None }).unwrap();
    }
    builder.submit().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_whose_content_is_gone_still_takes_commits_and_ends() {
    let (deployment, onward) = Deployment::lake().await;
    // Higher than a stack may be, and nothing of it can be folded.
    for n in 0..20 {
        let outcome = many(&onward, &format!("many-{n}")).await.wait(PATIENCE).await.unwrap();
        assert!(outcome.commit().is_some(), "{outcome:?}");
        lose_all_ranges(&deployment).await;
    }
    let head = commit(&onward, "main", 1).await.commit().unwrap();
    let repo = onward.repo("lake");
    let gone = RefExpr::plain(head.to_string());
    let refused = repo.branch("again").create(&gone).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
    assert!(repo.create_tag(&"t".parse().unwrap(), &gone).await.is_err());
    // Back to where it was whole, and on from there; or to its end.
    repo.branch("main").reset_to(&"main~21".parse().unwrap()).await.unwrap();
    commit(&onward, "main", 2).await;
    repo.branch("other").create(&RefExpr::plain("main")).await.unwrap();
    repo.branch("main").delete().await.unwrap();
    assert!(commit(&onward, "other", 3).await.commit().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_whose_changes_are_gone_fails_alone() {
    let (deployment, onward) = Deployment::lake().await;
    let keys = crate::support::branch::keys(&deployment.objects, "main").await;
    let ghost = crate::support::branch::Ghost::haunt(&deployment.redis, &keys);
    let main = onward.repo("lake").branch("main");
    let mut first = main.change().put("lost/00007", entry(1)).submit().await.unwrap();
    let mut lost = many(&onward, "lost").await;
    lose_all_ranges(&deployment).await;
    let mut kept = many(&onward, "kept").await;
    let mut last = main.change().put("lost/00008", entry(2)).submit().await.unwrap();
    drop(ghost);
    for handle in [&mut first, &mut kept, &mut last] {
        let outcome = handle.wait(PATIENCE).await.unwrap();
        assert!(outcome.commit().is_some(), "{outcome:?}");
    }
    let outcome = lost.wait(PATIENCE).await.unwrap();
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    let (repo, path) = (onward.repo("lake"), "kept/00001".parse().unwrap());
    assert_eq!(repo.stat(&RefExpr::plain("main"), &path).await.unwrap(), entry(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_that_looks_at_what_is_gone_does_not_fail_for_it() {
    let (deployment, onward) = Deployment::lake().await;
    let base = onward.repo("lake").commit_of(&RefExpr::plain("main")).await.unwrap().unwrap();
    let keys = crate::support::branch::keys(&deployment.objects, "main").await;
    let ghost = crate::support::branch::Ghost::haunt(&deployment.redis, &keys);
    let mut lost = many(&onward, "lost").await;
    lose_all_ranges(&deployment).await;
    let change = onward.repo("lake").branch("main").change().put("lost/00007", entry(1));
    let mut sound = change.base(RefExpr::plain(base.to_string())).submit().await.unwrap();
    drop(ghost);
    let outcome = sound.wait(PATIENCE).await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    let outcome = lost.wait(PATIENCE).await.unwrap();
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_history_of_one_merge_fails_that_merge_and_no_other() {
    let (deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    let main = lake.branch("main");
    commit(&onward, "main", 1).await;
    let below = RefExpr::plain(main.show().await.unwrap().commit.unwrap().to_string());
    let mut torn = None;
    for (branch, n) in [("sound", 2), ("torn", 4)] {
        lake.branch(branch).create(&RefExpr::plain("main")).await.unwrap();
        torn = commit(&onward, branch, n).await.commit();
        commit(&onward, branch, n + 1).await;
    }
    commit(&onward, "main", 6).await;
    // The branch goes back behind the head that the merges are worked out against, so that in their
    // turn their bases are looked for in the history of their sources.
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let reset = tokio::spawn(async move { main.reset_to(&below).await });
    until_async("the reset is queued", || async {
        onward.repo("lake").branch("main").queue(1).await.unwrap().depth == 1
    })
    .await;
    let mut ops = Vec::new();
    for (n, source) in ["torn", "sound", "torn", "sound"].into_iter().enumerate() {
        let merge = onward.repo("lake").branch("main").merge(RefExpr::plain(source));
        // The second of a source brings nothing.
        let merge = merge.op_id(op_id(10 + n)).allow_empty(true).submit().await.unwrap();
        ops.push((source, merge.op_id()));
    }
    onward.close().await;
    let torn = torn.unwrap();
    let key = layout::log_entry(&"lake".parse().unwrap(), torn.uid(), torn.first_ticket());
    deployment.objects.delete(&key).await.unwrap();
    drop(ghost);
    let fresh = deployment.connect().await;
    let main = fresh.repo("lake").branch("main");
    for (source, op_id) in ops {
        match (source, main.ticket_wait(op_id, PATIENCE).await.unwrap()) {
            ("sound", outcome) => assert!(outcome.commit().is_some(), "{outcome:?}"),
            (_, Outcome::Failed { reason, .. }) => assert!(reason.contains(&key), "{reason}"),
            (_, other) => panic!("{other:?}"),
        }
    }
    drop(reset);
}
