//! Ops of several producers, as a consumer of many partitions makes them: all of them advance with the
//! op or none does, whoever decides it and whatever Redis has lost.

use std::collections::BTreeMap;

use onward::internals::commit::op::queued::QueuedOp;
use onward::internals::repo::ChangeBuilder;
use onward::{ErrorKind, Onward, OpId, Outcome, Producer};

use crate::support::branch::{Audit, Ghost, Snapshot, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::until::PATIENCE;
use crate::support::verify::sound;

/// Partition, epoch and sequence of each.
type Places<'a> = &'a [(&'a str, u64, u64)];

fn producers(places: Places) -> Vec<Producer> {
    places.iter().map(|(name, epoch, sequence)| Producer::new(*name, *epoch, *sequence)).collect()
}

/// What a consumer that has these partitions commits, to a path of its own.
fn produced(onward: &Onward, n: usize, places: Places) -> ChangeBuilder {
    let change = onward.repo("lake").branch("main").change().producers(producers(places));
    change.put(format!("p/{n:06}"), entry(n))
}

async fn commit(onward: &Onward, n: usize, places: Places<'_>) -> Outcome {
    produced(onward, n, places).commit().await.unwrap()
}

/// A commit of no changes.
async fn claim(onward: &Onward, places: Places<'_>) -> Outcome {
    let main = onward.repo("lake").branch("main");
    main.change().producers(producers(places)).commit().await.unwrap()
}

/// Epoch and sequence of each partition, as one that starts again learns them.
async fn rows(onward: &Onward, names: &[&str]) -> Vec<Option<(u64, u64)>> {
    let main = onward.repo("lake").branch("main");
    let found = main.producers(names.iter().copied()).await.unwrap();
    names.iter().map(|name| found.get(*name).map(|last| (last.epoch, last.sequence))).collect()
}

/// Which producer an op came too late for.
fn late(outcome: &Outcome) -> (&'static str, &str) {
    let standing = outcome.standing().unwrap_or_else(|| panic!("{outcome:?}"));
    (outcome.name(), &standing.asked.name)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_partitions_advance_with_one_commit_and_are_read_together() {
    let (_deployment, onward) = Deployment::lake().await;
    let committed = commit(&onward, 1, &[("t/1", 1, 20), ("t/0", 1, 10)]).await;
    assert!(committed.commit().is_some(), "{committed:?}");
    let main = onward.repo("lake").branch("main");
    let found = main.producers(["t/0", "t/1", "t/2"]).await.unwrap();
    let told: BTreeMap<&str, _> = found
        .iter()
        .map(|(name, last)| (name.as_str(), (last.epoch, last.sequence, last.commit)))
        .collect();
    let commit = committed.commit();
    assert_eq!(told, BTreeMap::from([("t/0", (1, 10, commit)), ("t/1", (1, 20, commit))]));
    assert_eq!(main.producer("t/1").await.unwrap(), Some(found["t/1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_op_again_is_told_its_outcome_whatever_redis_has_lost_and_applies_nothing() {
    let (deployment, onward) = Deployment::lake().await;
    let places: Places = &[("t/0", 1, 10), ("t/1", 1, 20)];
    let turned: Places = &[("t/1", 1, 20), ("t/0", 1, 10)];
    let first = commit(&onward, 1, places).await;
    let keys = keys(&deployment.objects, "main").await;
    let lose = |what: &[&str]| deployment.redis.command::<redis::Value>(what);
    for lost in [&["PING"][..], &["DEL", &keys.ops], &["FLUSHALL"], &["PING"]] {
        lose(lost);
        for places in [places, turned] {
            let again = commit(&onward, 1, places).await;
            assert_eq!((again.commit(), again.ticket()), (first.commit(), first.ticket()));
            assert!(again.details().repeated, "{again:?}");
        }
    }
    // The very same places under another id are those of another op.
    let another = produced(&onward, 2, places).op_id(op_id(2)).commit().await.unwrap();
    assert_eq!(late(&another), ("behind", "t/0"));
    let Outcome::Behind { earlier_op, earlier, .. } = another else { panic!() };
    assert_eq!(
        (earlier_op, earlier),
        (Some(Producer::op_id_of(&producers(places))), first.commit())
    );
    assert_eq!(rows(&onward, &["t/0", "t/1"]).await, [Some((1, 10)), Some((1, 20))]);
    Audit::of(&deployment.objects, "main").await;
    sound(&onward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_fences_who_had_the_partition_and_what_that_one_has_besides_stays() {
    let (deployment, onward) = Deployment::lake().await;
    let zombie = deployment.connect().await;
    commit(&zombie, 1, &[("t/0", 1, 10), ("t/1", 1, 20)]).await;
    // Another consumer is given the second partition, and says so before it writes.
    let claimed = claim(&onward, &[("t/1", 2, 20)]).await;
    assert_eq!(claimed.name(), "no_changes");
    assert_eq!(rows(&onward, &["t/0", "t/1"]).await, [Some((1, 10)), Some((2, 20))]);
    let fenced = commit(&zombie, 2, &[("t/0", 1, 15), ("t/1", 1, 25)]).await;
    assert_eq!(late(&fenced), ("fenced", "t/1"));
    assert_eq!(rows(&onward, &["t/0", "t/1"]).await, [Some((1, 10)), Some((2, 20))]);
    let lake = onward.repo("lake");
    let path = "p/000002".parse().unwrap();
    let written = lake.stat(&onward::RefExpr::plain("main"), &path).await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::NotFound);
    // What is still its own it goes on with, and so does the new owner.
    assert!(commit(&zombie, 3, &[("t/0", 1, 15)]).await.commit().is_some());
    assert!(commit(&onward, 4, &[("t/1", 2, 25)]).await.commit().is_some());
    // The claim again is the claim.
    let again = claim(&onward, &[("t/1", 2, 20)]).await;
    assert_eq!((again.name(), again.details().repeated), ("no_changes", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_that_one_partition_has_come_past_advances_none() {
    let (_deployment, onward) = Deployment::lake().await;
    commit(&onward, 1, &[("t/0", 1, 10), ("t/1", 1, 20)]).await;
    commit(&onward, 2, &[("t/2", 5, 1)]).await;
    let overlap = commit(&onward, 3, &[("t/0", 1, 10), ("t/1", 1, 25), ("t/3", 1, 1)]).await;
    assert_eq!(late(&overlap), ("behind", "t/0"));
    // One that is fenced counts before one that is behind.
    let both = commit(&onward, 4, &[("t/0", 1, 9), ("t/2", 4, 9)]).await;
    assert_eq!(late(&both), ("fenced", "t/2"));
    let there = rows(&onward, &["t/0", "t/1", "t/2", "t/3"]).await;
    assert_eq!(there, [Some((1, 10)), Some((1, 20)), Some((5, 1)), None]);
    assert!(commit(&onward, 5, &[("t/0", 1, 11), ("t/1", 1, 25)]).await.commit().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_in_turn_is_what_is_told_at_once() {
    let (deployment, onward) = Deployment::lake().await;
    let asked: [Places; 4] = [
        &[("t/0", 1, 10), ("t/1", 2, 20)],
        &[("t/0", 1, 10), ("t/1", 2, 25)],
        &[("t/0", 1, 9), ("t/1", 1, 25)],
        &[("t/0", 1, 11), ("t/1", 2, 21)],
    ];
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let mut handles = Vec::new();
    for (n, places) in asked.iter().enumerate() {
        handles.push(produced(&onward, n, places).submit().await.unwrap());
    }
    drop(ghost);
    let mut in_turn = Vec::new();
    for handle in &mut handles {
        in_turn.push(handle.wait(PATIENCE).await.unwrap());
    }
    assert!(in_turn[0].commit().is_some() && in_turn[3].commit().is_some(), "{in_turn:?}");
    assert_eq!(late(&in_turn[1]), ("behind", "t/0"));
    assert_eq!(late(&in_turn[2]), ("fenced", "t/1"));
    for n in [1, 2] {
        let at_once = produced(&onward, n, asked[n]).op_id(op_id(100 + n)).commit().await.unwrap();
        assert_eq!(late(&at_once), late(&in_turn[n]));
    }
    Audit::of(&deployment.objects, "main").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lost_the_rows_has_them_again_before_anything_is_decided() {
    let (deployment, onward) = Deployment::lake().await;
    let zombie = deployment.connect().await;
    commit(&zombie, 1, &[("t/0", 1, 10), ("t/1", 1, 20)]).await;
    let snapshot = Snapshot::take(&deployment.redis);
    claim(&onward, &[("t/0", 2, 10), ("t/1", 2, 20)]).await;
    // A failover to before the claim: by its rows the op would be in order, and by the log it is not.
    snapshot.put_back(&deployment.redis);
    let fenced = commit(&zombie, 2, &[("t/0", 1, 15), ("t/1", 1, 25)]).await;
    assert_eq!(late(&fenced), ("fenced", "t/0"));
    let audit = Audit::of(&deployment.objects, "main").await;
    assert_eq!(audit.ops.len(), 4, "the root, the two before, and this one in its turn");
    let _: String = deployment.redis.command(&["FLUSHALL"]);
    let fenced = commit(&zombie, 3, &[("t/0", 1, 15), ("t/1", 1, 25)]).await;
    assert_eq!(late(&fenced), ("fenced", "t/0"));
    assert_eq!(rows(&onward, &["t/0", "t/1"]).await, [Some((2, 10)), Some((2, 20))]);
    assert!(commit(&onward, 4, &[("t/0", 2, 15), ("t/1", 2, 25)]).await.commit().is_some());
    sound(&onward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_consumer_left_in_the_queue_is_decided_before_its_partitions_are_told() {
    let (deployment, onward) = Deployment::lake().await;
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    produced(&onward, 1, &[("t/0", 1, 10), ("t/1", 1, 20)]).submit().await.unwrap();
    produced(&onward, 2, &[("t/2", 1, 30)]).submit().await.unwrap();
    onward.close().await;
    drop(ghost);
    let there = deployment.connect().await;
    assert_eq!(rows(&there, &["t/1", "t/9"]).await, [Some((1, 20)), None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_has_as_many_producers_as_may_be_and_each_once() {
    let (deployment, onward) = Deployment::lake().await;
    let many = |count: usize| -> Vec<Producer> {
        (0..count).map(|n| Producer::new(format!("{n:03}"), 1, n as u64)).collect()
    };
    let main = onward.repo("lake").branch("main");
    // Many such ops at once: more than a batch has.
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let mut handles = Vec::new();
    for round in 0..40_u64 {
        let mut producers = many(Producer::PER_OP_MAX);
        producers.iter_mut().for_each(|each| each.epoch = round);
        let change = main.change().producers(producers).op_id(op_id(round as usize));
        handles.push(change.put("p", entry(1)).submit().await.unwrap());
    }
    drop(ghost);
    for handle in &mut handles {
        let outcome = handle.wait(PATIENCE).await.unwrap();
        assert!(outcome.commit().is_some(), "{outcome:?}");
    }
    let names: Vec<String> = many(Producer::PER_OP_MAX).into_iter().map(|p| p.name).collect();
    let found = main.producers(names).await.unwrap();
    assert_eq!(found.len(), Producer::PER_OP_MAX);
    assert!(found.values().all(|last| last.epoch == 39), "{found:?}");

    let refused = |producers: Vec<Producer>| {
        let change = main.change().producers(producers).put("p", entry(1));
        async move { change.commit().await.unwrap_err() }
    };
    let too_many = refused(many(Producer::PER_OP_MAX + 1)).await;
    assert!(too_many.message().contains("256 producers at most"), "{too_many}");
    let twice = refused(producers(&[("a", 1, 1), ("b", 1, 1), ("a", 1, 2)])).await;
    assert!(twice.message().contains("producer 'a' is named twice"), "{twice}");
    let nameless = refused(producers(&[("", 1, 1), ("b", 1, 1)])).await;
    assert_eq!(nameless.kind(), ErrorKind::InvalidInput);
    let long: Vec<Producer> = (0..64).map(|n| Producer::new(format!("{n:0200}"), 1, 1)).collect();
    let long = refused(long).await;
    assert!(long.message().contains("the limit is 8192"), "{long}");
    let asked = main.producers((0..10_001).map(|n| n.to_string())).await.unwrap_err();
    assert!(asked.message().contains("10001 producers"), "{asked}");
}

/// What a program that knows no such op sees of it: a version of which it knows that it is newer.
#[tokio::test(flavor = "multi_thread")]
async fn an_op_of_several_is_left_to_programs_that_know_of_it_and_one_of_one_is_not() {
    let (deployment, onward) = Deployment::lake().await;
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    produced(&onward, 1, &[("t/0", 1, 10)]).submit().await.unwrap();
    produced(&onward, 2, &[("t/0", 1, 11), ("t/1", 1, 20)]).submit().await.unwrap();
    let elements: Vec<Vec<u8>> = redis::cmd("LRANGE")
        .arg(&keys.queue)
        .arg(0)
        .arg(-1)
        .query(&mut deployment.redis.connect())
        .unwrap();
    assert_eq!(elements.iter().map(|element| element[37]).collect::<Vec<_>>(), [1, 3]);
    let [one, two] = [0, 1].map(|n| QueuedOp::decode(&elements[n]).unwrap());
    assert_eq!(one.id, OpId::of_producer("t/0", 1, 10));
    assert_eq!(two.producers(), producers(&[("t/0", 1, 11), ("t/1", 1, 20)]));
    drop(ghost);
}
