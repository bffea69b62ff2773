//! What the protocol promises, held against real servers and real processes that are killed,
//! stopped, cut off, wiped and taken back in time.

mod ahead;
mod budgets;
mod damage;
mod endings;
mod folds;
mod forgotten;
mod giving_back;
mod huge;
mod identity;
mod idle;
mod killed;
mod loss;
mod memory;
mod order;
mod overlapping;
mod parted;
mod producers;
mod redis_limits;
mod replies;
mod seals;
mod several;
mod staging;
mod standing;
mod two_primaries;
mod waiting;
mod whereabouts;

use onward::{Onward, Outcome};

use crate::support::branch::op_id;
use crate::support::lake::entry;

/// Commits op `n` on a branch: one change, of a path of its own.
async fn commit(onward: &Onward, branch: &str, n: usize) -> Outcome {
    try_commit(onward, branch, n).await.unwrap()
}

async fn try_commit(onward: &Onward, branch: &str, n: usize) -> onward::Result<Outcome> {
    change(onward, branch, n).commit().await
}

/// The change that op `n` makes.
fn change(onward: &Onward, branch: &str, n: usize) -> onward::internals::repo::ChangeBuilder {
    let builder = onward.repo("lake").branch(branch).change().op_id(op_id(n));
    builder.put(format!("t/{n:06}"), entry(n)).message(format!("message {n}"))
}

/// Commits ops concurrently, each from a task of its own, and checks that all are commits.
async fn commit_all(onwards: &[Onward], branch: &str, ops: impl IntoIterator<Item = usize>) {
    let tasks: Vec<_> = ops
        .into_iter()
        .map(|n| {
            let (onward, branch) = (onwards[n % onwards.len()].clone(), branch.to_owned());
            tokio::spawn(async move { (n, commit(&onward, &branch, n).await) })
        })
        .collect();
    for task in tasks {
        let (n, outcome) = task.await.unwrap();
        let Outcome::Committed { details, .. } = &outcome else {
            panic!("op {n}: {outcome:?}");
        };
        let (rounds, bound) = (details.rounds, details.rounds_bound);
        assert!(rounds <= bound, "{rounds} rounds > {bound}");
    }
}
