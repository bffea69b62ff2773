//! Random histories of tables with collections between: what can be reached is there as a whole, what nothing needs is
//! gone, and nothing else.

use std::collections::BTreeSet;

use onward::RefExpr;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::super::{at, set};
use super::orphans;
use super::world::{World, on, tables};
use crate::support::seed::{cases, seed};

/// One step of a history that nobody would plan.
async fn step(world: &mut World, chance: &mut StdRng, n: i64) {
    let repo = world.onward().repo("lake");
    let branches = repo.branches().await.unwrap();
    let name = branches.choose(chance).unwrap().name.to_string();
    let here = tables(world.onward(), &name).await;
    let names: Vec<String> = (0..3).map(|n| format!("t{n}")).collect();
    let table = names.choose(chance).unwrap();
    let known = world.sidecar.get(&on(&name, &at(table))).await;
    let is_there = known.0.is_success();
    match chance.random_range(0..15) {
        0..6 if is_there => {
            let besides = chance.random_bool(0.6);
            world.write(&name, table, n, besides).await;
        }
        0..7 if !is_there => drop(world.create(&name, table).await),
        6 if is_there => drop(orphans(world, &known.1["metadata"])),
        7 if is_there => drop(world.send("DELETE", &on(&name, &at(table)), json!({})).await),
        8 if is_there => expire(world, &on(&name, &at(table)), &known.1["metadata"]).await,
        9 => {
            let from = format!("{name}~{}", chance.random_range(0..4));
            // There may be no commit so far back.
            let _ = repo.branch(format!("b{n}")).create(&from.parse().unwrap()).await;
        }
        10 => {
            let others: Vec<_> = branches.iter().filter(|b| b.name.as_str() != "main").collect();
            if let Some(other) = others.choose(chance) {
                repo.branch(other.name.as_str()).delete().await.unwrap();
            }
        }
        11 => match repo.tags().await.unwrap().choose(chance) {
            Some(tag) if chance.random_bool(0.4) => repo.delete_tag(&tag.name).await.unwrap(),
            _ => {
                let tag = format!("tag-{n}").parse().unwrap();
                repo.create_tag(&tag, &RefExpr::plain(name)).await.unwrap();
            }
        },
        12 if !here.is_empty() => {
            // What was not changed by the last commit, or was since, is not reverted.
            let _ = repo.branch(&name).revert(name.parse().unwrap(), None).commit().await;
        }
        13 if is_there => {
            let free = format!("r{n}");
            let body = json!({
                "source": {"namespace": ["a"], "name": table},
                "destination": {"namespace": ["a"], "name": free},
            });
            let url = format!("{}/tables/rename", super::super::MAIN);
            world.send("POST", &on(&name, &url), body).await;
        }
        14 if is_there => {
            let codec = if chance.random_bool(0.7) { "gzip" } else { "none" };
            let packed = set("write.metadata.compression-codec", codec);
            world.send("POST", &on(&name, &at(table)), packed).await;
        }
        _ => {}
    }
}

/// Takes all snapshots out of a table but its present one.
pub async fn expire(world: &World, url: &str, metadata: &serde_json::Value) {
    let Some(current) = super::super::current(metadata) else { return };
    let mut old = super::super::snapshots(metadata);
    old.retain(|id| *id != current);
    let expire = json!({"action": "remove-snapshots", "snapshot-ids": old});
    if !old.is_empty() {
        world.send("POST", url, json!({"requirements": [], "updates": [expire]})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_history_of_tables_all_that_is_reached_stays_and_all_else_goes() {
    let first = seed();
    for case in 0..u64::from(cases(3)) {
        let seed = first.wrapping_add(case);
        println!("ONWARD_TEST_SEED={seed} repeats this");
        let mut chance = StdRng::seed_from_u64(seed);
        let mut world = World::new().await;
        let mut removed = 0;
        for round in 0..3 {
            for n in 0..25 {
                step(&mut world, &mut chance, 1 + round * 100 + n).await;
            }
            world.age();
            let needed = world.needed().await;
            let all = world.files();
            let garbage: BTreeSet<String> = all.difference(&needed).cloned().collect();
            // What is of after the last days stays whatever it is.
            for n in 90..93 {
                step(&mut world, &mut chance, 1 + round * 100 + n).await;
            }
            let young: BTreeSet<String> = world.files().difference(&all).cloned().collect();
            let collected = world.gc().await;
            let still = world.needed().await;
            let unread = &collected.tables.unread;
            assert!(unread.is_empty(), "seed {seed}: {unread:?}");
            assert!(still.is_subset(&world.files()), "seed {seed}: lost");
            assert!(young.is_subset(&world.files()), "seed {seed}: too young");
            assert!(collected.gone.is_disjoint(&still), "seed {seed}");
            let left: BTreeSet<String> = garbage.intersection(&world.files()).cloned().collect();
            assert!(left.is_empty(), "seed {seed}: not gone: {left:?}");
            removed += collected.gone.len();
        }
        println!("{removed} files went, {} are left", world.files().len());
        assert!(removed > 10, "seed {seed}: {removed}");
    }
}
