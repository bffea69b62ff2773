//! Random histories with collections in between: what can be read stays as it is.

use onward::{Onward, RefExpr};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::{commit_many, days_later, everything, gc, stage, upload};
use crate::support::lake::{Deployment, entry};
use crate::support::seed::seed;
use crate::support::verify::sound;

/// One step of a history that nobody would plan.
async fn step(onward: &Onward, chance: &mut StdRng, n: usize) {
    let repo = onward.repo("lake");
    let branches = repo.branches().await.unwrap();
    let name = branches.choose(chance).unwrap().name.to_string();
    let branch = repo.branch(name.as_str());
    match chance.random_range(0..12) {
        0..4 => {
            let mut change = branch.change().message(format!("{n}"));
            for _ in 0..chance.random_range(1..5) {
                let path = format!("t/{}", chance.random_range(0..20));
                change = match chance.random_bool(0.7) {
                    true => change.put(path, entry(n)),
                    false => change.delete(path),
                };
            }
            change.commit().await.unwrap();
        }
        4 => commit_many(onward, &name, &format!("many/{}", n % 3), 4_200 + n).await,
        5..7 => {
            let entry = upload(onward, &name, &format!("content {n}")).await;
            stage(onward, &name, &format!("up/{}", n % 4), entry).await;
        }
        7 => drop(branch.commit_staged().message(format!("{n}")).commit().await.unwrap()),
        8 => drop(upload(onward, &name, &format!("forgotten {n}")).await),
        9 => {
            let back = chance.random_range(0..3);
            let from: RefExpr = format!("{name}~{back}").parse().unwrap();
            // There may be no commit so far back.
            let _ = repo.branch(format!("b{n}")).create(&from).await;
        }
        10 => {
            let others: Vec<_> = branches.iter().filter(|b| b.name.as_str() != "main").collect();
            if let Some(other) = others.choose(chance) {
                repo.branch(other.name.as_str()).delete().await.unwrap();
            }
        }
        _ => match repo.tags().await.unwrap().choose(chance) {
            Some(tag) if chance.random_bool(0.4) => repo.delete_tag(&tag.name).await.unwrap(),
            _ => {
                let tag = format!("tag-{n}").parse().unwrap();
                repo.create_tag(&tag, &RefExpr::plain(name)).await.unwrap();
            }
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_can_be_read_changes_whatever_the_history() {
    for _ in 0..2 {
        let seed = seed();
        println!("ONWARD_TEST_SEED={seed} repeats this");
        let mut chance = StdRng::seed_from_u64(seed);
        let (deployment, onward) = Deployment::lake().await;
        for n in 0..50 {
            step(&onward, &mut chance, n).await;
        }
        let before = everything(&onward).await;
        onward.close().await;
        let (_, removed) = gc(&deployment.connect().await, &days_later()).await.unwrap();
        for key in &removed {
            assert!(deployment.objects.get(key).await.unwrap().is_none(), "{key}");
        }
        // A process that remembers nothing.
        let fresh = deployment.connect().await;
        let after = everything(&fresh).await;
        assert!(before == after, "seed {seed}: something that can be read has changed");
        sound(&fresh).await;
        // Staged changes are still good for a commit.
        for branch in fresh.repo("lake").branches().await.unwrap() {
            let branch = fresh.repo("lake").branch(branch.name.as_str());
            branch.commit_staged().message("late").commit().await.unwrap();
        }
        sound(&fresh).await;
    }
}
