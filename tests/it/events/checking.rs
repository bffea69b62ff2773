//! A check before acceptance: what it is asked, that its answer counts, and what becomes of a commit without one.

use std::time::Duration;

use onward::internals::objects::Objects;
use onward::internals::repo::protection::{OnFailure, Rule};
use onward::{ErrorKind, Onward, Outcome, Repository};
use onward_server::auth::Role;
use onward_server::sinks::{Checks, Reach};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::receiver::{Receiver, Reply, refusal};
use crate::cli::Desk;
use crate::support::lake::{Deployment, entry};
use crate::support::sidecar::Sidecar;

fn checks(onward: &Onward) -> Checks {
    Checks::new(onward, Reach::new(&["127.0.0.1".to_owned()]).unwrap())
}

/// Protects `main` by a check of this receiver, and asks it in this process. Returns its secret.
async fn protect(
    lake: &Repository,
    onward: &Onward,
    url: &str,
    timeout: u64,
    way: OnFailure,
) -> String {
    let timeout = Duration::from_millis(timeout);
    let (check, secret) = checks(onward).make("lake", "main", url, timeout, way).await.unwrap();
    lake.protect(Rule::new("main").only([]).checked_by(check)).await.unwrap();
    onward.ask_by(std::sync::Arc::new(checks(onward)));
    secret
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_queued_when_its_check_says_so_and_the_question_tells_what_it_is() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, lake) = (Receiver::start().await, onward.repo("lake"));
    let secret = protect(&lake, &onward, &receiver.url, 5000, OnFailure::Refuse).await;
    let (main, dev) = (lake.branch("main"), lake.branch("dev"));
    let op = onward::internals::clock::new_op_id();
    let change = main.change().put("b", entry(2)).delete("a").message("why").meta("k", "v");
    change.committer("jane").op_id(op).commit().await.unwrap().commit().unwrap();
    let got = receiver.got().remove(0);
    assert!(got.is_signed_with(&secret));
    assert_eq!((got.id(), &got.event["type"]), (op.to_string().as_str(), &json!("onward.check")));
    let expected = json!({
        "repository": "lake", "branch": "main", "op_id": op, "kind": "commit", "committer": "jane",
        "message": "why", "metadata": {"k": "v"},
        "changes": {"count": 2, "first": [{"path": "a", "change": "delete"}, {"path": "b", "change": "put"}]},
    });
    assert_eq!(got.event["data"], expected);
    // What is staged, a merge, a revert, many changes; and a branch without a check asks nobody.
    main.stage_put("c".parse().unwrap(), entry(3), None).await.unwrap();
    main.commit_staged().commit().await.unwrap().commit().unwrap();
    dev.create(&"main".parse().unwrap()).await.unwrap();
    let mut many = dev.change();
    for n in 0..2000 {
        many = many.put(format!("t/{n:04}"), entry(n));
    }
    many.commit().await.unwrap().commit().unwrap();
    let merged = main.merge("dev".parse().unwrap()).commit().await.unwrap().commit().unwrap();
    main.revert(merged.to_string().parse().unwrap(), Some(1)).commit().await.unwrap();
    let told: Vec<Value> = receiver.got().iter().map(|got| got.event["data"].clone()).collect();
    let kinds: Vec<&str> = told.iter().map(|data| data["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["commit", "commit", "merge", "revert"]);
    let counts: Vec<&Value> = told.iter().map(|data| &data["changes"]["count"]).collect();
    assert_eq!(counts, [&json!(2), &json!(null), &json!(2000), &json!(2000)]);
    assert_eq!(told[1]["changes"]["first"], json!([{"path": "c", "change": "put"}]));
    for (data, change) in told[2..].iter().zip(["put", "delete"]) {
        let first = data["changes"]["first"].as_array().unwrap();
        assert_eq!(first.len(), 100);
        assert_eq!(first[99], json!({"path": "t/0099", "change": change}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_check_refuses_is_never_queued_and_its_reason_is_told() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, lake) = (Receiver::start().await, onward.repo("lake"));
    protect(&lake, &onward, &receiver.url, 5000, OnFailure::Accept).await;
    let (main, dev) = (lake.branch("main"), lake.branch("dev"));
    dev.create(&"main".parse().unwrap()).await.unwrap();
    dev.change().put("a", entry(1)).commit().await.unwrap();
    let before = main.show().await.unwrap();
    receiver.answers(|_| refusal("no \u{1b}[31mloads\non Sundays"));
    main.stage_put("b".parse().unwrap(), entry(2), None).await.unwrap();
    for refused in [
        main.change().put("a", entry(1)).commit().await,
        main.commit_staged().commit().await,
        main.merge("dev".parse().unwrap()).commit().await,
        main.cherry_pick("dev".parse().unwrap(), None).commit().await,
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(error.message().contains("no \\u{1b}[31mloads\\non Sundays"), "{error}");
    }
    assert_eq!(main.show().await.unwrap(), before);
    assert_eq!(main.status("", None, 10).await.unwrap().len(), 1, "what is staged stays");
    receiver.answers(|_| Reply::Said(422, json!({"reason": "x".repeat(100_000)}).to_string()));
    let error = main.change().put("a", entry(1)).commit().await.unwrap_err();
    assert!(error.message().len() < 1000, "{}", error.message().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_nothing_is_accepted_unless_the_rule_says_so() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, lake) = (Receiver::start().await, onward.repo("lake"));
    let main = lake.branch("main");
    for (way, is_accepted) in [(OnFailure::Refuse, false), (OnFailure::Accept, true)] {
        protect(&lake, &onward, &receiver.url, 200, way).await;
        for reply in [
            Reply::Status(500),
            Reply::Status(302),
            Reply::Status(429),
            Reply::Said(500, json!({"reason": "of a failure"}).to_string()),
            Reply::Silence,
        ] {
            let said = format!("{reply:?}");
            receiver.answers(move |_| reply.clone());
            match main.change().allow_empty(true).commit().await {
                Ok(Outcome::Committed { .. }) => assert!(is_accepted, "{said}"),
                Ok(other) => panic!("{said}: {other:?}"),
                Err(error) => {
                    assert!(!is_accepted, "{said}: {error}");
                    assert_eq!(error.kind(), ErrorKind::Unavailable);
                    assert!(error.to_string().contains("nothing was done"), "{error}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_less_than_a_check_may_take_is_not_let_in_for_that() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, lake) = (Receiver::start().await, onward.repo("lake"));
    protect(&lake, &onward, &receiver.url, 30_000, OnFailure::Accept).await;
    receiver.answers(|_| Reply::Silence);
    let main = lake.branch("main");
    let before = main.show().await.unwrap();
    for ms in [1, 10, 50, 100] {
        let hasty = main.change().allow_empty(true).timeout(Duration::from_millis(ms));
        assert!(hasty.commit().await.is_err());
    }
    assert_eq!(main.show().await.unwrap(), before);
    assert!(main.queue(10).await.unwrap().ops.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_that_is_known_is_told_its_outcome_and_not_asked_about_again() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, lake) = (Receiver::start().await, onward.repo("lake"));
    protect(&lake, &onward, &receiver.url, 5000, OnFailure::Refuse).await;
    let main = lake.branch("main");
    let by = || main.change().put("a", entry(1)).producer("loads", 1, 1);
    let first = by().commit().await.unwrap().commit().unwrap();
    receiver.answers(|_| refusal("not any more"));
    assert_eq!(by().commit().await.unwrap().commit(), Some(first));
    assert_eq!(receiver.got().len(), 1);
    let next = main.change().put("a", entry(2)).producer("loads", 1, 2).commit().await;
    assert_eq!(next.unwrap_err().kind(), ErrorKind::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_takes_its_time_holds_up_nobody_else() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, lake) = (Receiver::start().await, onward.repo("lake"));
    protect(&lake, &onward, &receiver.url, 30_000, OnFailure::Refuse).await;
    let main = lake.branch("main");
    receiver.answers(|got| match got.event["data"]["message"] == "slow" {
        true => Reply::Silence,
        false => Reply::Status(204),
    });
    let slow = tokio::spawn(main.change().put("s", entry(1)).message("slow").commit());
    receiver.until("the slow one is asked for", |got| got.len() == 1).await;
    for n in 0..5 {
        let done = main.change().put(format!("t/{n}"), entry(n)).commit().await.unwrap();
        assert!(done.commit().is_some());
    }
    assert!(!slow.is_finished());
    assert!(main.queue(10).await.unwrap().ops.is_empty(), "it is not queued");
    slow.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_ask_accepts_nothing_and_an_older_one_no_commit() {
    let (deployment, onward) = Deployment::lake().await;
    let (receiver, lake) = (Receiver::start().await, onward.repo("lake"));
    protect(&lake, &onward, &receiver.url, 5000, OnFailure::Accept).await;
    let other = deployment.connect().await.repo("lake").branch("main");
    let error = other.change().put("a", entry(1)).commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.message().contains("cannot ask"), "{error}");
    // An older program reads version 1 alone, and without rules accepts nothing.
    let version =
        |objects: Objects| async move { objects.get("lake/protection").await.unwrap().unwrap()[0] };
    assert_eq!(version(deployment.objects.clone()).await, 2);
    // Who says what is blocked says nothing of the check.
    lake.protect(Rule::new("main")).await.unwrap();
    assert!(lake.protection().await.unwrap()[0].check.is_some());
    lake.unprotect("main").await.unwrap();
    lake.protect(Rule::new("main")).await.unwrap();
    assert_eq!(
        version(deployment.objects.clone()).await,
        1,
        "it is shut out no longer than it has to"
    );
    assert!(receiver.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_of_the_sidecar_is_checked_and_lakefs_clients_leave_checks_alone() {
    let sidecar = Sidecar::with(|config| config.allow_sinks = vec!["127.0.0.1".into()]).await;
    let (receiver, lake) = (Receiver::start().await, sidecar.onward.repo("lake"));
    // The sidecar asks by itself.
    let timeout = Duration::from_secs(5);
    let way = OnFailure::Refuse;
    let made =
        checks(&sidecar.onward).make("lake", "main", &receiver.url, timeout, way).await.unwrap();
    lake.protect(Rule::new("main").checked_by(made.0)).await.unwrap();
    let rules = "/api/v1/repositories/lake/settings/branch_protection";
    assert_eq!(sidecar.send("PUT", rules, json!([])).await.0, StatusCode::NO_CONTENT);
    let kept = lake.protection().await.unwrap();
    assert!(kept[0].check.is_some() && kept[0].blocks.is_empty(), "{kept:?}");
    let dev = lake.branch("dev");
    dev.create(&"main".parse().unwrap()).await.unwrap();
    dev.change().put("d", entry(1)).commit().await.unwrap();
    lake.branch("main").stage_put("s".parse().unwrap(), entry(2), None).await.unwrap();
    receiver.answers(|_| refusal("not today"));
    let (api, own) = ("/api/v1/repositories/lake", "/onward/v1/repositories/lake/branches/main");
    let change = json!({"message": "m", "changes": [{"delete": {"path": "x"}}]});
    let requests = [
        (format!("{own}/changes"), change),
        (format!("{own}/merge"), json!({"source": "dev"})),
        (format!("{api}/branches/main/commits"), json!({"message": "m"})),
        (format!("{api}/refs/dev/merge/main"), json!({})),
        (format!("{api}/branches/main/cherry-pick"), json!({"ref": "dev"})),
    ];
    for (path, body) in &requests {
        let (status, said) = sidecar.send("POST", path, body.clone()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {said}");
        assert!(said["message"].as_str().unwrap().contains("not today"), "{said}");
    }
    assert_eq!(receiver.got().len(), requests.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_set_and_taken_away_over_http_and_stays_where_nothing_is_said_of_it() {
    let sidecar = Sidecar::with(|config| config.allow_sinks = vec!["127.0.0.1".into()]).await;
    let receiver = Receiver::start().await;
    let rules = "/onward/v1/repositories/lake/protection";
    let set = async |body: Value| sidecar.send("PUT", &format!("{rules}/m%2A"), body).await;
    let (status, made) = set(json!({"check": {"url": receiver.url, "timeout_ms": 4000}})).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let shown = json!({
        "repository": "lake", "pattern": "m*", "blocks": [],
        "check": {"url": made["rule"]["check"]["url"], "timeout_ms": 4000, "on_failure": "refuse"},
    });
    assert_eq!(made["rule"], shown);
    let url = shown["check"]["url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:") && !url.contains("token"), "{url}");
    let main = sidecar.onward.repo("lake").branch("main");
    main.change().put("a", entry(1)).commit().await.unwrap().commit().unwrap();
    assert!(receiver.got()[0].is_signed_with(made["secret"].as_str().unwrap()));
    // Of what is blocked alone, and of neither: a rule that blocks all.
    for (body, blocks) in [
        (json!({"blocks": ["reset"]}), json!(["reset"])),
        (json!({}), json!(["stage", "commit", "delete", "reset"])),
        (json!({"blocks": []}), json!([])),
    ] {
        let (status, told) = set(body).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        assert_eq!((&told["rule"]["blocks"], &told["rule"]["check"]), (&blocks, &shown["check"]));
        assert!(told.get("secret").is_none(), "{told}");
    }
    let reader = sidecar.key(Role::Read).await;
    let as_reader = |method: &str, path: &str| {
        sidecar.plain(method, path).basic_auth(&reader.0, Some(&reader.1)).json(&json!({}))
    };
    let listed = as_reader("GET", rules).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(listed, json!({"rules": [shown]}));
    for method in ["PUT", "DELETE"] {
        let refused = as_reader(method, &format!("{rules}/m%2A")).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    }
    for (body, refusal) in [
        (json!({"blocks": ["merge"]}), StatusCode::BAD_REQUEST),
        (json!({"check": {"url": receiver.url, "on_failure": "wait"}}), StatusCode::BAD_REQUEST),
        (json!({"check": {"url": receiver.url, "timeout_ms": 30_001}}), StatusCode::BAD_REQUEST),
        (json!({"check": {"url": "https://10.0.0.1/"}}), StatusCode::FORBIDDEN),
        // A rule that would be left with nothing.
        (json!({"check": null}), StatusCode::BAD_REQUEST),
    ] {
        let (status, told) = set(body.clone()).await;
        assert_eq!(status, refusal, "{body}: {told}");
    }
    let (_, told) = set(json!({"blocks": ["delete"], "check": null})).await;
    assert_eq!(told["rule"]["check"], json!(null));
    let gone = async || sidecar.send("DELETE", &format!("{rules}/m%2A"), json!({})).await.0;
    assert_eq!((gone().await, gone().await), (StatusCode::NO_CONTENT, StatusCode::NOT_FOUND));
    assert_eq!(sidecar.get(rules).await.1, json!({"rules": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_adds_a_check_and_is_checked_itself() {
    let receiver = Receiver::start().await;
    let url = receiver.url.clone();
    receiver.answers(|got| match got.event["data"]["message"] == "bad" {
        true => refusal("a bad message"),
        false => Reply::Status(204),
    });
    let ended = tokio::task::spawn_blocking(move || {
        let desk = Desk::lake();
        let run = |words: &str| {
            let words: Vec<&str> = words.split_whitespace().collect();
            let mut command = desk.command(&words);
            command.env("ONWARD_ALLOW_SINK", "127.0.0.1");
            crate::cli::Said::of(command.output().unwrap())
        };
        let made = run(&format!("protect add lake main --check {url} --json"));
        let (made, secret) = (made.json(), made.json()["secret"].clone());
        assert!(secret.as_str().unwrap().starts_with("whsec_"), "{made}");
        assert_eq!(made["blocks"], json!([]));
        let listed = desk.done("protect list lake").stdout;
        assert!(
            listed.contains("checked by http://127.0.0.1:") && !listed.contains("hook"),
            "{listed}"
        );
        let bad = run("commit lake/main -m bad --allow-empty");
        assert_eq!(bad.code, 3, "{}", bad.stderr);
        assert!(bad.stderr.contains("a bad message"), "{}", bad.stderr);
        let good = run("commit lake/main -m good --allow-empty");
        assert_eq!(good.code, 0, "{}", good.stderr);
        // What is not said stays as it is.
        let rule = |words: &str| {
            let said = run(&format!("protect add lake main {words} --json"));
            assert_eq!(said.code, 0, "{}", said.stderr);
            let told = said.json();
            (told["blocks"].clone(), told["check"]["on_failure"].clone(), told["secret"].clone())
        };
        let (blocks, way, secret) = rule("--block delete,reset");
        assert_eq!(
            (blocks, way, secret),
            (json!(["delete", "reset"]), json!("refuse"), json!(null))
        );
        let said = run("protect add lake main --block delete");
        assert!(said.stderr.contains("are checked by http://127.0.0.1:"), "{}", said.stderr);
        let (blocks, way, secret) = rule(&format!("--check {url} --on-failure accept"));
        assert_eq!((blocks, way), (json!(["delete"]), json!("accept")));
        assert!(secret.is_string());
        assert_eq!(rule("--no-check"), (json!(["delete"]), json!(null), json!(null)));
        desk.fails(2, &format!("protect add lake main --no-check --check {url}"));
        rule(&format!("--check {url}"));
        // Where its environment lets it ask nobody, it accepts nothing.
        desk.fails(5, "commit lake/main -m good --allow-empty");
        desk.fails(2, "protect add lake dev --on-failure accept");
        desk.fails(3, &format!("protect add lake dev --check {url}"));
    });
    ended.await.unwrap();
    assert_eq!(receiver.got().len(), 2);
}
