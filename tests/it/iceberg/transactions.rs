//! Several tables in one commit.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{MAIN, append, at, catalog, create, load, log, refused, snapshots};
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
async fn transactions_over_the_same_tables_do_not_lose_twice() {
    let sidecar = &catalog().await;
    create(sidecar, "t").await;
    create(sidecar, "u").await;
    let write = async |id: i64| {
        for tries in 0..3 {
            let (t, u) = (load(sidecar, "t").await, load(sidecar, "u").await);
            // In either order: that of the request is nobody's business.
            let mut changes = vec![("t", append(&t, id)), ("u", append(&u, id + 100))];
            if id % 2 == 0 {
                changes.reverse();
            }
            match send(sidecar, together(changes)).await {
                (StatusCode::NO_CONTENT, _) => return tries,
                (StatusCode::CONFLICT, _) => {}
                (other, told) => panic!("{other}: {told}"),
            }
        }
        panic!("transaction {id} lost three times");
    };
    let told = join_all((1..=8).map(write)).await;
    assert!(told.iter().all(|tries| *tries <= 1), "{told:?}");
    assert_eq!(snapshots(&load(sidecar, "t").await).len(), 8);
    assert_eq!(snapshots(&load(sidecar, "u").await).len(), 8);
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
