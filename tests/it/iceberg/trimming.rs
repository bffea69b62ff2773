//! Tables that lose what nothing needs any more, and what is still known of it.

use futures::{TryStreamExt, join};
use onward::internals::commit::faults::Faults;
use onward_iceberg::catalog::{Catalog, Kind};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::faults::over_faulty_storage;
use super::parts::{Part, commuting, rows, sends, table, written};
use super::{MAIN, append, at, catalog, create, load, log, snapshots};
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::lake::entry;
use crate::support::sidecar::Sidecar;
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
    let told = u.commit(&same).await.unwrap();
    assert_eq!((rows(told.metadata.json()), rows(&load(&sidecar, "t").await)), ("4", "3"));
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
    // What it has lost so far is in the log alone, as with programs that keep no list of it.
    let (_, told) = sidecar.get(&at("t")).await;
    assert_eq!(sidecar.send("DELETE", &at("t"), json!({})).await.0, StatusCode::NO_CONTENT);
    let register = json!({"name": "t", "metadata-location": told["metadata-location"]});
    let url = format!("{MAIN}/namespaces/a/register");
    assert_eq!(sidecar.send("POST", &url, register).await.0, StatusCode::OK);
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

/// Lets nobody read the log of `main`, but for its newest entry and what is in memory.
async fn close_log(sidecar: &Sidecar, store: &FaultyStore) {
    let listed = sidecar.deployment.objects.list("lake/log", None).map_ok(|listed| listed.key);
    let mut entries: Vec<String> = listed.try_collect().await.unwrap();
    entries.sort();
    entries.pop();
    entries.iter().for_each(|entry| store.fail_all_at(Op::Get, entry, Fault::Outage));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_table_has_lost_is_known_however_long_ago_it_was() {
    let (sidecar, store) = over_faulty_storage().await;
    let made = commuting(&sidecar, "t").await;
    let part = Part::of(&sidecar, Faults::default(), &made).await;
    trim(&part).await;
    let landed = written(&sidecar, &part.location, 2, Some(1)).await;
    part.commit(&landed).await.unwrap();
    for id in 3..6 {
        part.append(&sidecar, id, id - 1).await.unwrap();
    }
    let first = written(&sidecar, &part.location, 1, None).await;
    let with_uuid = |mut body: Value| {
        let uuid = json!({"type": "assert-table-uuid", "uuid": made["table-uuid"]});
        body["requirements"].as_array_mut().unwrap().push(uuid);
        body
    };
    let commits = log(&sidecar).await.len();
    close_log(&sidecar, &store).await;
    let fresh = Part::of(&sidecar, Faults::default(), &made).await;
    for body in [&landed, &with_uuid(first)] {
        let told = fresh.commit(body).await.unwrap();
        assert_eq!(rows(told.metadata.json()), "5");
    }
    // And so is what never was there.
    let new = written(&sidecar, &part.location, 9, Some(1)).await;
    let told = fresh.commit(&new).await.unwrap();
    assert_eq!(rows(told.metadata.json()), "6");
    store.heal();
    assert_eq!(log(&sidecar).await.len(), commits + 1);
    // A list that is not there any more leaves it to the log.
    let branch = sidecar.onward.repo("lake").branch("main");
    let entry = branch.stat(&"iceberg/a/t.table".parse().unwrap()).await.unwrap().unwrap();
    let list = sidecar.deployment.objects.key_of(&entry.metadata["iceberg.lost"]).unwrap();
    sidecar.deployment.objects.delete(list).await.unwrap();
    let fresh = Part::of(&sidecar, Faults::default(), &made).await;
    for body in [&landed, &new] {
        let told = fresh.commit(body).await.unwrap();
        assert_eq!(rows(told.metadata.json()), "6");
    }
    fresh.append(&sidecar, 10, 9).await.unwrap();
    assert_eq!(rows(&load(&sidecar, "t").await), "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_snapshots_that_are_lost_are_known() {
    const MANY: i64 = 1300;
    let sidecar = catalog().await;
    let mut known = create(&sidecar, "t").await;
    let mut bodies = Vec::new();
    for id in 1..=MANY {
        bodies.push(append(&known, id));
        known["current-snapshot-id"] = id.into();
        known["last-sequence-number"] = id.into();
    }
    // A commit for each would take long: all of them, and then all but the last taken away, some at a time.
    let adds = |body: &Value| body["updates"][0].clone();
    let mut updates: Vec<Value> = bodies.iter().map(adds).collect();
    updates.push(bodies.last().unwrap()["updates"][1].clone());
    let all = json!({"requirements": [], "updates": updates});
    let (status, told) = sidecar.send("POST", &at("t"), all).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let ids: Vec<i64> = (1..MANY).collect();
    for ids in ids.chunks(400) {
        let removes = json!({"action": "remove-snapshots", "snapshot-ids": ids});
        let body = json!({"requirements": [], "updates": [removes]});
        assert_eq!(sidecar.send("POST", &at("t"), body).await.0, StatusCode::OK);
    }
    let fresh = super::Beside::start(sidecar.deployment.connect().await).await;
    let commits = log(&sidecar).await.len();
    for id in [1, 2, 399, 400, 401, 900, MANY - 2, MANY - 1] {
        let body = bodies[usize::try_from(id).unwrap() - 1].clone();
        let (status, told) = fresh.send("POST", &at("t"), body).await;
        assert_eq!((status, snapshots(&told["metadata"])), (StatusCode::OK, vec![MANY]), "{id}");
    }
    assert_eq!(log(&sidecar).await.len(), commits);
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
