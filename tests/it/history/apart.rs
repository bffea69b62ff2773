//! How far heads have gone apart from a base, on histories that were merged across.

use std::collections::BTreeSet;

use onward::CommitId;
use proptest::prelude::*;

use super::order::Forge;
use crate::support::seed::campaign;

/// For each commit, the commits that it has for parents, by how far back they are among those before it.
fn histories() -> impl Strategy<Value = (Vec<Vec<usize>>, usize)> {
    let parents = proptest::collection::vec(1..8usize, 1..=2);
    (proptest::collection::vec(parents, 2..60), 2..80usize)
}

async fn forged(shape: &[Vec<usize>]) -> (Forge, Vec<CommitId>) {
    let mut forge = Forge::new().await;
    let mut commits = vec![forge.commit(0, &[]).await];
    for (n, back) in shape.iter().enumerate() {
        let parents: BTreeSet<CommitId> =
            back.iter().map(|back| commits[commits.len().saturating_sub(*back)]).collect();
        let parents: Vec<CommitId> = parents.into_iter().collect();
        commits.push(forge.commit(n as i64 % 7, &parents).await);
    }
    (forge, commits)
}

#[test]
fn commits_that_only_one_side_has_are_counted_as_sets_say() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    campaign(&histories(), 24, |(shape, visits_max)| {
        runtime.block_on(async {
            let (forge, commits) = forged(&shape).await;
            let base = commits[commits.len() / 2];
            let heads: Vec<CommitId> = commits.iter().rev().take(10).copied().collect();
            let lake = forge.onward.repo("lake");
            let all = lake.apart(base, &heads, usize::MAX).await.unwrap();
            let some = lake.apart(base, &heads, visits_max).await.unwrap();
            let has = |of| forge.expected(of).into_iter().collect::<BTreeSet<_>>();
            let of_base = has(base);
            for (head, (all, some)) in heads.iter().zip(all.iter().zip(&some)) {
                let of_head = has(*head);
                let ahead = of_head.difference(&of_base).count() as u64;
                let behind = of_base.difference(&of_head).count() as u64;
                prop_assert_eq!((all.ahead, all.behind, all.has_more), (ahead, behind, false));
                // What was not looked at is never made up.
                prop_assert!(some.ahead <= ahead && some.behind <= behind, "{:?}", some);
                prop_assert!(some.has_more || some == all, "{:?} of {:?}", some, all);
            }
            Ok(())
        })
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn more_heads_than_one_walk_takes_are_refused() {
    let (forge, commits) = forged(&[vec![1]]).await;
    let lake = forge.onward.repo("lake");
    assert!(lake.apart(commits[0], &[commits[1]; 63], 10).await.is_ok());
    let refused = lake.apart(commits[0], &[commits[1]; 64], 10).await.unwrap_err();
    assert!(refused.message().contains("63"), "{refused}");
}
