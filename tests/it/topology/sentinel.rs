//! A primary and a replica under the eyes of Sentinels.

use std::time::Duration;

use onward::ErrorKind;
use onward::internals::coord::LaneOptions;
use onward::internals::coord::Lanes;

use crate::support::load::{Lake, Load, check};
use crate::support::seed::cases;
use crate::support::topology::Watched;

fn branches() -> Vec<String> {
    ["main", "side"].map(str::to_owned).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_primary_is_replaced_and_its_writers_go_on() {
    let mut watched = tokio::task::block_in_place(|| Watched::new(3));
    let (lake, onward) = Lake::with_branches(watched.url(), &branches()).await;
    let onwards = [onward, lake.connect().await];
    let mut load = Load::start(&onwards, &branches(), 1);
    for _ in 0..cases(2) {
        load.goes_on(100).await;
        let old = watched.primary().unwrap();
        let new = load.fault(|| {
            watched.servers[old].kill9();
            watched.fails_over(old)
        });
        load.goes_on(100).await;
        tokio::task::block_in_place(|| watched.comes_back(old, new));
    }
    let (told, faults) = load.finish().await;
    check("Sentinel, killed", &lake, &lake.connect().await, &told, &faults).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_had_lagged_behind_takes_over_without_a_loss() {
    let mut watched = tokio::task::block_in_place(|| Watched::new(1));
    let (lake, onward) = Lake::with_branches(watched.url(), &branches()).await;
    let onwards = [onward, lake.connect().await];
    let mut load = Load::start(&onwards, &branches(), 1);
    for _ in 0..cases(1) {
        load.goes_on(50).await;
        let old = watched.primary().unwrap();
        tokio::task::block_in_place(|| watched.stop_replication(old));
        // These are acknowledged, and the replica knows nothing of them.
        load.goes_on(100).await;
        let new = load.fault(|| {
            watched.servers[old].kill9();
            watched.fails_over(old)
        });
        load.goes_on(100).await;
        tokio::task::block_in_place(|| watched.comes_back(old, new));
    }
    let (told, faults) = load.finish().await;
    check("Sentinel, lagging", &lake, &lake.connect().await, &told, &faults).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_primary_is_replaced_and_does_no_harm_when_it_wakes() {
    let watched = tokio::task::block_in_place(|| Watched::new(1));
    let (lake, onward) = Lake::with_branches(watched.url(), &branches()).await;
    let onwards = [onward, lake.connect().await];
    let mut load = Load::start(&onwards, &branches(), 1);
    for _ in 0..cases(1) {
        load.goes_on(50).await;
        let old = watched.primary().unwrap();
        load.fault(|| {
            watched.servers[old].pause();
            watched.fails_over(old);
        });
        load.goes_on(50).await;
        // What was on its way to it is carried out now, by a primary of the past.
        watched.servers[old].resume();
        load.goes_on(100).await;
        tokio::task::block_in_place(|| watched.settled());
    }
    let (told, faults) = load.finish().await;
    check("Sentinel, frozen", &lake, &lake.connect().await, &told, &faults).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_cut_off_and_goes_on_accepting_harms_nothing() {
    let watched = tokio::task::block_in_place(|| Watched::new(1));
    let (lake, onward) = Lake::with_branches(watched.url(), &branches()).await;
    let left = [onward, lake.connect().await];
    let mut load = Load::start(&left, &branches(), 1);
    load.goes_on(50).await;
    let old = watched.primary().unwrap();
    let new = load.fault(|| {
        watched.cut_off(old);
        watched.fails_over(old)
    });
    // Those who were connected stay where they are; those who come now find the new primary.
    let right = [lake.connect().await, lake.connect().await];
    let other = Load::start(&right, &branches(), 1_000_000);
    other.goes_on(100).await;
    load.goes_on(100).await;
    for server in [old, new] {
        let role = crate::support::topology::info(&watched.servers[server], "role");
        assert_eq!(role, "master", "there are two of them");
    }
    load.fault(|| {
        watched.joined_again(old);
        watched.settled();
    });
    load.goes_on(100).await;
    other.goes_on(100).await;
    let (mut told, faults) = load.finish().await;
    told.extend(other.finish().await.0);
    check("Sentinel, two primaries", &lake, &lake.connect().await, &told, &faults).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_and_sentinels_ask_for_logins_of_their_own() {
    let watched = tokio::task::block_in_place(|| Watched::new(1));
    for server in &watched.servers {
        let words = ["ACL", "SETUSER", "app", "on", ">p@ss/word", "~onward:*", "+@all", "-@admin"];
        let _: () = server.command(&words);
    }
    let words = ["ACL", "SETUSER", "finder", "on", ">hid%den", "+@all"];
    let _: () = watched.ask_sentinel(&words);
    let at = watched.url().replace("redis-sentinel://", "");
    let url = |password: &str, hidden: &str| {
        format!(
            "redis-sentinel://app:{password}@{at}?sentinel_user=finder&sentinel_password={hidden}"
        )
    };
    let (lake, onward) = Lake::with_branches(url("p%40ss%2Fword", "hid%25den"), &branches()).await;
    let load = Load::start(&[onward], &branches(), 1);
    load.goes_on(20).await;
    let primary = watched.primary().unwrap();
    let clients: String = watched.servers[primary].command(&["CLIENT", "LIST"]);
    assert!(clients.contains(" user=app "), "{clients}");
    let (told, faults) = load.finish().await;
    check("Sentinel, with logins", &lake, &lake.connect().await, &told, &faults).await;
    for wrong in [url("guess", "hid%25den"), url("p%40ss%2Fword", "guess")] {
        let options = LaneOptions { patience: Duration::ZERO, ..LaneOptions::default() };
        let error = Lanes::open(&wrong, options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let text = error.to_string();
        assert!(text.contains("authentication failed"), "{text}");
        assert!(!text.contains("guess") && !text.contains("ss%2F"), "{text}");
    }
}
