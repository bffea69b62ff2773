//! Conditions of writes, with many writers at once.

use futures::future::join_all;
use onward::internals::repo::protection::{Action, Rule};
use onward::internals::repo::write_policy::{WriteRule, Written};
use reqwest::StatusCode;

use super::Gateway;

const WRITERS: usize = 16;

/// Many create one key. Which of them did; all others are told that it is there.
async fn create_at_once(s3: &Gateway, path: &str) -> usize {
    let puts = (0..WRITERS).map(|writer| {
        let call = s3.call("PUT", path).header("if-none-match", "*");
        async move { call.body(format!("writer {writer}")).send().await }
    });
    let answers = join_all(puts).await;
    let won: Vec<usize> =
        (0..WRITERS).filter(|writer| answers[*writer].status == StatusCode::OK).collect();
    for lost in answers.iter().filter(|answer| answer.status != StatusCode::OK) {
        assert_eq!(lost.told(), (412, "PreconditionFailed".into()));
    }
    assert_eq!(won.len(), 1, "{won:?} have created it");
    won[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_create_a_key_one_does() {
    let s3 = Gateway::start().await;
    for round in 0..4 {
        let path = format!("/lake/main/_delta_log/{round:020}.json");
        let winner = create_at_once(&s3, &path).await;
        assert_eq!(s3.get(&path).await.text(), format!("writer {winner}"));
    }
    // What lost has left nothing.
    assert_eq!(s3.stored("lake/data").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_is_replaced_as_it_was_read_loses_no_step() {
    let s3 = Gateway::start().await;
    s3.put("/lake/main/counter", "0").await;
    let steps = (0..8).map(|_| async {
        let mut done = 0;
        while done < 4 {
            let read = s3.get("/lake/main/counter").await;
            let next = (read.text().parse::<u64>().unwrap() + 1).to_string();
            let put = s3.call("PUT", "/lake/main/counter").header("if-match", read.etag());
            match put.body(next).send().await.status.as_u16() {
                200 => done += 1,
                412 | 503 => {}
                other => panic!("{other}"),
            }
        }
    });
    join_all(steps).await;
    assert_eq!(s3.get("/lake/main/counter").await.text(), "32");
}

#[tokio::test]
async fn a_condition_that_does_not_hold_changes_nothing() {
    let s3 = Gateway::start().await;
    let first = s3.put("/lake/main/a", "one").await;
    for (name, value) in [("if-none-match", "*"), ("if-match", "\"other\"")] {
        let put = s3.call("PUT", "/lake/main/a").header(name, value).body("two").send().await;
        assert_eq!(put.told(), (412, "PreconditionFailed".into()), "{name}");
    }
    let absent = s3.call("PUT", "/lake/main/b").header("if-match", "*").body("x").send().await;
    assert_eq!(absent.told(), (412, "PreconditionFailed".into()));
    let deleted = s3.call("DELETE", "/lake/main/a").header("if-match", "\"other\"").send().await;
    assert_eq!(deleted.told(), (412, "PreconditionFailed".into()));
    let by_date = s3
        .call("PUT", "/lake/main/a")
        .header("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")
        .body("x")
        .send()
        .await;
    assert_eq!(by_date.told(), (501, "NotImplemented".into()));
    assert_eq!(s3.get("/lake/main/a").await.text(), "one");
    assert_eq!(s3.stored("lake/data").await, 1);
    let right = s3.call("PUT", "/lake/main/a").header("if-match", first.etag()).body("two");
    assert_eq!(right.send().await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_each_put_is_a_commit_the_log_decides_who_creates_a_key() {
    let s3 = Gateway::start().await;
    let repo = s3.sidecar.onward.repo("lake");
    let rule = WriteRule::new("main", Written::Committed).below("tables/");
    repo.set_write_rule(rule).await.unwrap();
    for version in 0..3 {
        let path = format!("/lake/main/tables/_delta_log/{version:020}.json");
        let winner = create_at_once(&s3, &path).await;
        let committed = s3.get(&path.replace("main", "main%40")).await;
        assert_eq!(committed.text(), format!("writer {winner}"));
    }
    let head = repo.require_commit(&"main".parse().unwrap()).await.unwrap();
    let commit = repo.commit(&head).await.unwrap();
    assert!(commit.message.starts_with("S3: put tables/_delta_log/"), "{}", commit.message);
    // Other paths are staged.
    s3.put("/lake/main/other", "x").await;
    assert!(s3.stat("main", "other").await.is_some() && s3.stat("main@", "other").await.is_none());
    let deleted = s3.call("DELETE", "/lake/main/tables/_delta_log/00000000000000000000.json");
    assert_eq!(deleted.send().await.status, StatusCode::NO_CONTENT);
    assert!(s3.stat("main@", "tables/_delta_log/00000000000000000000.json").await.is_none());
}

#[tokio::test]
async fn the_folder_of_a_branch_has_conditions_too() {
    let s3 = Gateway::start().await;
    for (method, name, value) in [
        ("PUT", "if-none-match", "*"),
        ("PUT", "if-match", "\"other\""),
        ("DELETE", "if-match", "\"other\""),
    ] {
        let refused = s3.call(method, "/lake/main/").header(name, value).send().await;
        assert_eq!(refused.told(), (412, "PreconditionFailed".into()), "{method} {name}");
    }
    for method in ["PUT", "DELETE"] {
        let done = s3.call(method, "/lake/main/").header("if-match", "*").send().await;
        assert!(done.status.is_success(), "{method}: {}", done.text());
    }
}

#[tokio::test]
async fn of_many_keys_each_is_told_what_became_of_it() {
    let s3 = Gateway::start().await;
    let repo = s3.sidecar.onward.repo("lake");
    let rule = WriteRule::new("main", Written::Committed).below("tables/");
    repo.set_write_rule(rule).await.unwrap();
    for path in ["a", "tables/b"] {
        assert_eq!(s3.put(&format!("/lake/main/{path}"), "x").await.status, StatusCode::OK);
    }
    repo.protect(Rule::new("main").only([Action::Commit])).await.unwrap();
    let keys = ["main/a", "main/tables/b", "main/"];
    let keys = keys.map(|key| format!("<Object><Key>{key}</Key></Object>")).concat();
    let call = s3.call("POST", "/lake?delete=").body(format!("<Delete>{keys}</Delete>"));
    let answer = call.send().await;
    let (deleted, failed) = (answer.elements("Deleted"), answer.elements("Error"));
    assert_eq!((deleted.len(), failed.len()), (2, 1), "{}", answer.text());
    assert!(failed[0].contains("main/tables/b") && failed[0].contains("AccessDenied"));
    assert!(s3.stat("main", "a").await.is_none());
    assert!(s3.stat("main", "tables/b").await.is_some());
}

#[tokio::test]
async fn a_protected_branch_refuses_before_the_body_what_the_rules_would_write() {
    let s3 = Gateway::start().await;
    let repo = s3.sidecar.onward.repo("lake");
    let rule = WriteRule::new("main", Written::Committed).below("tables/");
    repo.set_write_rule(rule).await.unwrap();
    let protect = |action| {
        let rule = Rule::new("main").only([action]);
        repo.protect(rule)
    };
    protect(Action::Stage).await.unwrap();
    assert_eq!(s3.put("/lake/main/tables/a", "x").await.status, StatusCode::OK);
    assert_eq!(s3.get("/lake/main%40/tables/a").await.text(), "x");
    assert_eq!(s3.put("/lake/main/a", "x").await.told(), (403, "AccessDenied".into()));
    protect(Action::Commit).await.unwrap();
    assert_eq!(s3.put("/lake/main/a", "x").await.status, StatusCode::OK);
    let written = || s3.sidecar.deployment.objects.counters().bytes_written;
    let before = written();
    let refused = s3.put("/lake/main/tables/b", &"x".repeat(1 << 20)).await;
    assert_eq!(refused.told(), (403, "AccessDenied".into()));
    assert_eq!(written(), before);
}
