//! Who gets in, and how far.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use onward::ErrorKind;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use onward_server::auth::{FAILURES_MAX, Keys, Role};
use onward_server::{Server, ServerConfig};
use reqwest::StatusCode;
use serde_json::json;

use super::{LAKE, MAIN};
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::sidecar::{ADMIN, Sidecar, told};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_key() {
    let sidecar = Sidecar::start().await;
    for path in ["/api/v1/repositories", "/api/v1/config", "/api/v1/user", &format!("{MAIN}/queue")]
    {
        let (status, body) = told(sidecar.plain("GET", path)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(body["code"], "unauthenticated", "{path}");
    }
    // {"alg":"none"} with the administrator's name, unsigned and with an empty signature.
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJBRE1JTklTVFJBVE9SIiwiZXhwIjo5OTk5OTk5OTk5fQ";
    for header in [
        "",
        "Basic",
        "Basic !!!",
        "Basic QURNSU5JU1RSQVRPUg==",
        "Bearer",
        "Bearer x",
        &format!("Bearer {none}"),
        &format!("Bearer {none}."),
        "Digest x",
    ] {
        let (status, _) = told(sidecar.plain("GET", LAKE).header("Authorization", header)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{header}");
    }
    for open in
        ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/", "/api/v1/setup_lakefs"]
    {
        assert_eq!(told(sidecar.plain("GET", open)).await.0, StatusCode::OK, "{open}");
    }
    assert_eq!(sidecar.get(LAKE).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_allows_what_it_says_and_no_more() {
    let sidecar = Sidecar::start().await;
    let keys = [
        (Role::Read, sidecar.key(Role::Read).await),
        (Role::Write, sidecar.key(Role::Write).await),
        (Role::Admin, sidecar.key(Role::Admin).await),
    ];
    let branch = format!("{LAKE}/branches/main");
    let op = "00000000-0000-4000-8000-000000000000";
    for (least, method, path) in [
        (Role::Read, "GET", LAKE.to_owned()),
        (Role::Read, "GET", "/api/v1/repositories".into()),
        (Role::Read, "GET", format!("{LAKE}/refs/main/objects?path=a")),
        (Role::Read, "GET", format!("{LAKE}/refs/main/objects/ls")),
        (Role::Read, "GET", format!("{LAKE}/refs/main/commits")),
        (Role::Read, "GET", format!("{branch}/diff")),
        (Role::Read, "GET", format!("{MAIN}/queue")),
        (Role::Read, "GET", format!("{MAIN}/tickets/{op}")),
        (Role::Write, "DELETE", format!("{MAIN}/tickets/{op}")),
        (Role::Write, "POST", format!("{MAIN}/changes")),
        (Role::Write, "POST", format!("{MAIN}/merge")),
        (Role::Write, "POST", format!("{branch}/objects?path=")),
        (Role::Write, "DELETE", format!("{branch}/objects?path=")),
        (Role::Write, "POST", format!("{branch}/commits")),
        (Role::Write, "PUT", branch.clone()),
        (Role::Write, "PUT", format!("{branch}/hard_reset?ref=nothing")),
        (Role::Write, "POST", format!("{branch}/revert")),
        (Role::Write, "POST", format!("{branch}/cherry-pick")),
        (Role::Write, "POST", format!("{branch}/import")),
        (Role::Write, "GET", format!("{branch}/staging/backing?path=")),
        (Role::Write, "POST", format!("{LAKE}/refs/nothing/merge/main")),
        (Role::Write, "POST", format!("{LAKE}/branches")),
        (Role::Write, "POST", format!("{LAKE}/tags")),
        (Role::Write, "DELETE", format!("{LAKE}/tags/nothing")),
        (Role::Write, "POST", format!("{LAKE}/metadata")),
        (Role::Admin, "PUT", format!("{LAKE}/settings/branch_protection")),
        (Role::Admin, "PUT", format!("{LAKE}/refs/restore")),
        (Role::Admin, "POST", "/api/v1/repositories".into()),
        (Role::Admin, "DELETE", "/api/v1/repositories/nothing".into()),
    ] {
        for (role, (id, secret)) in &keys {
            let (status, body) =
                told(sidecar.plain(method, &path).basic_auth(id, Some(secret))).await;
            let refused = status == StatusCode::FORBIDDEN;
            assert_eq!(refused, *role < least, "{role} {method} {path}: {status} {body}");
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{role} {method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_with_its_key_or_the_secret_it_was_made_with() {
    let sidecar = Sidecar::start().await;
    let (id, secret) = sidecar.key(Role::Write).await;
    let login = json!({"access_key_id": id, "secret_access_key": secret});
    let (status, body) = told(sidecar.plain("POST", "/api/v1/auth/login").json(&login)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let token = body["token"].as_str().unwrap().to_owned();
    let with_token = || told(sidecar.plain("GET", LAKE).bearer_auth(&token));
    assert_eq!(with_token().await.0, StatusCode::OK);
    // Cut, and with another name in it.
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    for index in 0..parts.len() {
        let whole = parts[index].clone();
        parts[index].pop();
        let cut = parts.join(".");
        let (status, _) = told(sidecar.plain("GET", LAKE).bearer_auth(cut)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        parts[index] = whole;
    }
    let rotated = sidecar.keys.rotate(&id).await.unwrap();
    let wait = "the old secret stops working within seconds";
    crate::support::until::until_async(wait, || async {
        told(sidecar.plain("GET", LAKE).basic_auth(&id, Some(&secret))).await.0
            == StatusCode::UNAUTHORIZED
    })
    .await;
    assert_eq!(with_token().await.0, StatusCode::UNAUTHORIZED);
    let with_new = || told(sidecar.plain("GET", LAKE).basic_auth(&id, Some(&rotated.secret)));
    assert_eq!(with_new().await.0, StatusCode::OK);
    sidecar.keys.delete(&id).await.unwrap();
    crate::support::until::until_async("the key is gone", || async {
        with_new().await.0 == StatusCode::UNAUTHORIZED
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_is_not_listened_to_for_a_while() {
    let sidecar = Sidecar::start().await;
    for _ in 0..FAILURES_MAX {
        let (status, _) = told(sidecar.plain("GET", LAKE).basic_auth(ADMIN.0, Some("wrong"))).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let response =
        sidecar.plain("GET", LAKE).basic_auth(ADMIN.0, Some("wrong")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    // Others at the same address are not to blame.
    let (id, secret) = sidecar.key(Role::Read).await;
    let other = || told(sidecar.plain("GET", LAKE).basic_auth(&id, Some(&secret)));
    assert_eq!(other().await.0, StatusCode::OK);
    // Many at once are not more than one after the other.
    let wrong = || told(sidecar.plain("GET", LAKE).basic_auth(&id, Some("wrong")));
    let told = futures::future::join_all((0..40).map(|_| wrong())).await;
    let heard = told.iter().filter(|(status, _)| *status == StatusCode::UNAUTHORIZED).count();
    assert_eq!(heard, FAILURES_MAX as usize);
    // And who was known already is not kept out by somebody who guesses in his name.
    assert_eq!(other().await.0, StatusCode::OK);
}

/// How often access keys were read or listed.
fn looks(store: &FaultyStore) -> usize {
    let of_keys = |(op, key): &(Op, String)| {
        matches!(op, Op::Get | Op::List) && key.starts_with("_onward/keys")
    };
    store.log().iter().filter(|asked| of_keys(asked)).count()
}

/// A sidecar over a store that counts what is asked of it, and fails when it is told to.
async fn on_a_store_that_fails() -> (FaultyStore, Sidecar) {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://");
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    let sidecar = Sidecar::over(deployment, onward, |_| {}).await;
    (store, sidecar)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_known_costs_the_storage_next_to_nothing() {
    let (store, sidecar) = on_a_store_that_fails().await;
    let shown = |id: &'static str| {
        let sidecar = &sidecar;
        async move {
            let request = sidecar.plain("GET", "/api/v1/repositories");
            told(request.basic_auth(id, Some("wrong"))).await.0
        }
    };
    let before = looks(&store);
    for _ in 0..FAILURES_MAX {
        assert_eq!(shown("nobody").await, StatusCode::UNAUTHORIZED);
    }
    let guessed = looks(&store);
    assert!((1..=FAILURES_MAX as usize).contains(&(guessed - before)), "one for each guess");
    for _ in 0..FAILURES_MAX {
        assert_eq!(shown("nobody").await, StatusCode::TOO_MANY_REQUESTS);
        // No key can have this id.
        assert_eq!(shown("no/body").await, StatusCode::UNAUTHORIZED);
        let (status, body) = told(sidecar.plain("GET", "/api/v1/setup_lakefs")).await;
        assert_eq!((status, &body["state"]), (StatusCode::OK, &json!("initialized")));
    }
    assert_eq!(looks(&store), guessed);
    assert_eq!(sidecar.get("/api/v1/repositories").await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_nobodys_guess() {
    let (store, sidecar) = on_a_store_that_fails().await;
    store.fail_all(Op::Get, Fault::Outage);
    for _ in 0..=FAILURES_MAX {
        let (status, body) = sidecar.get("/api/v1/user").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    }
    store.heal();
    assert_eq!(sidecar.get("/api/v1/user").await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_deleted_while_it_gets_a_new_secret_stays_deleted() {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let keys = Keys::new(Objects::from_store(Arc::new(store.clone()), "memory://"));
    let id = keys.create(Role::Admin, "somebody", None).await.unwrap().key.id;
    store.fail_next(Op::Put, 1, Fault::Delay(Duration::from_secs(5)));
    let deleting = async {
        while !store.log().iter().any(|(op, _)| *op == Op::Put) {
            tokio::task::yield_now().await;
        }
        keys.delete(&id).await.unwrap();
    };
    let (rotated, ()) = tokio::join!(keys.rotate(&id), deleting);
    assert_eq!(rotated.err().unwrap().kind(), ErrorKind::Conflict);
    assert!(keys.find(&id).await.unwrap().is_none());
    assert!(keys.list().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_kept_as_hashes_alone() {
    let sidecar = Sidecar::start().await;
    let (_, secret) = sidecar.key(Role::Read).await;
    let objects = &sidecar.deployment.objects;
    let all: Vec<_> = objects.list("", None).try_collect().await.unwrap();
    let mut hashes = 0;
    for listed in all {
        let bytes = objects.get(&listed.key).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&secret) && !text.contains(ADMIN.1), "{}", listed.key);
        hashes += usize::from(text.contains("$argon2id$"));
    }
    assert_eq!(hashes, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_are_listened_to_only_with_a_key_and_tls_or_leave_to_go_without() {
    let (_deployment, onward) = Deployment::lake().await;
    let everywhere = || ServerConfig::new("0.0.0.0:0".parse().unwrap());
    let bind = |config| Server::bind(onward.clone(), config);
    let error = bind(everywhere()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("--tls-cert"), "{error}");
    let insecure = || ServerConfig { insecure: true, ..everywhere() };
    let error = bind(insecure()).await.err().unwrap();
    assert!(error.message().contains("ONWARD_ACCESS_KEY_ID"), "{error}");
    let admin = Some((ADMIN.0.to_owned(), ADMIN.1.to_owned()));
    assert!(bind(ServerConfig { admin, ..insecure() }).await.is_ok());
    // From now on there is a key.
    assert!(bind(insecure()).await.is_ok());
    let short = Some((ADMIN.0.to_owned(), "short".to_owned()));
    let error = bind(ServerConfig { admin: short, ..insecure() }).await.err().unwrap();
    assert!(!error.to_string().contains("short"), "{error}");
    // The key of the examples is for this machine, now and later.
    let example = || Some(("AKIDEXAMPLE".to_owned(), ADMIN.1.to_owned()));
    let refused = async |config| {
        let error = bind(config).await.err().unwrap();
        assert!(error.message().contains("onward key delete AKIDEXAMPLE"), "{error}");
    };
    refused(ServerConfig { admin: example(), ..insecure() }).await;
    let here =
        ServerConfig { admin: example(), ..ServerConfig::new("127.0.0.1:0".parse().unwrap()) };
    assert!(bind(here).await.is_ok());
    refused(insecure()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_on_this_machine_makes_a_key_and_the_second_does_not() {
    let (_deployment, onward) = Deployment::lake().await;
    let config = || ServerConfig::new("127.0.0.1:0".parse().unwrap());
    let first = Server::bind(onward.clone(), config()).await.unwrap();
    assert_eq!(first.first_key().unwrap().key.role, Role::Admin);
    let second = Server::bind(onward.clone(), config()).await.unwrap();
    assert!(second.first_key().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_changes_nothing() {
    let sidecar = Sidecar::start().await;
    let branch = json!({"name": "dev", "source": "main"});
    let from = |site: &'static str| {
        let request = sidecar.request("POST", &format!("{LAKE}/branches"));
        told(request.header("Sec-Fetch-Site", site).json(&branch))
    };
    for site in ["cross-site", "same-site"] {
        assert_eq!(from(site).await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(from("same-origin").await.0, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_browsers_do_not_say_who_asks_the_origin_tells() {
    let sidecar = Sidecar::start().await;
    let here = sidecar.address().to_owned();
    let from = |origin: String, name: &'static str| {
        let request = sidecar.request("POST", &format!("{LAKE}/branches"));
        told(request.header("Origin", origin).json(&json!({"name": name, "source": "main"})))
    };
    let port = here.rsplit_once(':').unwrap().1;
    for foreign in [
        "http://evil.example".to_owned(),
        format!("http://evil.example:{port}"),
        format!("http://{here}.evil.example"),
        "http://127.0.0.1".to_owned(),
        "null".to_owned(),
        String::new(),
    ] {
        assert_eq!(from(foreign.clone(), "dev").await.0, StatusCode::FORBIDDEN, "{foreign}");
    }
    assert_eq!(from(format!("http://{here}"), "one").await.0, StatusCode::CREATED);
    // Whoever encrypts in front passes on the name that clients know.
    for (n, (origin, host)) in [
        ("https://Lake.example", "lake.example"),
        ("https://lake.example", "lake.example:443"),
        ("http://lake.example:80", "lake.example"),
    ]
    .into_iter()
    .enumerate()
    {
        let request = sidecar.request("POST", &format!("{LAKE}/branches"));
        let request = request.header("Origin", origin).header("Host", host);
        let branch = json!({"name": format!("b{n}"), "source": "main"});
        let (status, body) = told(request.json(&branch)).await;
        assert_eq!(status, StatusCode::CREATED, "{origin} {host}: {body}");
    }
}
