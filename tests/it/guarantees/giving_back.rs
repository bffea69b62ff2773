//! Large areas of commits that were called off: given back in steps, and nothing old comes back.

use onward::{Change, ObjectPath, PathChange, RefExpr};

use crate::support::branch::{Ghost, keys};
use crate::support::lake::{Deployment, entry};
use crate::support::until::PATIENCE;

fn changes(paths: std::ops::Range<usize>, version: usize) -> Vec<PathChange> {
    let change = |n: usize| PathChange {
        path: path(n),
        change: Change::Put(entry(version)),
        condition: None,
    };
    paths.map(change).collect()
}

fn path(n: usize) -> ObjectPath {
    format!("p/{n:05}").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_area_comes_back_without_what_newer_ones_have() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    main.stage(&changes(0..2000, 1)).await.unwrap();
    let mut first = main.commit_staged().message("called off").submit().await.unwrap();
    main.stage(&changes(1000..2500, 2)).await.unwrap();
    let mut second = main.commit_staged().message("newer").submit().await.unwrap();
    first.cancel().await.unwrap();
    drop(ghost);
    assert_eq!(first.wait(PATIENCE).await.unwrap().name(), "cancelled");
    assert!(second.wait(PATIENCE).await.unwrap().commit().is_some());
    let pruned = onward.coordinator().lanes().calls().get("prune").copied().unwrap_or(0);
    assert!(pruned >= 2, "{pruned} calls: more than goes along with publishing");
    let third = main.commit_staged().message("takes what was given back").commit().await.unwrap();
    assert!(third.commit().is_some(), "{third:?}");
    let lake = onward.repo("lake");
    for (n, version) in [(0, 1), (999, 1), (1000, 2), (1999, 2), (2499, 2)] {
        let found = lake.stat(&RefExpr::plain("main"), &path(n)).await.unwrap();
        assert_eq!(found, entry(version), "path {n}");
    }
}
