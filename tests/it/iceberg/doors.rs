//! Writers of one table at the same time, who know nothing of each other.

use futures::future::join_all;
use onward::internals::commit::faults::Faults;
use reqwest::StatusCode;
use serde_json::json;

use super::parts::{Part, table, written};
use super::{
    Beside, Told, append, at, catalog, create, load, log, refused, send_with, set, snapshots,
};
use crate::support::sidecar::Sidecar;

/// A writer as clients are: loads, commits, and after a conflict the same once more.
async fn write(sidecar: &Sidecar, id: i64) {
    for _ in 0..50 {
        let known = load(sidecar, "t").await;
        let (status, told) = sidecar.send("POST", &at("t"), append(&known, id)).await;
        match status {
            StatusCode::OK => return,
            StatusCode::CONFLICT => {}
            other => panic!("{other}: {told}"),
        }
    }
    panic!("writer {id} does not get through");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_writers_of_a_table_get_through() {
    let sidecar = &catalog().await;
    create(sidecar, "t").await;
    join_all((1..=16).map(|id| write(sidecar, id))).await;
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
    let changes = changes.filter(|changes| *changes != "create");
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
async fn a_copy_of_what_has_landed_waits_for_nobody() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    let first = append(&made, 1);
    sidecar.send("POST", &at("t"), first.clone()).await;
    refused(&sidecar.send("POST", &at("t"), append(&made, 2)).await, 409, "CommitFailedException");
    // The door is held for the other now; in line behind it stands one that may not go before him.
    let url = at("t");
    let waits = sidecar.send("POST", &url, set("k", "v"));
    let copy = async {
        let told = sidecar.send("POST", &at("t"), first).await;
        (told, load(&sidecar, "t").await["properties"].get("k").is_some())
    };
    let (waits, ((status, told), is_set)) = tokio::join!(waits, copy);
    assert_eq!((status, snapshots(&told["metadata"])), (StatusCode::OK, vec![1]));
    assert!(!is_set, "it waited for the door");
    assert_eq!(waits.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_landed_commit_is_not_told_as_failed_when_its_table_has_another_name() {
    let sidecar = catalog().await;
    let made = create(&sidecar, "t").await;
    let first = append(&made, 1);
    sidecar.send("POST", &at("t"), first.clone()).await;
    let body = json!({
        "source": {"namespace": ["a"], "name": "t"}, "destination": {"namespace": ["a"], "name": "u"},
    });
    sidecar.send("POST", &format!("{}/tables/rename", super::MAIN), body).await;
    let told = sidecar.send("POST", &at("t"), first.clone()).await;
    refused(&told, 504, "CommitStateUnknownException");
    let never = sidecar.send("POST", &at("t"), append(&made, 2)).await;
    refused(&never, 404, "NoSuchTableException");
    create(&sidecar, "t").await;
    let told = sidecar.send("POST", &at("t"), first).await;
    refused(&told, 504, "CommitStateUnknownException");
    let never = sidecar.send("POST", &at("t"), append(&made, 2)).await;
    refused(&never, 409, "CommitFailedException");
    assert_eq!(snapshots(&load(&sidecar, "u").await), [1]);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_refuses_it_is_not_brought_onto_what_others_did() {
    let (sidecar, made) = table().await;
    let part = Part::of(&sidecar, Faults::default(), &made).await;
    part.append(&sidecar, 2, 1).await.unwrap();
    let stale = written(&sidecar, &part.location, 3, Some(1)).await;
    let header = ("Onward-Commit-Mode", "optimistic");
    let told = send_with(&sidecar, &at("t"), header, &stale).await;
    refused(&told, 409, "CommitFailedException");
    let (status, _) = sidecar.send("POST", &at("t"), stale).await;
    assert_eq!(status, StatusCode::OK, "it may still be told otherwise");
}
