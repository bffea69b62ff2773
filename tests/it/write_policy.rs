//! How objects are written that come alone: rules for branches and prefixes, by the library, the command
//! and HTTP.

use onward::admin::{WriteRule, Written};
use onward::{ErrorKind, RefExpr};
use reqwest::StatusCode;
use serde_json::json;

use crate::cli::Desk;
use crate::support::lake::Deployment;
use crate::support::sidecar::{Sidecar, told};
use crate::support::until::until_async;

const POLICY: &str = "/onward/v1/repositories/lake/write_policy";

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_staged_unless_a_rule_says_otherwise_and_another_process_follows_soon() {
    let (deployment, onward) = Deployment::lake().await;
    let (lake, elsewhere) = (onward.repo("lake"), deployment.connect().await.repo("lake"));
    let (main, log) = (lake.branch("main"), "t/_delta_log/0.json".parse().unwrap());
    assert_eq!(main.written(&log).await.unwrap(), Written::Staged);
    assert_eq!(elsewhere.branch("main").written(&log).await.unwrap(), Written::Staged);
    let rule = WriteRule::new("ma?n", Written::Committed).below("t/_delta_log/");
    lake.set_write_rule(rule.clone()).await.unwrap();
    assert_eq!(main.written(&log).await.unwrap(), Written::Committed);
    assert_eq!(main.written(&"t/0.parquet".parse().unwrap()).await.unwrap(), Written::Staged);
    assert_eq!(lake.branch("dev").written(&log).await.unwrap(), Written::Staged);
    until_async("the rule holds in another process", || async {
        elsewhere.branch("main").written(&log).await.unwrap() == Written::Committed
    })
    .await;
    // In the place of the one for the same branches and paths.
    lake.set_write_rule(WriteRule { write: Written::Staged, ..rule }).await.unwrap();
    assert_eq!(main.written(&log).await.unwrap(), Written::Staged);
    assert_eq!(lake.write_policy().await.unwrap().len(), 1);
    lake.remove_write_rule("ma?n", "t/_delta_log/").await.unwrap();
    let error = lake.remove_write_rule("ma?n", "t/_delta_log/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = lake.set_write_rule(WriteRule::new("a/b", Written::Staged)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(lake.write_policy().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_each_write_reads_no_object_for_each() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let before = deployment.objects.counters().gets;
    for n in 0..200 {
        main.written(&format!("t/{n}").parse().unwrap()).await.unwrap();
    }
    let read = deployment.objects.counters().gets - before;
    assert!(read < 20, "{read} objects read for 200 questions");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_end_with_their_repository_and_those_of_a_newer_program_stay() {
    let (deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    let rule = WriteRule::new("main", Written::Committed);
    lake.set_write_rule(rule.clone()).await.unwrap();
    let mut newer = deployment.objects.get("lake/write-policy").await.unwrap().unwrap().to_vec();
    newer[0] = 2;
    deployment.objects.put("lake/write-policy", newer.clone().into()).await.unwrap();
    let fresh = deployment.connect().await.repo("lake");
    for error in [
        fresh.set_write_rule(rule).await.unwrap_err(),
        fresh.write_policy().await.unwrap_err(),
        // What cannot be read is not guessed.
        fresh.branch("main").written(&"a".parse().unwrap()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NewerVersion, "{error}");
    }
    assert_eq!(*deployment.objects.get("lake/write-policy").await.unwrap().unwrap(), newer);
    lake.delete().await.unwrap();
    assert!(deployment.objects.get("lake/write-policy").await.unwrap().is_none());
    lake.create(&"main".parse().unwrap()).await.unwrap();
    assert_eq!(lake.write_policy().await.unwrap(), []);
    assert!(lake.show_commit(&RefExpr::plain("main")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_replaced_over_http_all_or_none_and_as_they_were_read() {
    let sidecar = Sidecar::start().await;
    let rules = |pattern: &str| {
        json!({"rules": [
            {"pattern": pattern, "prefix": "", "write": "stage"},
            {"pattern": pattern, "prefix": "t/", "write": "commit"},
        ]})
    };
    assert_eq!(sidecar.send("PUT", POLICY, rules("main")).await.0, StatusCode::NO_CONTENT);
    let response = sidecar.request("GET", POLICY).send().await.unwrap();
    let etag = response.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(response.json::<serde_json::Value>().await.unwrap(), rules("main"));
    for refused in [
        rules("a/b"),
        json!({"rules": [{"pattern": "main", "write": "sometimes"}]}),
        json!({"rules": [{"pattern": "main", "write": "stage", "until": 3}]}),
        json!([]),
    ] {
        assert_eq!(sidecar.send("PUT", POLICY, refused).await.0, StatusCode::BAD_REQUEST);
    }
    let set = |tag: &str, pattern: &str| {
        told(sidecar.request("PUT", POLICY).header("If-Match", tag).json(&rules(pattern)))
    };
    assert_eq!(set("\"another\"", "dev").await.0, StatusCode::PRECONDITION_FAILED);
    let known = sidecar.request("GET", POLICY).header("If-None-Match", &etag);
    assert_eq!(known.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    assert_eq!(set(&etag, "dev").await.0, StatusCode::NO_CONTENT);
    assert_eq!(set(&etag, "main").await.0, StatusCode::PRECONDITION_FAILED);
    let dev = sidecar.onward.repo("lake").branch("dev");
    assert_eq!(dev.written(&"t/a".parse().unwrap()).await.unwrap(), Written::Committed);
}

#[test]
fn the_command_sets_lists_and_removes_rules() {
    let desk = Desk::lake();
    let set = desk.done("policy set lake main --prefix t/_delta_log/ commit --json").json();
    let rule = json!({"repository": "lake", "pattern": "main", "prefix": "t/_delta_log/", "write": "commit"});
    assert_eq!(set, rule);
    desk.done("policy set lake tx-* stage -q");
    assert_eq!(
        desk.done("policy list lake").stdout,
        "main\tt/_delta_log/\tcommit\ntx-*\t\tstage\n"
    );
    desk.done("policy remove lake main --prefix t/_delta_log/");
    desk.fails(4, "policy remove lake main --prefix t/_delta_log/");
    desk.fails(2, "policy set lake main sometimes");
    desk.fails(2, "policy set lake a/b commit");
    desk.fails(4, "policy list pond");
    assert_eq!(desk.done("policy list lake").stdout, "tx-*\t\tstage\n");
}

#[test]
fn a_key_says_what_it_can_do() {
    let desk = Desk::lake();
    let made = desk.done("key create --role write etl");
    assert!(made.stderr.contains("change what is in repositories, over HTTP, Iceberg and S3"));
    let listed = desk.done("key list --json").json();
    assert_eq!(listed["s3"], true);
}
