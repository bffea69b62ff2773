//! Receivers that answer oddly: slowly, without an end, over TLS, or not for some branches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onward_server::sinks::NewSink;
use reqwest::StatusCode;
use serde_json::json;

use super::receiver::{Receiver, Reply, distinct, in_order};
use super::{Deliverer, commit, webhook};
use crate::cli::{Desk, Said};
use crate::support::lake::Deployment;
use crate::support::root::root;
use crate::support::sidecar::Sidecar;
use crate::support::until::until_async;

/// What is read of an answer beside what is asked for, at most: what the sockets of both ends hold, and some pieces.
const BUFFERED_MAX: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_taken_when_the_status_says_so_however_the_body_goes_on() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let deliverer = Deliverer::start(&onward);
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let mut number = 0;
    receiver.answers(move |_| {
        number += 1;
        match number % 2 {
            0 => Reply::Begins("it goes"),
            _ => Reply::Endless(Arc::clone(&counted)),
        }
    });
    deliverer.add(NewSink { timeout: Duration::from_millis(300), ..webhook(&receiver.url) }).await;
    for n in 0..6 {
        commit(&main, n).await;
    }
    let got = receiver.until_events(6).await;
    in_order(&got);
    until_async("all are noted", || async {
        let all = deliverer.sinks.list(&super::lake()).await.unwrap();
        all[0].delivered == 6 && all[0].state == "live"
    })
    .await;
    assert_eq!(receiver.got().len(), 6, "none came twice");
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 3 * BUFFERED_MAX, "{sent} bytes of three answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_whose_reason_does_not_end_is_heeded_for_its_status() {
    let sidecar = Sidecar::with(|config| config.allow_sinks = vec!["127.0.0.1".into()]).await;
    let receiver = Receiver::start().await;
    let rule = "/onward/v1/repositories/lake/protection/main";
    let check = json!({"check": {"url": receiver.url, "timeout_ms": 300}});
    assert_eq!(sidecar.send("PUT", rule, check).await.0, StatusCode::OK);
    let main = sidecar.onward.repo("lake").branch("main");
    receiver.answers(|_| Reply::Begins("{"));
    main.change().allow_empty(true).commit().await.unwrap().commit().unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    receiver.answers(move |_| Reply::Endless(Arc::clone(&counted)));
    main.change().allow_empty(true).commit().await.unwrap().commit().unwrap();
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < BUFFERED_MAX, "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_whose_events_hang_hold_up_no_other_of_the_same_sink_for_long() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, lake) = (Receiver::start().await, onward.repo("lake"));
    let deliverer = Deliverer::start(&onward);
    // More of them than are under way at a time.
    let hang: Vec<String> = (0..10).map(|n| format!("hang-{n}")).collect();
    for name in hang.iter().map(String::as_str).chain(["well-1", "well-2"]) {
        lake.branch(name).create(&"main".parse().unwrap()).await.unwrap();
    }
    receiver.answers(|got| match got.place().0.starts_with("hang") {
        true => Reply::Silence,
        false => Reply::Status(204),
    });
    let branches = vec!["hang-*".to_owned(), "well-*".to_owned()];
    let timeout = Duration::from_millis(200);
    deliverer.add(NewSink { branches, timeout, ..webhook(&receiver.url) }).await;
    for name in &hang {
        commit(&lake.branch(name), 0).await;
    }
    receiver.until("they hang", |got| got.len() >= 8).await;
    for n in 0..10 {
        commit(&lake.branch("well-1"), n).await;
        commit(&lake.branch("well-2"), n).await;
    }
    let well = |got: &[super::receiver::Got]| {
        distinct(got).iter().filter(|got| got.place().0.starts_with("well")).count()
    };
    let got = receiver.until("the others came", |got| well(got) == 20).await;
    in_order(&got);
    until_async("those that hang are still to come", || async {
        deliverer.state("audit").await.0 == "failing"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_over_tls_must_have_a_certificate_of_an_authority_that_is_trusted() {
    let receiver = Receiver::encrypted().await;
    let by_address = receiver.url.clone();
    let in_the_clear = Receiver::start().await;
    let plain = in_the_clear.url.clone();
    let by_name = by_address.replace("127.0.0.1", "localhost");
    let ended = tokio::task::spawn_blocking(move || {
        let desk = Desk::lake();
        let run = |trusted: &str, words: &str| {
            let words: Vec<&str> = words.split_whitespace().collect();
            let mut command = desk.command(&words);
            command.env("ONWARD_ALLOW_SINK", "127.0.0.1 localhost");
            command.env("SSL_CERT_FILE", trusted).env_remove("SSL_CERT_DIR");
            Said::of(command.output().unwrap())
        };
        let ours = root().join("tests/fixtures/tls/ca.pem");
        let ours = ours.to_str().unwrap();
        let theirs = root().join("tests/fixtures/tls/server.pem");
        let theirs = theirs.to_str().unwrap();
        for (id, url) in [("address", &by_address), ("name", &by_name)] {
            let made = run(ours, &format!("sink add lake {url} --id {id}"));
            assert_eq!(made.code, 0, "{}", made.stderr);
            let taken = run(ours, &format!("sink test lake {id} --json"));
            assert_eq!((taken.code, &taken.json()["taken"]), (0, &json!(true)), "{}", taken.stderr);
            // Those of somebody else, and none at all.
            for (trusted, why) in [(theirs, "certificate"), ("/dev/null", "ca-certificates")] {
                let strange = run(trusted, &format!("sink test lake {id} --json"));
                let told = strange.json();
                assert_eq!((strange.code, &told["taken"]), (1, &json!(false)), "{told}");
                let reason = told["reason"].as_str().unwrap();
                assert!(reason.contains(why), "{reason}");
            }
        }
        // Without any, what is plain is sent.
        let made = run("/dev/null", &format!("sink add lake {plain} --id plain"));
        assert_eq!(made.code, 0, "{}", made.stderr);
        let taken = run("/dev/null", "sink test lake plain --json");
        assert_eq!((taken.code, &taken.json()["taken"]), (0, &json!(true)), "{}", taken.stdout);
        // So is a check.
        let made = run(ours, &format!("protect add lake main --check {by_address}"));
        assert_eq!(made.code, 0, "{}", made.stderr);
        assert_eq!(run("/dev/null", "commit lake/main -m x --allow-empty").code, 5);
        let done = run(ours, "commit lake/main -m x --allow-empty");
        assert_eq!(done.code, 0, "{}", done.stderr);
    });
    ended.await.unwrap();
    assert_eq!(receiver.got().len(), 3);
}
