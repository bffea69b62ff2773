//! What it takes to answer who comes late: of a log each commit is read once, of a list each page, and what a try has
//! learned the next one knows.

use futures::join;
use onward::RefExpr;
use onward::internals::commit::faults::Faults;
use onward_iceberg::catalog::{Kind, Looked};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::faults::over_faulty_storage;
use super::namesakes::{drop_table, of, refusal};
use super::parts::{Part, commuting, commuting_from, sends, table, written};
use super::{append, at, create, load, log, set, snapshots};
use crate::support::faulty_store::{Fault, Op};
use crate::support::lake::entry;
use crate::support::sidecar::Sidecar;
use crate::support::until::until_async;

/// So many commits of `main` that are none of a table.
async fn commits(sidecar: &Sidecar, many: usize) {
    let branch = sidecar.onward.repo("lake").branch("main");
    let commit = |nth: usize| {
        let commit = branch.change().put(format!("x/{nth}"), entry(1));
        async move { commit.commit().await.unwrap() }
    };
    futures::future::join_all((0..many).map(commit)).await;
}

/// How many commits of `main` there are behind the newest of which `is_it` is true.
async fn since(sidecar: &Sidecar, changes: &str) -> u64 {
    let said = |commit: &onward::history::CommitInfo| {
        commit.commit.metadata.get("iceberg.changes").is_some_and(|said| said == changes)
    };
    log(sidecar).await.iter().position(said).unwrap() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_since_its_base_is_read_for_a_straggler_and_for_the_next_one_what_is_new() {
    let (sidecar, made) = &table().await;
    let part = Part::of(sidecar, Faults::default(), made).await;
    commits(sidecar, 20).await;
    part.append(sidecar, 2, 1).await.unwrap();
    let stragglers = [
        written(sidecar, &part.location, 3, Some(2)).await,
        of(made, &written(sidecar, &part.location, 4, Some(2)).await),
    ];
    for id in 5..9 {
        part.append(sidecar, id, id - 1).await.ok();
    }
    commits(sidecar, 7).await;
    drop_table(sidecar).await;
    commits(sidecar, 3).await;
    let other = Part::of(sidecar, Faults::default(), made).await;
    let asks = async |body: &Value| {
        let before = other.catalog.looked().read;
        let told = other.commit(body).await.unwrap_err();
        assert_eq!(told.kind, Kind::NoSuchTable, "{told}");
        other.catalog.looked().read - before
    };
    assert_eq!(asks(&stragglers[0]).await, since(sidecar, "append 2").await + 1);
    assert_eq!(asks(&stragglers[1]).await, 0);
    commits(sidecar, 2).await;
    assert_eq!(asks(&stragglers[1]).await, 2);
    // There is another one of the name.
    commuting_from(sidecar, "t", 10).await;
    let told = other.commit(&stragglers[0]).await.unwrap_err();
    assert!(told.message.contains("another table"), "{told}");
    assert_eq!(told.kind, Kind::CommitFailed, "{told}");
    let told = other.commit(&stragglers[1]).await.unwrap_err();
    assert_eq!(told.kind, Kind::CommitFailed, "{told}");
    assert_eq!(other.catalog.looked().read, since(sidecar, "append 2").await + 1, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_longer_than_what_is_read_at_a_time_is_read_to_its_end() {
    let (sidecar, made) = &table().await;
    drop_table(sidecar).await;
    commits(sidecar, 5200).await;
    // It says of no table that it is for that one, and of no snapshot that it was made on it.
    let body = written(sidecar, made["location"].as_str().unwrap(), 9, None).await;
    let other = Part::of(sidecar, Faults::default(), made).await;
    for _ in 0..3 {
        let told = other.commit(&body).await.unwrap_err();
        assert_eq!(told.kind, Kind::NoSuchTable, "{told}");
        assert_eq!(other.catalog.looked().read, log(sidecar).await.len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_was_reset_has_no_history_but_that_which_its_head_leads_to() {
    let (sidecar, made) = &table().await;
    let part = Part::of(sidecar, Faults::default(), made).await;
    let landed = written(sidecar, &part.location, 2, Some(1)).await;
    let lake = sidecar.onward.repo("lake");
    let before: RefExpr =
        lake.require_commit(&"main".parse().unwrap()).await.unwrap().to_string().parse().unwrap();
    part.commit(&landed).await.unwrap();
    drop_table(sidecar).await;
    let other = Part::of(sidecar, Faults::default(), made).await;
    let told = other.commit(&landed).await.unwrap_err();
    assert_eq!(told.kind, Kind::CommitStateUnknown, "{told}");
    let main = lake.branch("main");
    main.reset_to(&before).await.unwrap();
    drop_table(sidecar).await;
    let told = other.commit(&landed).await.unwrap_err();
    assert_eq!(told.kind, Kind::NoSuchTable, "{told}");
    // And so where the head is one that it had before.
    main.reset_to(&before).await.unwrap();
    other.commit(&landed).await.unwrap();
    assert_eq!(snapshots(&load(sidecar, "t").await), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_by_a_revert_is_not_told_as_if_it_had_never_landed() {
    let (sidecar, made) = &table().await;
    let part = Part::of(sidecar, Faults::default(), made).await;
    let landed = written(sidecar, &part.location, 2, Some(1)).await;
    part.commit(&landed).await.unwrap();
    let main = sidecar.onward.repo("lake").branch("main");
    let newest = log(sidecar).await.remove(0).id;
    main.revert(newest.to_string().parse().unwrap(), None).commit().await.unwrap();
    let overtaken = written(sidecar, &part.location, 3, Some(1)).await;
    part.append(sidecar, 4, 1).await.unwrap();
    assert_eq!(snapshots(&load(sidecar, "t").await), [1, 4]);
    // It is stale by now, and its client wants nothing done about that.
    let optimistic = async |body: &Value| {
        let other = Part::of(sidecar, Faults::default(), made).await;
        other.commit_as(onward_iceberg::catalog::Mode::Optimistic, body).await
    };
    assert_eq!(snapshots(optimistic(&landed).await.unwrap().metadata.json()), [1, 4]);
    assert_eq!(optimistic(&overtaken).await.unwrap_err().kind, Kind::CommitFailed);
    drop_table(sidecar).await;
    assert_eq!(refusal(sidecar, made, &landed).await.kind, Kind::CommitStateUnknown);
    assert_eq!(refusal(sidecar, made, &overtaken).await.kind, Kind::NoSuchTable);
}

/// Adds snapshots to a table without any, and takes all but the last away again, so many at a time. The files of the
/// last are there.
async fn loses(sidecar: &Sidecar, many: i64, each: usize) -> Value {
    let made = create(sidecar, "t").await;
    let mut known = made.clone();
    let mut updates = Vec::new();
    for id in 1..=many {
        let body = append(&known, id);
        known["current-snapshot-id"] = id.into();
        known["last-sequence-number"] = id.into();
        updates.push(body["updates"][0].clone());
        if id == many {
            updates.push(body["updates"][1].clone());
        }
    }
    let last = written(sidecar, made["location"].as_str().unwrap(), many, None).await;
    let at_last = updates.len() - 2;
    updates[at_last]["snapshot"]["manifest-list"] =
        last["updates"][0]["snapshot"]["manifest-list"].clone();
    let all = json!({"requirements": [], "updates": updates});
    let (status, told) = sidecar.send("POST", &at("t"), all).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let ids: Vec<i64> = (1..many).collect();
    for ids in ids.chunks(each) {
        let removes = json!({"action": "remove-snapshots", "snapshot-ids": ids});
        let body = json!({"requirements": [], "updates": [removes]});
        assert_eq!(sidecar.send("POST", &at("t"), body).await.0, StatusCode::OK);
    }
    let commutes = set("onward.appends", "commute");
    assert_eq!(sidecar.send("POST", &at("t"), commutes).await.0, StatusCode::OK);
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_what_a_table_has_lost_are_read_at_the_same_time_and_eight_at_most() {
    const PAGES: usize = 11;
    let (sidecar, store) = &over_faulty_storage().await;
    let made = loses(sidecar, 600 * PAGES as i64 + 1, 600).await;
    let body = written(sidecar, made["location"].as_str().unwrap(), 100_000, Some(1)).await;
    let part = Part::of(sidecar, Faults::default(), &made).await;
    let before = store.log().len();
    // The list that the entry names is one of these, and read first.
    let gone = |asked: &[(Op, String)]| {
        asked[before..].iter().filter(|(op, at)| *op == Op::Get && at.contains("/gone-")).count()
    };
    store.fail_all_at(Op::Get, "/gone-", Fault::Held);
    let sent = sends(&part, &body);
    until_async("the list is being read", async || gone(&store.log()) == 1).await;
    store.release();
    until_async("as many pages as may", async || gone(&store.log()) == 1 + 8).await;
    assert!(!sent.is_finished());
    store.heal();
    (0..PAGES).for_each(|_| store.release());
    sent.await.unwrap().unwrap();
    assert_eq!(part.catalog.looked().files, 1 + PAGES as u64);
    assert_eq!(gone(&store.log()), 1 + PAGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_try_has_learned_is_not_asked_again_by_the_next_one_of_its_round() {
    const TRIES: u64 = 4;
    let (sidecar, _) = &over_faulty_storage().await;
    // A page that is too large to be kept for others, and a history that says of a table what the table does not.
    let first = commuting(sidecar, "t").await;
    let of_first = Part::of(sidecar, Faults::default(), &first).await;
    of_first.append(sidecar, 20_000, 1).await.unwrap();
    let elsewhere = written(sidecar, &of_first.location, 20_001, Some(20_000)).await;
    drop_table(sidecar).await;
    let made = loses(sidecar, 9600, 9600).await;
    let location = made["location"].as_str().unwrap();
    let faults = Faults::default();
    let part = Part::of(sidecar, faults.clone(), &made).await;
    let gate = faults.hold("iceberg-written");
    let front = sends(&part, &written(sidecar, location, 30_000, Some(9600)).await);
    gate.reached().await;
    // Both wait for the round behind that one. What is no append is offered to nobody.
    let property = set("k", "v");
    let mut held = faults.hold("iceberg-written");
    let other = Part::of(sidecar, Faults::default(), &made).await;
    let outruns = async {
        gate.open();
        let mut seen: Vec<Looked> = Vec::new();
        for nth in 0..TRIES {
            held.reached().await;
            seen.push(part.catalog.looked());
            let id = 40_000 + i64::try_from(nth).unwrap();
            other.append(sidecar, id, 9600).await.unwrap();
            let next = faults.hold("iceberg-written");
            std::mem::replace(&mut held, next).open();
        }
        held.reached().await;
        seen.push(part.catalog.looked());
        held.open();
        seen
    };
    let (told, landed, seen) = join!(part.commit(&elsewhere), part.commit(&property), outruns);
    front.await.unwrap().unwrap();
    landed.unwrap();
    let told = told.unwrap_err();
    assert_eq!(told.kind, Kind::CommitFailed, "{told}");
    let (first, last) = (seen.first().unwrap(), seen.last().unwrap());
    assert_eq!((first.files, last.files), (2, 2), "the list and its page, once: {seen:?}");
    // What others have committed since is all that is looked at.
    assert_eq!(last.read - first.read, TRIES, "{seen:?}");
    assert_eq!(last.heard - first.heard, TRIES, "{seen:?}");
    assert!(first.heard > TRIES, "{seen:?}");
}
