//! Staged writes: each in exactly one commit, none lost, and never later than it should be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::TryStreamExt;
use onward::internals::tree::ListRequest;
use onward::{Change, Onward, Outcome, PathChange, RefExpr, Ticket};

use crate::support::branch::{Audit, Ghost, Snapshot, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::RedisServer;
use crate::support::until::PATIENCE;

/// The commit in which each path appears, by ticket; a path in two commits is an error.
async fn committed_paths(onward: &Onward) -> BTreeMap<String, Ticket> {
    let repo = onward.repo("lake");
    let log = repo.log(&RefExpr::plain("main"), &Default::default()).await.unwrap();
    let commits: Vec<_> = log.try_collect().await.unwrap();
    let mut paths = BTreeMap::new();
    for info in commits {
        let Some(parent) = info.commit.parents.first() else {
            continue;
        };
        let (left, right) = (RefExpr::plain(parent.to_string()), info.id.to_string());
        let diff = repo.diff(&left, &RefExpr::plain(right), "").await.unwrap();
        let diff: Vec<_> = diff.try_collect().await.unwrap();
        for change in diff {
            let twice = paths.insert(change.path.to_string(), info.ticket());
            assert!(twice.is_none(), "{} is in two commits", change.path);
        }
    }
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_redis_that_was_set_back_has_staged_again_is_shown_and_can_be_taken_back() {
    let deployment = Deployment::with(RedisServer::forgetful());
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let main = onward.repo("lake").branch("main");
    main.stage_put("a".parse().unwrap(), entry(1), None).await.unwrap();
    let snapshot = Snapshot::take(&deployment.redis);
    main.commit_staged().message("a").commit().await.unwrap();
    main.change().put("a", entry(2)).message("newer").commit().await.unwrap();
    onward.close().await;
    snapshot.put_back(&deployment.redis);
    let fresh = deployment.connect().await.repo("lake").branch("main");
    let staged = fresh.status("", None, 10).await.unwrap();
    assert_eq!(staged.len(), 1, "{staged:?}");
    assert_eq!(fresh.reset("", false).await.unwrap(), 1);
    let nothing = fresh.commit_staged().message("again").commit().await.unwrap();
    assert_eq!(nothing.name(), "no_changes", "{nothing:?}");
    let path = "a".parse().unwrap();
    let now = fresh.repository().stat(&RefExpr::plain("main"), &path).await.unwrap();
    assert_eq!(now.size, 2, "what was committed stands");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_staged_write_is_in_exactly_one_commit_and_none_comes_late() {
    const WRITERS: usize = 6;
    const EACH: usize = 40;
    let (deployment, first) = Deployment::lake().await;
    let onwards = [first, deployment.connect().await, deployment.connect().await];
    // One clock for all: what is acknowledged before a commit starts has the smaller number.
    let clock = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let main = onwards[writer % 3].repo("lake").branch("main");
            let clock = Arc::clone(&clock);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0..EACH {
                    let path = format!("w{writer}/{n:03}");
                    main.stage_put(path.parse().unwrap(), entry(n), None).await.unwrap();
                    acknowledged.push((path, clock.fetch_add(1, Ordering::SeqCst)));
                }
                acknowledged
            })
        })
        .collect();
    let committers: Vec<_> = (0..3)
        .map(|committer| {
            let main = onwards[committer].repo("lake").branch("main");
            let clock = Arc::clone(&clock);
            tokio::spawn(async move {
                let mut commits = Vec::new();
                while commits.len() < 12 && clock.load(Ordering::SeqCst) < WRITERS * EACH {
                    let started = clock.fetch_add(1, Ordering::SeqCst);
                    match main.commit_staged().message("staged").commit().await.unwrap() {
                        Outcome::Committed { ticket, .. } => commits.push((started, ticket)),
                        Outcome::NoChanges { .. } => tokio::task::yield_now().await,
                        other => panic!("{other:?}"),
                    }
                }
                commits
            })
        })
        .collect();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    let mut commits = Vec::new();
    for committer in committers {
        commits.extend(committer.await.unwrap());
    }
    onwards[0].repo("lake").branch("main").commit_staged().commit().await.unwrap();
    let paths = committed_paths(&onwards[1]).await;
    assert_eq!(paths.len(), WRITERS * EACH, "none is lost");
    for (path, written) in &acknowledged {
        for (started, ticket) in &commits {
            assert!(
                started < written || paths[path] <= *ticket,
                "{path} was staged before the commit {ticket} and came after it"
            );
        }
    }
    Audit::of(&deployment.objects, "main").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_commit_gives_what_it_had_taken_back() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut handles = Vec::new();
    // The first is committed and the second called off in one batch, the third takes over.
    for n in 1..4 {
        main.stage_put(format!("s/{n}").parse().unwrap(), entry(n), None).await.unwrap();
        if n < 3 {
            handles.push(main.commit_staged().op_id(op_id(n)).submit().await.unwrap());
        }
    }
    handles[1].cancel().await.unwrap();
    drop(ghost);
    let first = handles[0].wait(PATIENCE).await.unwrap();
    assert!(first.commit().is_some(), "{first:?}");
    let second = handles[1].wait(PATIENCE).await.unwrap();
    assert!(matches!(second, Outcome::Cancelled { .. }), "{second:?}");
    let third = main.commit_staged().op_id(op_id(3)).commit().await.unwrap();
    let paths = committed_paths(&onward).await;
    let ticket = |outcome: &Outcome| outcome.ticket().unwrap();
    let expected = BTreeMap::from([
        ("s/1".to_owned(), ticket(&first)),
        ("s/2".to_owned(), ticket(&third)),
        ("s/3".to_owned(), ticket(&third)),
    ]);
    assert_eq!(paths, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_commit_is_cancelled_once_and_for_all() {
    let (deployment, onward) = Deployment::lake().await;
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut handle = super::change(&onward, "main", 1).submit().await.unwrap();
    handle.cancel().await.unwrap();
    drop(ghost);
    assert!(matches!(handle.wait(PATIENCE).await.unwrap(), Outcome::Cancelled { .. }));
    let again = super::commit(&onward, "main", 1).await;
    assert!(matches!(again, Outcome::Cancelled { .. }), "{again:?}");
    // Too late: what is decided stays.
    let decided = super::commit(&onward, "main", 2).await;
    let main = onward.repo("lake").branch("main");
    main.ticket_cancel(op_id(2)).await.unwrap();
    assert_eq!(super::commit(&onward, "main", 2).await.commit(), decided.commit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_of_a_prefix_leaves_its_neighbours_staged() {
    let (_deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    for path in ["a", "b/0", "b/1", "b/1/x", "b/10", "b/2", "b0", "c"] {
        main.stage_put(path.parse().unwrap(), entry(1), None).await.unwrap();
    }
    let staged = async || -> Vec<String> {
        let status = main.status("", None, 100).await.unwrap();
        status.iter().map(|change| change.path.to_string()).collect()
    };
    // `b/2` and `b0` are what comes right behind the prefixes.
    assert_eq!(main.reset("b/1", false).await.unwrap(), 3);
    assert_eq!(staged().await, ["a", "b/0", "b/2", "b0", "c"]);
    assert_eq!(main.reset("b/", false).await.unwrap(), 2);
    assert_eq!(staged().await, ["a", "b0", "c"]);
    assert_eq!(main.reset("a", true).await.unwrap(), 1);
    assert_eq!(main.reset("", false).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_called_off_commit_gives_back_does_not_undo_a_newer_one() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let path: onward::ObjectPath = "p".parse().unwrap();
    let other: onward::ObjectPath = "q".parse().unwrap();
    let keys = crate::support::branch::keys(&deployment.objects, "main").await;
    let ghost = crate::support::branch::Ghost::haunt(&deployment.redis, &keys);
    main.stage_put(path.clone(), entry(1), None).await.unwrap();
    main.stage_put(other.clone(), entry(1), None).await.unwrap();
    let mut first = main.commit_staged().message("called off").submit().await.unwrap();
    main.stage_put(path.clone(), entry(2), None).await.unwrap();
    let mut second = main.commit_staged().message("newer").submit().await.unwrap();
    first.cancel().await.unwrap();
    drop(ghost);
    let patience = crate::support::until::PATIENCE;
    assert_eq!(first.wait(patience).await.unwrap().name(), "cancelled");
    assert!(second.wait(patience).await.unwrap().commit().is_some());
    let reference = onward::internals::model::address::RefExpr::plain("main");
    let lake = onward.repo("lake");
    assert_eq!(lake.stat(&reference, &path).await.unwrap(), entry(2), "the newer one stands");
    let status = main.status("", None, 10).await.unwrap();
    assert_eq!(status.iter().map(|c| c.path.as_str()).collect::<Vec<_>>(), ["q"]);
    assert!(main.commit_staged().message("rest").commit().await.unwrap().commit().is_some());
    assert_eq!(lake.stat(&reference, &path).await.unwrap(), entry(2));
    assert_eq!(lake.stat(&reference, &other).await.unwrap(), entry(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_staged_is_shown_whole_however_large_its_entries_are() {
    const PATHS: usize = 600;
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let put = |n: usize| {
        let mut entry = entry(n);
        entry.metadata.insert("padding".into(), "x".repeat(5000));
        let (path, change) = (format!("s/{n:06}").parse().unwrap(), Change::Put(entry));
        PathChange { path, change, condition: None }
    };
    let all: Vec<PathChange> = (0..PATHS).map(put).collect();
    main.stage(&all).await.unwrap();
    let calls = onward.coordinator().lanes().calls().get("stage").copied().unwrap_or(0);
    assert!((3..8).contains(&calls), "{calls} calls for three MiB");
    // Half of them are given back by a commit that was called off; some are staged anew over those.
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let mut commit = main.commit_staged().op_id(op_id(1)).submit().await.unwrap();
    commit.cancel().await.unwrap();
    drop(ghost);
    assert_eq!(commit.wait(PATIENCE).await.unwrap().name(), "cancelled");
    let anew: Vec<PathChange> = all.iter().step_by(7).cloned().collect();
    main.stage(&anew).await.unwrap();
    assert_eq!(main.status("", None, 1000).await.unwrap(), all);
    let page = main.status("s/", Some("s/000099"), 250).await.unwrap();
    assert_eq!(page, all[100..350]);
    let request = ListRequest { prefix: "s/".into(), amount: 1000, ..ListRequest::default() };
    let listed = onward.repo("lake").list(&RefExpr::plain("main"), &request).await.unwrap();
    assert_eq!(listed.items.len(), PATHS);
    let committed = main.commit_staged().op_id(op_id(2)).commit().await.unwrap();
    assert!(committed.commit().is_some(), "{committed:?}");
    assert_eq!(main.status("", None, 1000).await.unwrap(), []);
}
