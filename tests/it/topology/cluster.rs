//! Three shards with a replica each, and branches on all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onward::Onward;
use onward::internals::clock;
use onward::internals::commit::CoordinatorOptions;
use onward::internals::coord::publish::{Publication, Published};
use onward::internals::coord::{Answer, BranchKeys, LaneOptions, Lanes, RedisBranch, Turn};
use onward::internals::model::ids::Ticket;

use crate::support::branch::{keys, op_id};
use crate::support::load::{Lake, Load, check};
use crate::support::seed::cases;
use crate::support::topology::TestCluster;
use crate::support::until::until;

const SHARDS: usize = 3;

/// A lake whose branches use every shard, and the slot of each branch.
async fn lake_on(cluster: &TestCluster) -> (Lake, Onward, Vec<(String, u16)>) {
    let (lake, onward) = Lake::with_branches(cluster.url(), &[]).await;
    let mut branches = Vec::new();
    let mut used = BTreeSet::new();
    // Where a branch comes to lie is chance; so many that miss a shard are not to be expected.
    for n in 0..64 {
        let name = if n == 0 { "main".to_owned() } else { format!("b{n}") };
        if n > 0 {
            let branch = onward.repo("lake").branch(name.as_str());
            branch.create(&"main".parse().unwrap()).await.unwrap();
        }
        let slot = cluster.slot(&keys(&lake.objects, &name).await.head);
        let shard = usize::from(slot) * SHARDS / 16_384;
        if used.insert(shard) {
            branches.push((name, slot));
        }
        if used.len() == SHARDS {
            break;
        }
    }
    assert_eq!(used.len(), SHARDS);
    (lake, onward, branches)
}

fn names(branches: &[(String, u16)]) -> Vec<String> {
    branches.iter().map(|(name, _)| name.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_primary_of_a_cluster_is_replaced_and_its_writers_go_on() {
    let mut cluster = tokio::task::block_in_place(|| TestCluster::new(SHARDS));
    let (lake, onward, branches) = lake_on(&cluster).await;
    let onwards = [onward, lake.connect().await];
    let mut load = Load::start(&onwards, &names(&branches), 1);
    for case in 0..cases(2) as usize {
        load.goes_on(100).await;
        let slot = branches[case % branches.len()].1;
        let old = (0..cluster.nodes.len()).find_map(|node| cluster.owner(slot, node)).unwrap();
        load.fault(|| {
            cluster.nodes[old].kill9();
            cluster.fails_over(slot, old);
        });
        load.goes_on(100).await;
        tokio::task::block_in_place(|| {
            cluster.nodes[old].start();
            cluster.settled();
        });
    }
    load.goes_on(100).await;
    let errors = cluster.errors();
    let (told, faults) = load.finish().await;
    check("cluster, killed", &lake, &lake.connect().await, &told, &faults).await;
    println!("cluster, killed: answers {errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_moves_under_load_takes_its_branch_along() {
    let cluster = tokio::task::block_in_place(|| TestCluster::new(SHARDS));
    let (lake, onward, branches) = lake_on(&cluster).await;
    let onwards = [onward, lake.connect().await];
    let mut load = Load::start(&onwards, &names(&branches), 1);
    for case in 0..cases(6) as usize {
        load.goes_on(60).await;
        let slot = branches[case % branches.len()].1;
        let from = cluster.owner(slot, 0).unwrap();
        let to = (0..SHARDS).find(|&node| node != from && node != case % SHARDS).unwrap();
        let (errors, mut tried) = (|| cluster.errors(), 0);
        let refused = |all: &BTreeMap<String, u64>| {
            all.get("TRYAGAIN").copied().unwrap_or(0) + all.get("ASK").copied().unwrap_or(0)
        };
        load.fault(|| {
            // Somebody comes to the slot while a part of its keys is here and a part there.
            let before = refused(&errors());
            cluster.migrate(slot, from, to, || {
                tried += 1;
                if tried == 2 {
                    until("a call was refused half-way", || refused(&errors()) > before);
                }
            });
        });
        load.goes_on(60).await;
    }
    let errors = cluster.errors();
    let (told, faults) = load.finish().await;
    check("cluster, slots moved", &lake, &lake.connect().await, &told, &faults).await;
    println!("cluster, slots moved: answers {errors:?}");
    for answer in ["MOVED", "TRYAGAIN"] {
        assert!(errors.contains_key(answer), "{answer} was never met: {errors:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_script_is_broken_off_half_way_by_a_slot_that_moves() {
    let cluster = tokio::task::block_in_place(|| TestCluster::new(SHARDS));
    let options = LaneOptions { patience: Duration::from_millis(300), ..LaneOptions::default() };
    let lanes = Lanes::open(&cluster.url(), options).await.unwrap();
    let keys = BranchKeys::new(&"lake".parse().unwrap(), clock::new_branch_uid());
    let slot = cluster.slot(&keys.head);
    let from = cluster.owner(slot, 0).unwrap();
    let node = &cluster.nodes[from];
    // Every key of the branch is there. The batch empties the queue, which removes its key, and the
    // script then asks how long the queue is.
    let element = format!("{} an op", op_id(1));
    let _: i64 = node.command(&["HSET", &keys.head, "state", "open", "done", "0"]);
    let _: i64 = node.command(&["RPUSH", &keys.queue, &element]);
    let _: String = node.command(&["XADD", &keys.outcomes, "0-1", "o", "x", "r", "x"]);
    for hash in [&keys.ops, &keys.producers, &keys.staged] {
        let _: i64 = node.command(&["HSET", hash, "x", "1"]);
    }
    let _: i64 = node.command(&["ZADD", &keys.paths, "0", "x"]);
    let area = format!("{0}{0}", op_id(2));
    let _: i64 = node.command(&["RPUSH", &keys.sealed, &area]);
    let batch = Publication {
        done_before: 0,
        commit: None,
        position: Ticket(1),
        closes: false,
        outcomes: vec![(op_id(1), "done".into())],
        producers: Vec::new(),
        consumed: Vec::new(),
    };
    let turn = Turn { helper: "test".into(), length_ms: 100 };
    let retention = CoordinatorOptions::default().retention;
    let branch = RedisBranch::new(lanes, keys.clone(), turn, retention);
    let target = (from + 1) % SHARDS;
    let told = slot.to_string();
    let _: () = cluster.nodes[target].command(&[
        "CLUSTER",
        "SETSLOT",
        &told,
        "IMPORTING",
        &cluster.id(from),
    ]);
    let _: () = node.command(&["CLUSTER", "SETSLOT", &told, "MIGRATING", &cluster.id(target)]);
    let error = branch.publish(&batch, 0).await.unwrap_err();
    assert!(error.is_outage(), "the call is put off as a whole: {error}");
    assert_eq!(node.command::<Vec<String>>(&["LRANGE", &keys.queue, "0", "-1"]), [element]);
    for index in [target, from] {
        let _: () = cluster.nodes[index].command(&["CLUSTER", "SETSLOT", &told, "STABLE"]);
    }
    let published = branch.publish(&batch, 0).await.unwrap();
    let Answer::Given(Published::Done { next, adopted: false, .. }) = published else {
        panic!("{published:?}")
    };
    assert_eq!((next.head.done, next.depth), (1, 0));
}
