//! Several tables in one commit.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{MAIN, append, at, catalog, create, load, log, refused, set, snapshots};
use crate::support::sidecar::Sidecar;

/// Changes of tables of `a` as one transaction.
fn together(changes: Vec<(&str, Value)>) -> Value {
    let named = |(name, mut change): (&str, Value)| {
        change["identifier"] = json!({"namespace": ["a"], "name": name});
        change
    };
    json!({"table-changes": changes.into_iter().map(named).collect::<Vec<_>>()})
}

async fn send(sidecar: &Sidecar, body: Value) -> super::Told {
    sidecar.send("POST", &format!("{MAIN}/transactions/commit"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tables_change_in_one_commit_or_none_does() {
    let sidecar = catalog().await;
    let (t, u) = (create(&sidecar, "t").await, create(&sidecar, "u").await);
    let both = together(vec![("u", append(&u, 1)), ("t", append(&t, 2))]);
    let before = count(&sidecar).await;
    let (status, told) = send(&sidecar, both.clone()).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{told}");
    assert_eq!(count(&sidecar).await, before + 1);
    assert_eq!(snapshots(&load(&sidecar, "t").await), [2]);
    assert_eq!(snapshots(&load(&sidecar, "u").await), [1]);
    assert_eq!(send(&sidecar, both).await.0, StatusCode::NO_CONTENT, "its reply was lost");
    assert_eq!(count(&sidecar).await, before + 1);
    // One of them is stale.
    let now = load(&sidecar, "t").await;
    let stale = together(vec![("t", append(&now, 3)), ("u", append(&u, 4))]);
    refused(&send(&sidecar, stale).await, 409, "CommitFailedException");
    assert_eq!(snapshots(&load(&sidecar, "t").await), [2]);
    for (body, status, name) in [
        (
            together(vec![("t", append(&now, 5)), ("none", append(&u, 6))]),
            404,
            "NoSuchTableException",
        ),
        (
            together(vec![("t", append(&now, 5)), ("t", append(&now, 6))]),
            400,
            "BadRequestException",
        ),
        (together(vec![]), 400, "BadRequestException"),
        (json!({}), 400, "BadRequestException"),
        (json!({"table-changes": [append(&now, 5)]}), 400, "BadRequestException"),
    ] {
        refused(&send(&sidecar, body).await, status, name);
    }
    assert_eq!(count(&sidecar).await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_over_the_same_tables_all_get_through() {
    let sidecar = &catalog().await;
    create(sidecar, "t").await;
    create(sidecar, "u").await;
    let write = async |id: i64| {
        for _ in 0..50 {
            let (t, u) = (load(sidecar, "t").await, load(sidecar, "u").await);
            // In either order: that of the request is nobody's business.
            let mut changes = vec![("t", append(&t, id)), ("u", append(&u, id + 100))];
            if id % 2 == 0 {
                changes.reverse();
            }
            match send(sidecar, together(changes)).await {
                (StatusCode::NO_CONTENT, _) => return,
                (StatusCode::CONFLICT, _) => {}
                (other, told) => panic!("{other}: {told}"),
            }
        }
        panic!("transaction {id} does not get through");
    };
    join_all((1..=8).map(write)).await;
    assert_eq!(snapshots(&load(sidecar, "t").await).len(), 8);
    assert_eq!(snapshots(&load(sidecar, "u").await).len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_has_landed_is_known_also_where_a_table_shows_nothing_of_it() {
    let sidecar = catalog().await;
    let beside = |metadata: &Value| {
        json!({
            "requirements": [{"type": "assert-current-schema-id", "current-schema-id": 0}],
            "updates": [{"action": "set-properties", "updates": {"of": metadata["table-uuid"]}}],
        })
    };
    // Whichever of them is judged first.
    for (shows, other) in [("t", "u"), ("w", "v")] {
        let (first, second) = (create(&sidecar, shows).await, create(&sidecar, other).await);
        let both = together(vec![(shows, append(&first, 1)), (other, beside(&second))]);
        let (status, told) = send(&sidecar, both.clone()).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{told}");
        // What it did to the table that shows nothing is done away with meanwhile, and its assertion fails.
        for name in [shows, other] {
            let known = load(&sidecar, name).await;
            let mut schema = known["schemas"].as_array().unwrap().last().unwrap().clone();
            let id = known["last-column-id"].as_i64().unwrap() + 1;
            let more =
                json!({"id": id, "name": format!("c{id}"), "type": "long", "required": false});
            schema["fields"].as_array_mut().unwrap().push(more);
            let change = json!({"requirements": [], "updates": [
                {"action": "add-schema", "schema": schema},
                {"action": "set-current-schema", "schema-id": -1},
                {"action": "remove-properties", "removals": ["of"]},
            ]});
            assert_eq!(sidecar.send("POST", &at(name), change).await.0, StatusCode::OK);
        }
        let before = count(&sidecar).await;
        let (status, told) = send(&sidecar, both).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{told}");
        assert_eq!(count(&sidecar).await, before, "it is not carried out again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_over_many_tables_with_long_names_lands() {
    let sidecar = &catalog().await;
    let name = |n: usize| format!("{}{n}", "n".repeat(200));
    join_all((0..50).map(async |n| create(sidecar, &name(n)).await)).await;
    let names: Vec<String> = (0..50).map(name).collect();
    let changes = names.iter().map(|name| (name.as_str(), super::set("k", "v"))).collect();
    let (status, told) = send(sidecar, together(changes)).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{told}");
}

/// Commits of the branch.
async fn count(sidecar: &Sidecar) -> usize {
    log(sidecar).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_one_table_is_a_commit_of_it() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    assert_eq!(
        send(&sidecar, together(vec![("t", append(&made, 1))])).await.0,
        StatusCode::NO_CONTENT
    );
    let stale = send(&sidecar, together(vec![("t", append(&made, 2))])).await;
    refused(&stale, 409, "CommitFailedException");
    let now = load(&sidecar, "t").await;
    assert_eq!(sidecar.send("POST", &at("t"), append(&now, 2)).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_stays_as_it_is_keeps_no_other_from_changing() {
    let sidecar = catalog().await;
    create(&sidecar, "t").await;
    create(&sidecar, "u").await;
    assert_eq!(sidecar.send("POST", &at("t"), set("k", "v")).await.0, StatusCode::OK);
    let (before, commits) = (load(&sidecar, "t").await, count(&sidecar).await);
    let both = together(vec![("t", set("k", "v")), ("u", set("k", "v"))]);
    assert_eq!(send(&sidecar, both.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(load(&sidecar, "u").await["properties"]["k"], "v");
    assert_eq!((load(&sidecar, "t").await, count(&sidecar).await), (before, commits + 1));
    assert_eq!(send(&sidecar, both).await.0, StatusCode::NO_CONTENT);
    assert_eq!(count(&sidecar).await, commits + 1, "nothing is left to be done");
}
