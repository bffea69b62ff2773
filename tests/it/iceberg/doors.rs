//! Writers of one table at the same time, who know nothing of each other.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use super::{
    Beside, Told, append, at, catalog, create, load, log, refused, send_with, set, snapshots,
};
use crate::support::sidecar::Sidecar;

/// A writer as clients are: loads, commits, and after a conflict the same once more. How often it was told one.
async fn write(sidecar: &Sidecar, id: i64) -> usize {
    let mut conflicts = 0;
    loop {
        let known = load(sidecar, "t").await;
        let (status, told) = sidecar.send("POST", &at("t"), append(&known, id)).await;
        match status {
            StatusCode::OK => return conflicts,
            StatusCode::CONFLICT => conflicts += 1,
            other => panic!("{other}: {told}"),
        }
        assert!(conflicts < 3, "writer {id} lost three times: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_loses_twice() {
    let sidecar = &catalog().await;
    create(sidecar, "t").await;
    let told = join_all((1..=16).map(|id| write(sidecar, id))).await;
    assert!(told.iter().all(|conflicts| *conflicts <= 1), "{told:?}");
    let mut landed = snapshots(&load(sidecar, "t").await);
    landed.sort_unstable();
    assert_eq!(landed, (1..=16).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_wants_it_is_told_at_once() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    sidecar.send("POST", &at("t"), append(&made, 1)).await;
    let mode = ("Onward-Commit-Mode", "optimistic");
    for id in [2, 3, 4] {
        let told = send_with(&sidecar, &at("t"), mode, &append(&made, id)).await;
        refused(&told, 409, "CommitFailedException");
    }
    // Nobody is held up by them.
    let known = load(&sidecar, "t").await;
    let told = send_with(&sidecar, &at("t"), mode, &append(&known, 5)).await;
    assert_eq!(told.0, StatusCode::OK);
    let odd =
        send_with(&sidecar, &at("t"), ("Onward-Commit-Mode", "odd"), &append(&known, 6)).await;
    refused(&odd, 400, "BadRequestException");
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_wait_become_one_commit_of_the_branch_that_names_each() {
    let sidecar = &catalog().await;
    create(sidecar, "t").await;
    let count = 40;
    let sent: Vec<Told> = join_all((0..count).map(async |n| {
        let key = format!("k{n}");
        sidecar.send("POST", &at("t"), set(&key, "v")).await
    }))
    .await;
    assert!(sent.iter().all(|told| told.0 == StatusCode::OK), "{sent:?}");
    let table = load(sidecar, "t").await;
    let set = (0..count).filter(|n| table["properties"][format!("k{n}")] == "v").count();
    assert_eq!(set, count);
    let log = log(sidecar).await;
    let changes = log.iter().filter_map(|info| info.commit.metadata.get("iceberg.changes"));
    let named: Vec<usize> = changes.map(|changes| changes.split(", ").count()).collect();
    assert_eq!(named.iter().sum::<usize>(), count, "each is named once");
    assert!(named.len() < count, "some were together");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_told_again_also_when_the_table_has_moved_on() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    let first = append(&made, 1);
    sidecar.send("POST", &at("t"), first.clone()).await;
    let second = load(&sidecar, "t").await;
    sidecar.send("POST", &at("t"), append(&second, 2)).await;
    let (status, told) = sidecar.send("POST", &at("t"), first.clone()).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(snapshots(&told["metadata"]), [1, 2]);
    // The table has trimmed it since.
    let trim = json!({"requirements": [], "updates": [{"action": "remove-snapshots", "snapshot-ids": [1]}]});
    let (status, told) = sidecar.send("POST", &at("t"), trim).await;
    assert_eq!((status, snapshots(&told["metadata"])), (StatusCode::OK, vec![2]));
    let (status, told) = sidecar.send("POST", &at("t"), first).await;
    assert_eq!((status, snapshots(&told["metadata"])), (StatusCode::OK, vec![2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sidecars_lose_no_commit_of_each_other() {
    let sidecar = &catalog().await;
    let other = &Beside::start(sidecar.deployment.connect().await).await;
    create(sidecar, "t").await;
    let count = 40;
    let sent = join_all((0..count).map(async |n| {
        let body = set(&format!("k{n}"), "v");
        match n % 2 {
            0 => sidecar.send("POST", &at("t"), body).await,
            _ => other.send("POST", &at("t"), body).await,
        }
    }));
    let sent: Vec<Told> = sent.await;
    assert!(sent.iter().all(|told| told.0 == StatusCode::OK), "{sent:?}");
    let table = load(sidecar, "t").await;
    let set = (0..count).filter(|n| table["properties"][format!("k{n}")] == "v").count();
    assert_eq!(set, count);
    // What one has landed the other knows by its snapshot.
    let first = append(&table, 1);
    assert_eq!(sidecar.send("POST", &at("t"), first.clone()).await.0, StatusCode::OK);
    let (status, told) = other.send("POST", &at("t"), first).await;
    assert_eq!((status, snapshots(&told["metadata"])), (StatusCode::OK, vec![1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_dropped_or_renamed_among_writers_is_so_whole() {
    let sidecar = &catalog().await;
    create(sidecar, "t").await;
    let writers = join_all(
        (0..20).map(async |n| sidecar.send("POST", &at("t"), set(&format!("k{n}"), "v")).await),
    );
    let body = json!({
        "source": {"namespace": ["a"], "name": "t"}, "destination": {"namespace": ["a"], "name": "u"},
    });
    let url = format!("{}/tables/rename", super::MAIN);
    let rename = sidecar.send("POST", &url, body);
    let (sent, renamed) = tokio::join!(writers, rename);
    assert_eq!(renamed.0, StatusCode::NO_CONTENT, "{}", renamed.1);
    let table = load(sidecar, "u").await;
    for (n, told) in sent.iter().enumerate() {
        let is_set = table["properties"][format!("k{n}")] == "v";
        match told.0 {
            StatusCode::OK => assert!(is_set, "acknowledged and lost: {n}"),
            _ => {
                refused(told, 404, "NoSuchTableException");
                assert!(!is_set);
            }
        }
    }
}
