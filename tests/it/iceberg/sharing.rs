//! Several sidecars that work on one table: each lands what the others offer.

use std::collections::HashSet;

use bytes::Bytes;
use futures::future::join_all;
use onward::history::CommitInfo;
use onward::internals::clock;
use onward::internals::commit::faults::{Faults, Gate};
use onward_iceberg::catalog::Kind;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::faults::over_faulty_storage;
use super::parts::{Part, Sent, commuting, rows, sends, table, written};
use super::{at, load, log, set, snapshots};
use crate::support::faulty_store::{Fault, Op};
use crate::support::sidecar::Sidecar;
use crate::support::until::until_async;

/// How much is on the board of the table.
async fn offered(sidecar: &Sidecar) -> usize {
    let branch = sidecar.onward.repo("lake").branch("main");
    branch.offers("iceberg/a/t.table", &[]).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_on_offer_is_beaten_by_other_sidecars_twice_at_most() {
    let (sidecar, made) = table().await;
    let (sidecar, mut parts) = (&sidecar, Vec::new());
    for _ in 0..4 {
        parts.push(Part::of(sidecar, Faults::default(), &made).await);
    }
    let writers = (0..24i64).map(|writer| {
        let part = &parts[usize::try_from(writer).unwrap() % 4];
        async move {
            for nth in 0..8 {
                part.append(sidecar, 100 + writer * 8 + nth, 1).await.unwrap();
            }
        }
    });
    join_all(writers).await;
    let table = load(sidecar, "t").await;
    let mut ids = snapshots(&table);
    ids.sort_unstable();
    assert_eq!(ids, std::iter::once(1).chain(100..292).collect::<Vec<_>>());
    assert_eq!(rows(&table), "193", "each once");
    let counted: Vec<(u64, u64)> =
        parts.iter().map(|part| part.catalog.beaten_and_passed_by()).collect();
    let is_bound = |(beaten, passed_by): &(u64, u64)| *beaten <= 2 && *passed_by <= 1;
    assert!(counted.iter().all(is_bound), "{counted:?}");
    let commits = log(sidecar).await;
    assert!(commits.len() < 190, "one commit of the branch for several");
    let parts_of = |commit: &CommitInfo| {
        let said = commit.commit.metadata.get("iceberg.changes").cloned().unwrap_or_default();
        let ids =
            said.split(", ").filter_map(|one| one.strip_prefix("append ")?.parse::<i64>().ok());
        ids.filter(|id| *id >= 100).map(|id| (id - 100) / 8 % 4).collect::<HashSet<_>>().len()
    };
    assert!(commits.iter().any(|commit| parts_of(commit) > 1), "none landed for another");
    assert_eq!(offered(sidecar).await, 0, "nothing stays on the board");
}

/// A sidecar that is about to be told that its snapshot 2 was beaten by another one's snapshot 3.
struct Beaten {
    part: Part,
    faults: Faults,
    other: Part,
    body: Value,
    sent: Sent,
    gate: Gate,
}

impl Beaten {
    async fn of(sidecar: &Sidecar, made: &Value) -> Self {
        let faults = Faults::default();
        let part = Part::of(sidecar, faults.clone(), made).await;
        let gate = faults.hold("iceberg-written");
        let body = written(sidecar, &part.location, 2, Some(1)).await;
        let sent = sends(&part, &body);
        gate.reached().await;
        let other = Part::of(sidecar, Faults::default(), made).await;
        other.append(sidecar, 3, 1).await.unwrap();
        Self { part, faults, other, body, sent, gate }
    }

    /// It is told so, has made its offer, and stands before the gate again.
    async fn offers(mut self) -> Self {
        let gate = self.faults.hold("iceberg-offered");
        self.gate.open();
        gate.reached().await;
        self.gate = gate;
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_looked_before_an_offer_passes_it_by_and_the_next_one_lands_it() {
    let (sidecar, made) = &table().await;
    let slow = Beaten::of(sidecar, made).await;
    let faults = Faults::default();
    let early = Part::of(sidecar, faults.clone(), made).await;
    let looked = faults.hold("iceberg-written");
    let passes = sends(&early, &written(sidecar, &early.location, 4, Some(1)).await);
    looked.reached().await;
    let slow = slow.offers().await;
    assert_eq!(offered(sidecar).await, 1);
    let mut tries = slow.faults.hold("iceberg-written");
    slow.gate.open();
    tries.reached().await;
    looked.open();
    passes.await.unwrap().unwrap();
    assert_eq!(snapshots(&load(sidecar, "t").await), [1, 3, 4], "he knows nothing of it");
    // It is beaten by him, and stands before its next try, on what he made of the table.
    let before = std::mem::replace(&mut tries, slow.faults.hold("iceberg-written"));
    before.open();
    tries.reached().await;
    slow.other.append(sidecar, 5, 1).await.unwrap();
    let table = load(sidecar, "t").await;
    assert!(snapshots(&table).contains(&2), "whoever looks now lands it: {table}");
    tries.open();
    slow.sent.await.unwrap().unwrap();
    assert_eq!(rows(&load(sidecar, "t").await), "5", "each once");
    assert_eq!(slow.part.catalog.beaten_and_passed_by(), (2, 1));
    until_async("the board is empty", async || offered(sidecar).await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_offer_is_read_at_the_same_time_and_once() {
    let (sidecar, store) = &over_faulty_storage().await;
    let made = commuting(sidecar, "t").await;
    let faults = Faults::default();
    let part = Part::of(sidecar, faults.clone(), &made).await;
    let (branch, ids) = (sidecar.onward.repo("lake").branch("main"), 10..18);
    for id in ids.clone() {
        // Of a sidecar that has died.
        let request = written(sidecar, &part.location, id, Some(1)).await;
        let offer = json!({"version": 1, "request": request, "commute": false, "committer": "x"});
        let offer = (clock::new_op_id(), Bytes::from(offer.to_string()));
        branch.offer("iceberg/a/t.table", &[offer]).await.unwrap();
        store.fail_next_at(Op::Get, &format!("/snap-{id}-0.avro"), 1, Fault::Held);
    }
    let read = || {
        let asked = store.log();
        let is_it = |op: Op, key: &str, id: i64| {
            op == Op::Get && key.ends_with(&format!("/snap-{id}-0.avro"))
        };
        let times = |id| asked.iter().filter(|(op, key)| is_it(*op, key, id)).count();
        ids.clone().map(times).collect::<Vec<_>>()
    };
    let gate = faults.hold("iceberg-written");
    let sent = sends(&part, &written(sidecar, &part.location, 2, Some(1)).await);
    until_async("all are being read", async || read() == [1; 8]).await;
    ids.clone().for_each(|_| store.release());
    gate.reached().await;
    // It is beaten by what goes without offers, and makes its round anew.
    assert_eq!(sidecar.send("POST", &at("t"), set("k", "v")).await.0, StatusCode::OK);
    gate.open();
    sent.await.unwrap().unwrap();
    assert_eq!(rows(&load(sidecar, "t").await), "10");
    assert_eq!(read(), [1; 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sidecar_offered_before_it_died_is_landed_once_by_another() {
    let (sidecar, made) = table().await;
    let slow = Beaten::of(&sidecar, &made).await.offers().await;
    let Beaten { part: dying, other, body, sent, gate, .. } = slow;
    assert_eq!(offered(&sidecar).await, 1);
    sent.abort();
    other.append(&sidecar, 4, 1).await.unwrap();
    let table = load(&sidecar, "t").await;
    let mut ids = snapshots(&table);
    ids.sort_unstable();
    assert_eq!((ids, rows(&table)), (vec![1, 2, 3, 4], "4"));
    assert_eq!(offered(&sidecar).await, 0, "who landed it took it off");
    // Its client asks another one, and so does it itself, should it come to.
    let again = other.commit(&body).await.unwrap();
    assert_eq!(snapshots(again.metadata.json()).len(), 4);
    gate.open();
    let again = dying.commit(&body).await.unwrap();
    assert_eq!(snapshots(again.metadata.json()).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_refused_behind_an_offer_is_landed_by_nobody() {
    let (sidecar, made) = table().await;
    let Beaten { other, sent, gate, .. } = Beaten::of(&sidecar, &made).await.offers().await;
    // The owner changes his mind. The sidecar that does this sees the offer, behind its own commit.
    let no = json!({"action": "remove-properties", "removals": ["onward.appends"]});
    other.commit(&json!({"requirements": [], "updates": [no]})).await.unwrap();
    gate.open();
    assert_eq!(sent.await.unwrap().unwrap_err().kind, Kind::CommitFailed);
    until_async("the board is empty", async || offered(&sidecar).await == 0).await;
    let yes = json!({"action": "set-properties", "updates": {"onward.appends": "commute"}});
    other.commit(&json!({"requirements": [], "updates": [yes]})).await.unwrap();
    other.append(&sidecar, 4, 3).await.unwrap();
    assert_eq!(snapshots(&load(&sidecar, "t").await), [1, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_landed_is_not_told_as_failed_where_its_table_got_another_name() {
    let (sidecar, made) = table().await;
    let slow = Beaten::of(&sidecar, &made).await.offers().await;
    slow.other.append(&sidecar, 4, 1).await.unwrap();
    let name = |name: &str| json!({"namespace": ["a"], "name": name});
    let renamed = json!({"source": name("t"), "destination": name("u")});
    let url = format!("{}/tables/rename", super::MAIN);
    assert_eq!(sidecar.send("POST", &url, renamed).await.0, StatusCode::NO_CONTENT);
    assert!(snapshots(&load(&sidecar, "u").await).contains(&2), "it has landed");
    slow.gate.open();
    let told = slow.sent.await.unwrap().unwrap_err();
    assert_eq!(told.kind, Kind::CommitStateUnknown, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_sidecar_leaves_room_on_the_board_for_a_slow_one() {
    let (sidecar, made) = table().await;
    let Beaten { part: busy, faults, sent, gate, .. } = Beaten::of(&sidecar, &made).await;
    gate.open();
    sent.await.unwrap().unwrap();
    // By now it knows that the table is shared, and offers what it has before it begins.
    let gate = faults.hold("iceberg-written");
    let first = sends(&busy, &written(&sidecar, &busy.location, 10, Some(1)).await);
    gate.reached().await;
    let mut bodies = Vec::new();
    for id in 100..170 {
        bodies.push(written(&sidecar, &busy.location, id, Some(1)).await);
    }
    let next = faults.hold("iceberg-offered");
    let all = join_all(bodies.iter().map(|body| busy.commit(body)));
    let look = async {
        // All of them wait by now for the round behind this one.
        gate.open();
        next.reached().await;
        let many = offered(&sidecar).await;
        next.open();
        many
    };
    let (landed, many) = tokio::join!(all, look);
    assert!(landed.iter().all(Result::is_ok));
    first.await.unwrap().unwrap();
    assert_eq!(many, 16, "a quarter of it");
    assert_eq!(rows(&load(&sidecar, "t").await), "74");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_place_on_the_board_is_not_on_offer() {
    let (sidecar, made) = table().await;
    let branch = sidecar.onward.repo("lake").branch("main");
    let full: Vec<_> = (0..64).map(|_| (clock::new_op_id(), Bytes::from_static(b"{}"))).collect();
    assert_eq!(branch.offer("iceberg/a/t.table", &full).await.unwrap().len(), full.len());
    let faults = Faults::default();
    let part = Part::of(&sidecar, faults.clone(), &made).await;
    let other = Part::of(&sidecar, Faults::default(), &made).await;
    let body = written(&sidecar, &part.location, 2, Some(1)).await;
    let mut gate = faults.hold("iceberg-written");
    let sent = sends(&part, &body);
    for id in [3, 4] {
        gate.reached().await;
        let before = std::mem::replace(&mut gate, faults.hold("iceberg-written"));
        other.append(&sidecar, id, 1).await.unwrap();
        before.open();
    }
    gate.reached().await;
    gate.open();
    sent.await.unwrap().unwrap();
    assert_eq!(part.catalog.beaten_and_passed_by(), (0, 0), "it was beaten, and never on offer");
    assert_eq!(offered(&sidecar).await, full.len());
}
