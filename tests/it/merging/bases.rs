//! The base of a merge that waits: right, and cheap to find.

use onward::{CommitId, Onward, RefExpr};

use crate::support::branch::{Ghost, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::until::{PATIENCE, until_async};

async fn put(onward: &Onward, branch: &str, path: &str, n: usize) -> CommitId {
    let change = onward.repo("lake").branch(branch).change().put(path, entry(n));
    change.commit().await.unwrap().commit().unwrap()
}

async fn fork(onward: &Onward, name: &str, from: &str) {
    onward.repo("lake").branch(name).create(&RefExpr::plain(from)).await.unwrap();
}

/// Two merges queued behind a reset that leaves their heads behind. The first brings back a commit
/// that lies below the bases they were worked out with, and that is the base of the second.
#[tokio::test(flavor = "multi_thread")]
async fn merges_behind_a_reset_get_the_base_that_the_branch_has_by_then() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let back = put(&onward, "main", "path", 1).await;
    put(&onward, "main", "path", 2).await;
    fork(&onward, "left", "main").await;
    fork(&onward, "right", "main").await;
    put(&onward, "left", "left", 1).await;
    put(&onward, "right", "right", 1).await;
    fork(&onward, "of-left", "left").await;
    fork(&onward, "of-right", "right").await;
    put(&onward, "of-left", "path", 3).await;
    put(&onward, "of-right", "other", 1).await;
    for branch in ["left", "right"] {
        let merged = main.merge(RefExpr::plain(branch)).commit().await.unwrap();
        assert!(merged.commit().is_some(), "{merged:?}");
    }
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let resetting = {
        let main = main.clone();
        tokio::spawn(async move { main.reset_to(&RefExpr::plain(back.to_string())).await })
    };
    until_async("the reset is queued", async || main.queue(1).await.unwrap().depth == 1).await;
    let mut merges = Vec::new();
    for branch in ["of-left", "of-right"] {
        merges.push(main.merge(RefExpr::plain(branch)).submit().await.unwrap());
    }
    drop(ghost);
    resetting.await.unwrap().unwrap();
    for mut merge in merges {
        let outcome = merge.wait(PATIENCE).await.unwrap();
        assert!(outcome.commit().is_some(), "{outcome:?}");
    }
    for (path, n) in [("path", 3), ("left", 1), ("right", 1), ("other", 1)] {
        let found = onward.repo("lake").stat(&RefExpr::plain("main"), &path.parse().unwrap()).await;
        assert_eq!(found.unwrap().size, n, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_base_in_a_batch_does_not_make_it_read_the_history() {
    const COMMITS: usize = 150;
    let (deployment, onward) = Deployment::lake().await;
    fork(&onward, "old", "main").await;
    put(&onward, "old", "old", 1).await;
    for n in 0..COMMITS {
        put(&onward, "main", &format!("main/{n}"), n).await;
    }
    fork(&onward, "new", "main").await;
    put(&onward, "new", "new", 1).await;
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let main = onward.repo("lake").branch("main");
    main.merge(RefExpr::plain("new")).submit().await.unwrap();
    main.merge(RefExpr::plain("old")).op_id(op_id(1)).submit().await.unwrap();
    drop((main, onward));
    // Somebody who has read nothing yet decides both.
    let fresh = deployment.connect().await;
    let before = deployment.objects.counters().gets;
    drop(ghost);
    let outcome = fresh.repo("lake").branch("main").ticket_wait(op_id(1), PATIENCE).await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    let reads = deployment.objects.counters().gets - before;
    assert!(reads < COMMITS as u64 / 3, "{reads} reads");
}
