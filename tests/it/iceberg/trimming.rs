//! Tables that lose what nothing needs any more, and what is still known of it.

use futures::{TryStreamExt, join};
use onward::internals::commit::faults::Faults;
use onward_iceberg::catalog::{Catalog, Kind};
use serde_json::json;

use super::faults::over_faulty_storage;
use super::parts::{Part, commuting, rows, sends, table, written};
use super::{load, log, snapshots};
use crate::support::faulty_store::{Fault, Op};
use crate::support::lake::entry;
use crate::support::until::until_async;

/// Makes a table keep its newest snapshot and no more.
async fn trim(part: &Part) {
    let trims =
        json!({"onward.expire-snapshots": "true", "history.expire.max-snapshot-age-ms": "1"});
    let set =
        json!({"requirements": [], "updates": [{"action": "set-properties", "updates": trims}]});
    part.commit(&set).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trimmed_snapshot_is_known_to_every_sidecar_by_the_log() {
    let (sidecar, made) = table().await;
    let part = Part::of(&sidecar, Faults::default(), &made).await;
    trim(&part).await;
    let first = written(&sidecar, &part.location, 1, None).await;
    let second = written(&sidecar, &part.location, 2, Some(1)).await;
    part.commit(&second).await.unwrap();
    for id in 3..6 {
        part.append(&sidecar, id, id - 1).await.unwrap();
    }
    let table = load(&sidecar, "t").await;
    assert!(snapshots(&table).iter().all(|id| *id > 2), "{:?}", snapshots(&table));
    // Whoever brings history over says himself when that was.
    let dated = sidecar.onward.repo("lake").branch("main").change().put("x", entry(1)).date_ms(1);
    dated.commit().await.unwrap();
    // One that has just started, and remembers nothing. The first append of all was made on no snapshot.
    let other = Part::of(&sidecar, Faults::default(), &made).await;
    let commits = log(&sidecar).await.len();
    for body in [&first, &second] {
        let told = other.commit(body).await.unwrap();
        assert_eq!(rows(told.metadata.json()), "5");
    }
    assert_eq!(log(&sidecar).await.len(), commits, "none is made again");
    // What has not landed, and was made on what is gone, is not taken for it.
    let new = written(&sidecar, &part.location, 9, Some(1)).await;
    let told = other.commit(&new).await.unwrap();
    assert_eq!(rows(told.metadata.json()), "6");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_landed_in_one_table_is_not_taken_for_what_another_has_lost() {
    let (sidecar, made) = table().await;
    let (other, faults) = (commuting(&sidecar, "u").await, Faults::default());
    let t = Part::of(&sidecar, faults, &made).await;
    let u = Part::within(&t.catalog, "u", &other).await;
    trim(&u).await;
    for id in 2..4 {
        t.append(&sidecar, id, id - 1).await.unwrap();
        u.append(&sidecar, id + 10, 1).await.unwrap();
    }
    // Snapshot 2 landed in the other table, and whoever begins on 1 may have been here.
    let same = written(&sidecar, &u.location, 2, Some(1)).await;
    let told = u.commit(&same).await.unwrap_err();
    assert_eq!(told.kind, Kind::CommitStateUnknown, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_read_fails_those_alone_who_need_it() {
    let (sidecar, store) = over_faulty_storage().await;
    let made = commuting(&sidecar, "t").await;
    let part = Part::of(&sidecar, Faults::default(), &made).await;
    trim(&part).await;
    for id in 2..5 {
        part.append(&sidecar, id, id - 1).await.unwrap();
    }
    // One that has read no more of the log than its end. The entry with snapshot 1 cannot be read; in front of it are
    // the branch's first one, the namespace and the table.
    let objects = &sidecar.deployment.objects;
    let listed = objects.list("lake/log", None).map_ok(|listed| listed.key);
    let mut entries: Vec<String> = listed.try_collect().await.unwrap();
    entries.sort();
    store.fail_all_at(Op::Get, &entries[3], Fault::Outage);
    let faults = Faults::default();
    let fresh = Part::of(&sidecar, faults.clone(), &made).await;
    let gate = faults.hold("iceberg-written");
    let first = sends(&fresh, &written(&sidecar, &fresh.location, 5, Some(4)).await);
    gate.reached().await;
    let doubtful = written(&sidecar, &fresh.location, 6, Some(1)).await;
    let sound = written(&sidecar, &fresh.location, 7, Some(5)).await;
    // Both wait for the next round when the gate is opened: they are asked for in this order.
    let open = async { gate.open() };
    let (told, landed, ()) = join!(fresh.commit(&doubtful), fresh.commit(&sound), open);
    first.await.unwrap().unwrap();
    landed.unwrap();
    let told = told.unwrap_err();
    assert_eq!(told.kind, Kind::CommitStateUnknown, "{told}");
    store.heal();
    // What is further back than that on which it is made is not looked at.
    store.fail_all_at(Op::Get, &entries[2], Fault::Outage);
    let fresh = Part::of(&sidecar, Faults::default(), &made).await;
    let last = fresh.commit(&doubtful).await.unwrap();
    assert_eq!(rows(last.metadata.json()), "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_one_table_that_are_slow_to_read_keep_nobody_waiting_at_another() {
    const MANY: usize = 128;
    let (sidecar, store) = over_faulty_storage().await;
    let (made, other) = (commuting(&sidecar, "t").await, commuting(&sidecar, "u").await);
    let catalog = Catalog::new(sidecar.deployment.connect().await, None);
    let slow = Part::within(&catalog, "t", &made).await;
    let quick = Part::within(&catalog, "u", &other).await;
    // By now the sidecar knows that appends to both commute, and reads what comes ahead.
    slow.append(&sidecar, 2, 1).await.unwrap();
    quick.append(&sidecar, 2, 1).await.unwrap();
    let key = sidecar.deployment.objects.key_of(&slow.location).unwrap().to_owned();
    let mut sent = Vec::new();
    for id in 1000..1000 + MANY as i64 {
        let body = written(&sidecar, &slow.location, id, Some(1)).await;
        store.fail_next_at(Op::Get, &format!("{key}/metadata/snap-{id}-"), 1, Fault::Held);
        sent.push(sends(&slow, &body));
    }
    let held = async || {
        let asked = store.log();
        let of_lists = |(op, at): &&(Op, String)| {
            *op == Op::Get && at.contains("/snap-1") && !at.contains("/snap-1-")
        };
        asked.iter().filter(of_lists).count() >= MANY
    };
    until_async("all are being read", held).await;
    let told = quick.append(&sidecar, 3, 1).await.unwrap();
    assert_eq!(rows(told.metadata.json()), "3");
    assert!(sent.iter().all(|sent| !sent.is_finished()), "they are still being read");
    (0..MANY).for_each(|_| store.release());
    for one in sent {
        one.await.unwrap().unwrap();
    }
    assert_eq!(rows(&load(&sidecar, "t").await), "130");
}
