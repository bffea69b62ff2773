//! Change sets, tickets and merges over Onward's own API.

use std::collections::BTreeSet;
use std::io::Write;

use onward::{CommitId, Details, OpId, Outcome, Producer, RefExpr, Standing, Ticket};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{LAKE, MAIN};
use crate::support::branch::{Ghost, keys};
use crate::support::lake::entry;
use crate::support::root::root;
use crate::support::sidecar::{Sidecar, told};

fn put(n: usize) -> Value {
    json!({"put": {"path": format!("p/{n:06}"), "address": format!("mem://{n}"), "checksum": format!("c{n}"), "size": n}})
}

async fn paths(sidecar: &Sidecar) -> usize {
    let mut after = String::new();
    let mut count = 0;
    loop {
        let page = format!("{LAKE}/refs/main/objects/ls?amount=1000&after={after}");
        let (status, page) = sidecar.get(&page).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        count += page["results"].as_array().unwrap().len();
        if page["pagination"]["has_more"] == false {
            return count;
        }
        after = page["pagination"]["next_offset"].as_str().unwrap().to_owned();
    }
}

async fn done(sidecar: &Sidecar) -> u64 {
    sidecar.onward.repo("lake").branch("main").show().await.unwrap().done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_set_is_one_commit_however_it_is_written() {
    let sidecar = Sidecar::start().await;
    let changes = format!("{MAIN}/changes");
    let whole = json!({"message": "one", "metadata": {"k": "v"}, "changes": [put(1), put(2)]});
    let (status, body) = sidecar.send("POST", &changes, whole).await;
    assert_eq!((status, &body["outcome"]), (StatusCode::CREATED, &json!("committed")), "{body}");
    let (_, commit) =
        sidecar.get(&format!("{LAKE}/commits/{}", body["commit"].as_str().unwrap())).await;
    assert_eq!((&commit["message"], &commit["metadata"]["k"]), (&json!("one"), &json!("v")));
    assert_eq!(commit["committer"], crate::support::sidecar::ADMIN.0);
    // JSON lines: far more than are held at once, packed.
    let mut lines = String::from("{\"commit\": {\"message\": \"many\"}}\n");
    (0..20_000).for_each(|n| lines += &format!("{}\n", put(n)));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(lines.as_bytes()).unwrap();
    let request = sidecar
        .request("POST", &changes)
        .header("Content-Type", "application/jsonl")
        .header("Content-Encoding", "gzip")
        .body(packed.finish().unwrap());
    let (status, body) = told(request).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(paths(&sidecar).await, 20_000);
    // Without a first line of its own, and without a line break at the end.
    let request = sidecar
        .request("POST", &changes)
        .header("Content-Type", "application/x-ndjson")
        .body("\n{\"delete\": {\"path\": \"p/000001\"}}");
    assert_eq!(told(request).await.0, StatusCode::CREATED);
    assert_eq!(paths(&sidecar).await, 19_999);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_sent_again_with_its_key_is_the_same_op() {
    let sidecar = Sidecar::start().await;
    let send = |key: &'static str| {
        let body = json!({"message": "m", "changes": [put(1)]});
        let request = sidecar.request("POST", &format!("{MAIN}/changes"));
        told(request.header("Idempotency-Key", key).json(&body))
    };
    let (_, first) = send("load-7").await;
    let (status, again) = send("load-7").await;
    assert_eq!((status, &again["commit"]), (StatusCode::CREATED, &first["commit"]));
    assert_eq!(again["op_id"], first["op_id"]);
    let (_, other) = send("load-8").await;
    assert_ne!(other["op_id"], first["op_id"]);
    assert_eq!(send("").await.0, StatusCode::BAD_REQUEST);
    // Decided is decided, whether it is waited for or not.
    let request = sidecar.request("POST", &format!("{MAIN}/changes?wait=false"));
    let body = json!({"message": "m", "changes": [put(1)]});
    let (status, unasked) = told(request.header("Idempotency-Key", "load-7").json(&body)).await;
    assert_eq!((status, &unasked["commit"]), (StatusCode::CREATED, &first["commit"]));
    // So with a merge of the lakeFS API.
    sidecar
        .send("POST", &format!("{LAKE}/branches"), json!({"name": "dev", "source": "main"}))
        .await;
    let dev = "/onward/v1/repositories/lake/branches/dev/changes";
    sidecar.send("POST", dev, json!({"changes": [put(2)]})).await;
    let merge = || {
        let request = sidecar.request("POST", &format!("{LAKE}/refs/dev/merge/main"));
        told(request.header("Idempotency-Key", "merge-1").json(&json!({})))
    };
    let (status, first) = merge().await;
    assert_eq!(status, StatusCode::OK, "{first}");
    assert_eq!(merge().await, (StatusCode::OK, first));
    // The key of one thing is no answer to another.
    let commit = || {
        let request = sidecar.request("POST", &format!("{LAKE}/branches/main/commits"));
        told(request.header("Idempotency-Key", "merge-1").json(&json!({"allow_empty": true})))
    };
    let (status, committed) = commit().await;
    assert_eq!(status, StatusCode::CREATED, "{committed}");
    assert_eq!(committed["parents"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_with_two_names_is_refused() {
    let sidecar = Sidecar::start().await;
    let op_id = "00000000-0000-4000-8000-000000000007";
    let head = json!({"op_id": op_id});
    for (path, kind, body) in [
        ("changes", "application/json", head.to_string()),
        ("changes", "application/jsonl", json!({"commit": head}).to_string()),
        ("merge", "application/json", json!({"source": "main", "op_id": op_id}).to_string()),
    ] {
        let request = sidecar.request("POST", &format!("{MAIN}/{path}"));
        let request = request.header("Idempotency-Key", "k").header("Content-Type", kind);
        let (status, said) = told(request.body(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {kind}: {said}");
        assert!(said["message"].as_str().unwrap().contains("two names"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_was_replaced_is_fenced() {
    let sidecar = Sidecar::start().await;
    let sidecar = &sidecar;
    let send = |epoch: u64, sequence: u64, n: usize| {
        let producer = json!({"name": "orders", "epoch": epoch, "sequence": sequence});
        let body = json!({"producer": producer, "changes": [put(n)]});
        async move { told(sidecar.request("POST", &format!("{MAIN}/changes")).json(&body)).await }
    };
    let (status, first) = send(1, 1, 1).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, again) = send(1, 1, 1).await;
    assert_eq!((status, &again["commit"]), (StatusCode::CREATED, &first["commit"]));
    assert_eq!(send(2, 1, 2).await.0, StatusCode::CREATED);
    let (status, late) = send(1, 2, 3).await;
    assert_eq!((status, &late["outcome"]), (StatusCode::CONFLICT, &json!("fenced")), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_producers_advance_with_one_request_or_none_does() {
    let sidecar = Sidecar::start().await;
    let sidecar = &sidecar;
    let send = |kind: &'static str, head: Value| {
        let body = match kind {
            "application/json" => head.to_string(),
            _ => format!("{}\n", json!({"commit": head})),
        };
        let request = sidecar.request("POST", &format!("{MAIN}/changes"));
        async move { told(request.header("Content-Type", kind).body(body)).await }
    };
    let place = |n: u64, epoch: u64, sequence: u64| json!({"name": format!("t/{n}"), "epoch": epoch, "sequence": sequence});
    let both = json!({"producers": [place(1, 1, 9), place(0, 1, 5)], "allow_empty": true});
    let (status, first) = send("application/json", both.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    let (_, again) = send("application/jsonl", both).await;
    assert_eq!((&again["commit"], &again["repeated"]), (&first["commit"], &json!(true)));
    let (status, claimed) = send("application/jsonl", json!({"producers": [place(1, 2, 9)]})).await;
    assert_eq!((status, &claimed["outcome"]), (StatusCode::OK, &json!("no_changes")), "{claimed}");
    let late = json!({"producers": [place(0, 1, 6), place(1, 1, 10)]});
    let (status, fenced) = send("application/json", late).await;
    assert_eq!((status, &fenced["outcome"]), (StatusCode::CONFLICT, &json!("fenced")), "{fenced}");
    assert!(fenced["reason"].as_str().unwrap().contains("'t/1'"), "{fenced}");
    let (_, kept) = sidecar.get(&format!("{MAIN}/producers/t%2F0")).await;
    assert_eq!((&kept["epoch"], &kept["sequence"]), (&json!(1), &json!(5)), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_is_told_what_it_is_behind_and_can_ask_where_it_was() {
    let sidecar = Sidecar::start().await;
    let sidecar = &sidecar;
    let send = |sequence: u64, op_id: Option<&'static str>| {
        let producer = json!({"name": "orders/0", "epoch": 1, "sequence": sequence});
        let body = json!({"producer": producer, "op_id": op_id, "changes": [put(1)]});
        async move { told(sidecar.request("POST", &format!("{MAIN}/changes")).json(&body)).await }
    };
    let place = format!("{MAIN}/producers/orders%2F0");
    assert_eq!(sidecar.get(&place).await.0, StatusCode::NOT_FOUND);
    let (_, first) = send(5, None).await;
    let (status, again) = send(5, None).await;
    assert_eq!((status, &again["commit"]), (StatusCode::CREATED, &first["commit"]));
    assert_eq!((first.get("repeated"), &again["repeated"]), (None, &json!(true)));
    let (status, never) = send(4, None).await;
    assert_eq!((status, &never["outcome"]), (StatusCode::CONFLICT, &json!("behind")), "{never}");
    assert_eq!((&never["last_epoch"], &never["last_sequence"]), (&json!(1), &json!(5)));
    let (status, other) = send(5, Some("00000000-0000-4000-8000-000000000009")).await;
    assert_eq!((status, &other["outcome"]), (StatusCode::CONFLICT, &json!("behind")), "{other}");
    assert_eq!((&other["earlier_op"], &other["earlier"]), (&first["op_id"], &first["commit"]));
    let (status, last) = sidecar.get(&place).await;
    assert_eq!(status, StatusCode::OK, "{last}");
    let expected =
        json!({"name": "orders/0", "epoch": 1, "sequence": 5, "commit": first["commit"]});
    assert_eq!(last, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_does_not_hold_is_a_conflict_and_nothing_is_changed() {
    let sidecar = Sidecar::start().await;
    let mut change = put(1);
    change["if"] = json!({"absent": true});
    let (url, set) = (format!("{MAIN}/changes"), json!({"changes": [change, put(2)]}));
    let send = || sidecar.send("POST", &url, set.clone());
    assert_eq!(send().await.0, StatusCode::CREATED);
    let (status, body) = send().await;
    assert_eq!((status, &body["outcome"]), (StatusCode::CONFLICT, &json!("conflict")), "{body}");
    assert_eq!(body["conflicts"][0]["path"], "p/000001");
    assert_eq!(body["conflicts"][0]["dest"]["checksum"], "c1");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_told_where_they_are_wrong_and_nothing_is_done() {
    let sidecar = Sidecar::with(|config| {
        (config.limits.changes_len, config.limits.json_len) = (100_000, 100_000);
    })
    .await;
    let before = done(&sidecar).await;
    let long = format!("{{\"message\": \"{}\"}}", "x".repeat(200_000));
    let deep = format!("{{\"metadata\": {}", "[".repeat(50_000));
    for (kind, body, status, why) in [
        ("application/json", "", 400, "change set"),
        ("application/json", "{", 400, "EOF"),
        ("application/json", "[]", 400, "an object"),
        ("application/json", deep.as_str(), 400, "map"),
        ("application/json", r#"{"mesage": "m"}"#, 400, "mesage"),
        ("application/json", r#"{"message": 7}"#, 400, "string"),
        ("application/json", r#"{"changes": [{}]}"#, 400, "change 1"),
        ("application/json", r#"{"changes": [{"delete": {"path": "a"}}, {}]}"#, 400, "change 2"),
        ("application/json", r#"{"changes": {}}"#, 400, "array"),
        ("application/json", r#"{"changes": [{"delete": {"path": ""}}]}"#, 400, "empty"),
        ("application/json", r#"{"base": "no such ref"}"#, 400, "ref"),
        ("application/json", r#"{"base": "nothing", "changes": []}"#, 404, "nothing"),
        ("application/json", r#"{"op_id": "7"}"#, 400, "op"),
        (
            "application/json",
            r#"{"producer": {"name": "", "epoch": 1, "sequence": 1}}"#,
            400,
            "producer",
        ),
        (
            "application/json",
            r#"{"producer": {"name": "a", "epoch": 1, "sequence": 1}, "producers": []}"#,
            400,
            "send one of them",
        ),
        (
            "application/json",
            r#"{"producers": [{"name": "a", "epoch": 1, "sequence": 1}, {"name": "a", "epoch": 1, "sequence": 2}]}"#,
            400,
            "named twice",
        ),
        ("application/json", long.as_str(), 413, "limit"),
        ("application/jsonl", long.as_str(), 413, "limit"),
        ("application/jsonl", "{\"delete\": {\"path\": \"a\"}}\nx", 400, "line 2"),
        ("application/jsonl", "{\"commit\": {\"mesage\": \"m\"}}", 400, "line 1"),
        ("application/jsonl", "{\"delete\": {\"path\": \"a\"}}\n{\"commit\": {}}", 400, "line 2"),
    ] {
        let request = sidecar.request("POST", &format!("{MAIN}/changes"));
        let (got, said) = told(request.header("Content-Type", kind).body(body.to_owned())).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(got.as_u16(), status, "{shown}: {said}");
        assert!(said["code"].is_string(), "{shown}: {said}");
        assert!(said["message"].as_str().unwrap().contains(why), "{shown}: {said}");
    }
    // A little that unpacks to a lot.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 20 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    for kind in ["application/json", "application/jsonl"] {
        let request = sidecar.request("POST", &format!("{MAIN}/changes"));
        let request = request.header("Content-Type", kind).header("Content-Encoding", "gzip");
        let (status, said) = told(request.body(bomb.clone())).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{said}");
    }
    let request = sidecar.request("POST", &format!("{MAIN}/changes"));
    let (status, said) = told(request.header("Content-Encoding", "br").body("{}")).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(said["message"].as_str().unwrap().contains("gzip"), "{said}");
    assert_eq!(said["code"], "not_supported");
    let lost = "/onward/v1/repositories/lake/branches/nothing/changes";
    assert_eq!(sidecar.send("POST", lost, json!({})).await.0, StatusCode::NOT_FOUND);
    let query = format!("{MAIN}/changes?wiat=false");
    assert_eq!(sidecar.send("POST", &query, json!({})).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(done(&sidecar).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_tells_what_became_of_an_op_that_nobody_waited_for() {
    let sidecar = Sidecar::start().await;
    let (status, accepted) = sidecar
        .send("POST", &format!("{MAIN}/changes?wait=false"), json!({"changes": [put(1)]}))
        .await;
    // Unless it was decided before anybody could say so.
    assert!(matches!(status.as_u16(), 202 | 201), "{accepted}");
    let ticket = format!("{MAIN}/tickets/{}", accepted["op_id"].as_str().unwrap());
    let (status, told) = sidecar.get(&format!("{ticket}?wait_ms=60000")).await;
    assert_eq!((status, &told["state"]), (StatusCode::OK, &json!("decided")), "{told}");
    assert_eq!((&told["outcome"], &told["ticket"]), (&json!("committed"), &accepted["ticket"]));
    let (status, late) = sidecar.send("DELETE", &ticket, json!({})).await;
    assert_eq!((status, &late["state"]), (StatusCode::OK, &json!("decided")));
    let unknown = format!("{MAIN}/tickets/00000000-0000-4000-8000-000000000000");
    assert_eq!(sidecar.get(&unknown).await.0, StatusCode::NOT_FOUND);
    assert_eq!(sidecar.get(&format!("{MAIN}/tickets/x")).await.0, StatusCode::BAD_REQUEST);
    let (_, queue) = sidecar.get(&format!("{MAIN}/queue")).await;
    assert_eq!((&queue["branch"], &queue["depth"]), (&json!("lake/main"), &json!(0)), "{queue}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_tells_what_it_would_bring_and_brings_it() {
    let sidecar = Sidecar::start().await;
    let main = sidecar.onward.repo("lake").branch("main");
    sidecar.onward.repo("lake").branch("dev").create(&RefExpr::plain("main")).await.unwrap();
    let dev = "/onward/v1/repositories/lake/branches/dev/changes";
    sidecar.send("POST", dev, json!({"changes": [put(1), put(2)]})).await;
    let merge = format!("{MAIN}/merge");
    let (status, tried) =
        sidecar.send("POST", &merge, json!({"source": "dev", "dry_run": true})).await;
    assert_eq!((status, &tried["surviving"]), (StatusCode::OK, &json!(2)), "{tried}");
    let before = main.show().await.unwrap().done;
    let (status, merged) =
        sidecar.send("POST", &merge, json!({"source": "dev", "retry": "client"})).await;
    assert_eq!(
        (status, &merged["outcome"]),
        (StatusCode::CREATED, &json!("committed")),
        "{merged}"
    );
    assert_eq!(main.show().await.unwrap().done, before + 1);
    let (status, again) = sidecar.send("POST", &merge, json!({"source": "dev"})).await;
    assert_eq!((status, &again["outcome"]), (StatusCode::OK, &json!("no_changes")));
    for bad in [json!({}), json!({"source": "dev", "strategy": "mine"}), json!({"sauce": "dev"})] {
        let (status, said) = sidecar.send("POST", &merge, bad.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {said}");
    }
    let forged = json!({"source": "dev", "hint": "v1.AAAA.AAAA"});
    assert_eq!(sidecar.send("POST", &merge, forged).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_on_one_branch_are_all_served_in_order() {
    let sidecar = &Sidecar::start().await;
    let before = done(sidecar).await;
    let commit = |n: usize| async move {
        let (status, body) =
            sidecar.send("POST", &format!("{MAIN}/changes"), json!({"changes": [put(n)]})).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["ticket"].as_u64().unwrap()
    };
    let mut tickets = futures::future::join_all((0..256).map(commit)).await;
    tickets.sort_unstable();
    assert_eq!(tickets, (before + 1..=before + 256).collect::<Vec<_>>());
}

#[test]
fn the_api_is_what_its_description_says() {
    let text = std::fs::read_to_string(root().join("docs/openapi.json"));
    let kept: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let made = serde_json::to_value(onward_server::api::description()).unwrap();
    assert_eq!(made["openapi"], "3.1.0");
    assert!(kept == made, "docs/openapi.json is not what the code says: make openapi");
    let paths = kept["paths"].as_object().unwrap();
    let told = onward_server::api::routes_told();
    assert_eq!(paths.keys().filter(|path| path.starts_with("/onward/v1/")).count(), told.len());
    for (path, methods) in told {
        let described: Vec<&String> = paths[&path].as_object().unwrap().keys().collect();
        let mut methods = methods.to_vec();
        methods.sort_unstable();
        assert_eq!(described, methods, "{path}");
    }
}

#[test]
fn an_outcome_has_the_keys_that_the_description_says() {
    let described = serde_json::to_value(onward_server::api::description()).unwrap();
    let described = &described["components"]["schemas"]["OutcomeShape"];
    let names =
        |keys: &Value| -> BTreeSet<String> { keys.as_object().unwrap().keys().cloned().collect() };
    let (reason, asked) = (String::from("why"), Producer::new("p", 1, 1));
    let (commit, ticket) = (CommitId::from_bytes([1; 32]), Ticket(1));
    let mut details = Details::of(OpId::of_bytes(b"op"));
    details.repeated = true;
    let standing = Some(Standing { asked, epoch: 1, sequence: 2 });
    let (earlier_op, earlier) = (Some(details.op_id), Some(commit));
    let mut seen = BTreeSet::new();
    for outcome in [
        Outcome::Conflict { ticket: None, paths: Vec::new(), total: 1, details },
        Outcome::Behind { reason, standing, earlier_op, earlier, details },
        Outcome::Committed { commit, ticket, details },
    ] {
        let keys = names(&json!(outcome));
        for required in described["required"].as_array().unwrap() {
            assert!(keys.contains(required.as_str().unwrap()), "{required} in {keys:?}");
        }
        seen.extend(keys);
    }
    assert_eq!(seen, names(&described["properties"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_more_staged_commit_than_may_wait_is_told_what_is_full() {
    let sidecar = Sidecar::start().await;
    let main = sidecar.onward.repo("lake").branch("main");
    let keys = keys(&sidecar.deployment.objects, "main").await;
    let ghost = Ghost::haunt(&sidecar.deployment.redis, &keys);
    for n in 0..256 {
        main.stage_put(format!("s/{n}").parse().unwrap(), entry(n), None).await.unwrap();
        main.commit_staged().submit().await.unwrap();
    }
    main.stage_put("s/more".parse().unwrap(), entry(1), None).await.unwrap();
    let commits = format!("{LAKE}/branches/main/commits");
    let request = sidecar.request("POST", &commits).json(&json!({"message": "m"}));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers().contains_key("retry-after"));
    let said: Value = response.json().await.unwrap();
    assert_eq!(said["code"], "too_many_sealed", "{said}");
    assert!(said["message"].as_str().unwrap().contains("256 staged commits"), "{said}");
    // Who brings his changes himself is not in the way of that.
    let changes = format!("{MAIN}/changes?wait=false");
    let (status, said) = sidecar.send("POST", &changes, json!({"changes": [put(1)]})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{said}");
    drop(ghost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_set_that_names_a_path_twice_is_refused_with_both_places() {
    let sidecar = Sidecar::start().await;
    let changes = format!("{MAIN}/changes");
    let before = done(&sidecar).await;
    let conditional = json!({"put": put(7)["put"], "if": {"absent": true}});
    let whole = json!({"message": "m", "changes": [conditional, put(1), put(7)]});
    let (status, said) = sidecar.send("POST", &changes, whole).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    assert!(said["message"].as_str().unwrap().contains("change 1 and change 3"), "{said}");
    let lines = format!("{{\"commit\": {{\"message\": \"m\"}}}}\n{conditional}\n{}\n", put(7));
    let request = sidecar.request("POST", &changes).header("Content-Type", "application/jsonl");
    let (status, said) = told(request.body(lines)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    assert!(said["message"].as_str().unwrap().contains("line 2 and line 3"), "{said}");
    assert_eq!(done(&sidecar).await, before);
}
