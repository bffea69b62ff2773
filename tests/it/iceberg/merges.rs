//! Merges of branches whose tables both sides have changed, while others change them too.

use std::time::Duration;

use onward::internals::commit::faults::Faults;
use onward::{Entry, ObjectPath, RefExpr, TicketStatus};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Beside, MAIN, append, at, create, load, set, snapshots};
use crate::support::lake::Deployment;
use crate::support::sidecar::{Sidecar, told};

const ONCE: &str = "0193a7c0-0000-4000-8000-000000000001";
const MERGE: &str = "/onward/v1/repositories/lake/branches/main/merge";

/// The URL of the table `a.t` on the branch `try`.
fn aside() -> String {
    at("t").replace("lake@main", "lake@try")
}

fn path() -> ObjectPath {
    ObjectPath::new("iceberg/a/t.table").unwrap()
}

/// A sidecar whose faults are the caller's, with a table whose appends commute on `main` and on its branch `try`.
async fn forked() -> (Sidecar, Faults) {
    let faults = Faults::default();
    let (deployment, onward) = Deployment::lake().await;
    let armed = deployment.connect_with(faults.clone()).await;
    drop(onward);
    let sidecar = Sidecar::over(deployment, armed, |_| {}).await;
    sidecar.send("POST", &format!("{MAIN}/namespaces"), json!({"namespace": ["a"]})).await;
    create(&sidecar, "t").await;
    change(&sidecar, &at("t"), set("onward.appends", "commute")).await;
    let main: RefExpr = "main".parse().unwrap();
    sidecar.onward.repo("lake").branch("try").create(&main).await.unwrap();
    (sidecar, faults)
}

async fn change(sidecar: &Sidecar, url: &str, body: Value) -> Value {
    let (status, told) = sidecar.send("POST", url, body).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    told["metadata"].clone()
}

/// A snapshot on `try`, and a property on `main`: what merges without a look at any manifest.
async fn part(sidecar: &Sidecar) {
    let (_, table) = sidecar.get(&aside()).await;
    change(sidecar, &aside(), append(&table["metadata"], 1)).await;
    change(sidecar, &at("t"), set("owner", "me")).await;
}

async fn entry(sidecar: &Sidecar, branch: &str) -> Entry {
    sidecar.onward.repo("lake").stat(&branch.parse().unwrap(), &path()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_others_outrun_is_worked_out_again_in_rounds_that_count() {
    let (sidecar, faults) = forked().await;
    part(&sidecar).await;
    let other = Beside::start(sidecar.deployment.connect_with(Faults::default()).await).await;
    let request =
        || told(sidecar.request("POST", MERGE).json(&json!({"source": "try", "op_id": ONCE})));
    let mut gate = faults.hold("iceberg-written");
    let outrun = async {
        for round in 0..3 {
            gate.reached().await;
            let (status, told) = other.send("POST", &at("t"), set(&format!("k{round}"), "v")).await;
            assert_eq!(status, StatusCode::OK, "{told}");
            let next = faults.hold("iceberg-written");
            std::mem::replace(&mut gate, next).open();
        }
        // The fourth round is let through.
        gate.reached().await;
        gate.open();
    };
    let ((status, made), ()) = tokio::join!(request(), outrun);
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let table = load(&sidecar, "t").await;
    assert_eq!(snapshots(&table), [1]);
    for key in ["owner", "k0", "k1", "k2"] {
        assert!(table["properties"][key].is_string(), "{table}");
    }
    // Asked for again it is the same merge, whichever round it was made in.
    let (status, again) = request().await;
    assert_eq!(
        (status, &again["commit"], &again["repeated"]),
        (status, &made["commit"], &json!(true))
    );
    // And so is its ticket.
    let main = sidecar.onward.repo("lake").branch("main");
    let op_id = ONCE.parse().unwrap();
    let waited = main.ticket_wait(op_id, Duration::ZERO).await.unwrap();
    assert_eq!(json!(waited.commit().unwrap().to_string()), made["commit"]);
    let found = main.ticket_status(op_id).await.unwrap();
    let TicketStatus::Decided(found) = found else { panic!("{found:?}") };
    assert_eq!(found.commit(), waited.commit());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_in_a_conflict_in_its_turn_keeps_its_ticket() {
    let (sidecar, faults) = forked().await;
    part(&sidecar).await;
    change(&sidecar, &aside(), set("k", "theirs")).await;
    let other = Beside::start(sidecar.deployment.connect_with(Faults::default()).await).await;
    let gate = faults.hold("iceberg-written");
    let asked = json!({"source": "try", "op_id": ONCE});
    let merge = tokio::spawn(told(sidecar.request("POST", MERGE).json(&asked)));
    gate.reached().await;
    let (status, told) = other.send("POST", &at("t"), set("k", "ours")).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    gate.open();
    let (status, told) = merge.await.unwrap();
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    assert_eq!(told["tables"][0]["reason"], "both sides changed the property 'k'");
    let main = sidecar.onward.repo("lake").branch("main");
    let found = main.ticket_status(ONCE.parse().unwrap()).await.unwrap();
    let TicketStatus::Decided(found) = found else { panic!("{found:?}") };
    assert_eq!(json!(found.ticket().unwrap().0), told["ticket"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_together_gives_way_where_the_branch_has_become_as_one_side() {
    // Few changes, and so many that they are a run of their own.
    for (objects, becomes) in [(0, "try"), (700, "try"), (0, "base"), (700, "base")] {
        let (sidecar, faults) = forked().await;
        let lake = sidecar.onward.repo("lake");
        let base = entry(&sidecar, "main").await;
        part(&sidecar).await;
        let mut more = lake.branch("try").change();
        for n in 0..objects {
            more = more
                .put(format!("o/{n:04}"), Entry::new(format!("s3://b/{n}"), 1, format!("c{n}")));
        }
        if objects > 0 {
            more.commit().await.unwrap();
        }
        let theirs = entry(&sidecar, "try").await;
        let gate = faults.hold("iceberg-written");
        let merge =
            tokio::spawn(told(sidecar.request("POST", MERGE).json(&json!({"source": "try"}))));
        gate.reached().await;
        let now = if becomes == "try" { theirs.clone() } else { base };
        let changed =
            lake.branch("main").change().put(path().as_str(), now).commit().await.unwrap();
        assert!(changed.commit().is_some(), "{changed:?}");
        gate.open();
        let (status, made) = merge.await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{made}");
        // As a plain merge of that moment comes out: the source's side.
        let found = entry(&sidecar, "main").await;
        assert_eq!(found.checksum, theirs.checksum, "{objects} {becomes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_merge_would_do_to_tables_is_told_without_doing_it() {
    let (sidecar, _) = forked().await;
    part(&sidecar).await;
    let before = entry(&sidecar, "main").await;
    let tried = json!({"source": "try", "dry_run": true});
    let (status, told) = sidecar.send("POST", MERGE, tried.clone()).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!((&told["conflicts_total"], &told["surviving"]), (&json!(0), &json!(1)));
    assert_eq!(entry(&sidecar, "main").await, before);
    change(&sidecar, &aside(), set("owner", "you")).await;
    let (_, told) = sidecar.send("POST", MERGE, tried).await;
    assert_eq!((&told["conflicts_total"], &told["surviving"]), (&json!(1), &json!(0)));
    let (status, told) = sidecar.send("POST", MERGE, json!({"source": "try"})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    let table = &told["tables"][0];
    assert_eq!((&table["namespace"], &table["name"]), (&json!(["a"]), &json!("t")));
    assert_eq!((&table["source_snapshot"], &table["dest_snapshot"]), (&json!(1), &Value::Null));
    assert_eq!(table["reason"], "both sides changed the property 'owner'");
    assert_eq!(entry(&sidecar, "main").await, before);
}
