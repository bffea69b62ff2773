//! Folds in the background: they enter through the queue, shorten the stack, and change nothing
//! that can be read, now or in history.

use onward::internals::commit::log::lake::Lake;
use onward::internals::repo::Repository;
use onward::{Onward, RefExpr};

use crate::support::lake::{Deployment, entry};
use crate::support::until::until_async;

/// Enough to be a level of its own that batches do not fold by themselves.
const CHANGES: usize = 9_000;

async fn commit_many(onward: &Onward, round: usize) {
    let mut change = onward.repo("lake").branch("main").change().message(format!("{round}"));
    for n in 0..CHANGES {
        let path = format!("t/{:05}", n + round * 100);
        change = if n % 10 == round {
            change.delete(path)
        } else {
            change.put(path, entry(round * CHANGES + n))
        };
    }
    assert!(change.commit().await.unwrap().commit().is_some());
}

/// What a path names after `rounds` commits.
fn expected(path: usize, rounds: usize) -> Option<usize> {
    let covers = |round: &usize| (round * 100..round * 100 + CHANGES).contains(&path);
    let last = (0..rounds).rev().find(covers)?;
    let n = path - last * 100;
    (n % 10 != last).then_some(last * CHANGES + n)
}

async fn levels(lake: &Lake, repo: &Repository) -> usize {
    let head = repo.commit_of(&RefExpr::plain("main")).await.unwrap().unwrap();
    let tickets =
        lake.log_tickets(head.uid(), onward::internals::model::ids::Ticket(0)).await.unwrap();
    let newest = lake.known_entry(head.uid(), *tickets.last().unwrap()).await.unwrap();
    newest.metarange_after().levels.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fold_in_the_background_changes_nothing_that_can_be_read() {
    let (_deployment, onward) = Deployment::lake().await;
    let repo = onward.repo("lake");
    for round in 0..6 {
        commit_many(&onward, round).await;
    }
    until_async("levels were folded", async || onward.counters().folds > 0).await;
    let lake = onward.coordinator().lake(&"lake".parse().unwrap());
    until_async("the stack is short", async || levels(&lake, &repo).await < 6).await;
    for rounds in 1..=6 {
        let reference: RefExpr = format!("main~{}", 6 - rounds).parse().unwrap();
        for path in [0, 3, 99, 100, 477, 4_321, 8_999, 9_000, 9_250, 9_499, 9_500] {
            let found = repo.stat(&reference, &format!("t/{path:05}").parse().unwrap()).await;
            let expected = expected(path, rounds).map(|n| n as u64);
            assert_eq!(found.ok().map(|e| e.size), expected, "{path} after {rounds} commits");
        }
    }
    let history = repo.log(&RefExpr::plain("main"), &Default::default()).await.unwrap();
    let count = futures::StreamExt::count(history).await;
    assert_eq!(count, 7, "a fold is no commit");
}
