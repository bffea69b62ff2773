//! Merges of the same paths, decided together: what one of them makes of the branch can be read
//! while the next is put on top of it.

use onward::{RefExpr, Strategy};

use crate::support::branch::{Ghost, keys};
use crate::support::lake::{Deployment, entry};
use crate::support::until::PATIENCE;

/// Changes of each branch: too many for a queue element, few enough for a log entry.
const CHANGES: usize = 400;

/// More than there are levels for the runs of a batch.
const BRANCHES: usize = 9;

#[tokio::test(flavor = "multi_thread")]
async fn many_merges_of_the_same_paths_become_one_batch() {
    let (deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    for n in 0..BRANCHES {
        let branch = lake.branch(format!("b{n}"));
        branch.create(&RefExpr::plain("main")).await.unwrap();
        let changes = (0..CHANGES).fold(branch.change(), |change, k| {
            change.put(format!("table/part-{k:04}"), entry(n * 1000 + k))
        });
        assert!(changes.commit().await.unwrap().commit().is_some());
    }
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let main = lake.branch("main");
    let mut merges = Vec::new();
    for n in 0..BRANCHES {
        let merge = main.merge(RefExpr::plain(format!("b{n}"))).strategy(Strategy::SourceWins);
        merges.push(merge.submit().await.unwrap());
    }
    drop(ghost);
    for (n, merge) in merges.iter_mut().enumerate() {
        let outcome = merge.wait(PATIENCE).await.unwrap();
        let commit = outcome.commit().unwrap_or_else(|| panic!("merge {n}: {outcome:?}"));
        for k in [0, CHANGES / 2, CHANGES - 1] {
            let path = format!("table/part-{k:04}").parse().unwrap();
            let at = RefExpr::plain(commit.to_string());
            assert_eq!(lake.stat(&at, &path).await.unwrap(), entry(n * 1000 + k), "merge {n}");
        }
    }
}
