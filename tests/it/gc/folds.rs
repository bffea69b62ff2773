//! Collections of what folds have left behind.

use futures::TryStreamExt;
use onward::internals::clock;
use onward::{Onward, RefExpr, Ticket};

use super::{commit_many, days_later, everything, gc};
use crate::support::lake::Deployment;
use crate::support::verify::sound;

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_was_folded_since_its_last_commit_stays() {
    let (deployment, onward) = Deployment::lake().await;
    let lake = onward.coordinator().lake(&"lake".parse().unwrap());
    let head = onward.repo("lake").commit_of(&RefExpr::plain("main")).await.unwrap().unwrap();
    commit_many(&onward, "main", "big", 9_000).await;
    for n in 0..3 {
        commit_many(&onward, "main", &format!("small-{n}"), 5).await;
    }
    fold(&onward, 0..4).await;
    let firsts = lake.log_tickets(head.uid(), Ticket(0)).await.unwrap();
    let newest = lake.known_entry(head.uid(), *firsts.last().unwrap()).await.unwrap();
    assert!(newest.ops.iter().all(|op| op.commit.is_none()), "{newest:?}");
    assert_eq!(newest.metarange_after().levels.len(), 1);
    let before = everything(&onward).await;
    onward.close().await;
    gc(&deployment.connect().await, &days_later()).await.unwrap();
    let fresh = deployment.connect().await;
    assert!(before == everything(&fresh).await);
    sound(&fresh).await;
}

/// Exchanges levels of main for their fold, as a helper does in the background.
async fn fold(onward: &Onward, levels: std::ops::Range<usize>) {
    use onward::internals::commit::accept::admission::Admission;
    use onward::internals::commit::op::request::{FoldRequest, Request};
    use onward::internals::commit::op::upkeep::upkeep;
    let lake = onward.coordinator().lake(&"lake".parse().unwrap());
    let head = onward.repo("lake").commit_of(&RefExpr::plain("main")).await.unwrap().unwrap();
    let firsts = lake.log_tickets(head.uid(), Default::default()).await.unwrap();
    let newest = lake.known_entry(head.uid(), *firsts.last().unwrap()).await.unwrap();
    let stack = newest.metarange_after().levels;
    let bottom = levels.end == stack.len();
    let folded = &stack[levels];
    let with = lake.tree().fold(folded, bottom).await.unwrap();
    let with = with.stored(lake.tree()).await.unwrap();
    let levels = folded.iter().map(|level| (level.run.id, level.as_of)).collect();
    let request = Request::Fold(FoldRequest { levels, bottom, with });
    let submission = upkeep(clock::new_op_id(), request, clock::now_ms(), None).unwrap();
    let (repo, main) = ("lake".parse().unwrap(), "main".parse().unwrap());
    let queue = onward.coordinator().queue(&repo, &main, head.uid());
    let Admission::Queued(mut pending) = queue.submit(submission).await.unwrap() else { panic!() };
    pending.outcome().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_across_folds_of_folds_are_found_after_a_collection() {
    let (deployment, onward) = Deployment::lake().await;
    commit_many(&onward, "main", "big", 5_000).await;
    let before = onward.repo("lake").commit_of(&RefExpr::plain("main")).await.unwrap().unwrap();
    for n in 0..3 {
        commit_many(&onward, "main", &format!("small-{n}"), 5).await;
    }
    // No commit is made between the folds: none ever sees what the first one wrote.
    fold(&onward, 1..3).await;
    fold(&onward, 0..3).await;
    commit_many(&onward, "main", "last", 5).await;
    let differences = async || {
        let fresh = deployment.connect().await;
        let (before, main) = (RefExpr::plain(before.to_string()), RefExpr::plain("main"));
        let found = fresh.repo("lake").diff(&before, &main, "").await.unwrap();
        found.try_collect::<Vec<_>>().await.unwrap().len()
    };
    assert_eq!(differences().await, 20);
    onward.close().await;
    gc(&deployment.connect().await, &days_later()).await.unwrap();
    assert_eq!(differences().await, 20);
}
