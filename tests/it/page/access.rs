//! Who gets in with a browser, and what a page of somebody else can make it do: nothing.

use std::sync::Arc;
use std::time::Duration;

use onward::internals::clock;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use onward_server::auth::{FAILURES_MAX, Role, Sessions};
use onward_server::{Listen, Server, ServerConfig};
use reqwest::StatusCode;

use super::QUEUE;
use super::browser::Browser;
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::sidecar::{ADMIN, Sidecar};
use crate::support::until::until_async;

/// Every page that takes a login.
const PAGES: [&str; 6] = ["/ui", "/ui/", "/ui/queues", "/ui/repos", "/ui/deployment", QUEUE];

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_found_behind_the_login() {
    let sidecar = Sidecar::start().await;
    let mut browser = Browser::new(&sidecar);
    for page in PAGES.into_iter().chain(["/ui/queues/live", "/ui/repos?prefix=a%26b"]) {
        let answer = browser.request("GET", page).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{page}");
        let to = answer.headers()["location"].to_str().unwrap();
        assert!(to.starts_with("/ui/login?next=%2Fui"), "{page}: {to}");
        assert_eq!(browser.get(to).await.0, StatusCode::OK);
    }
    // What does not ask for a page is told so.
    let stream = sidecar.plain("GET", "/ui/queues/live").header("Accept", "text/event-stream");
    let refused = stream.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(!refused.headers().contains_key("www-authenticate"), "no window of the browser's own");
    let fields = [
        ("access_key_id", ADMIN.0),
        ("secret_access_key", ADMIN.1),
        ("next", "/ui/repos?prefix=a%26b"),
    ];
    let answer = browser.form("/ui/login", &fields).send().await.unwrap();
    assert_eq!(answer.headers()["location"], "/ui/repos?prefix=a%26b");
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("onward=1."), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    browser.take_cookie(&answer);
    for page in &PAGES[2..] {
        assert_eq!(browser.get(page).await.0, StatusCode::OK, "{page}");
    }
    // A key itself opens no page.
    let by_key = sidecar.request("GET", "/ui/queues").header("Accept", "application/json");
    assert_eq!(by_key.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_at_the_login_has_to_wait() {
    let sidecar = Sidecar::start().await;
    let browser = Browser::new(&sidecar);
    for _ in 0..FAILURES_MAX {
        let answer = browser.log_in(ADMIN.0, "wrong").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(!answer.headers().contains_key("set-cookie"));
        assert!(!answer.headers().contains_key("www-authenticate"));
        assert!(answer.text().await.unwrap().contains("secret is wrong"));
    }
    let answer = browser.log_in(ADMIN.0, ADMIN.1).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers().contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_goes_over_encrypted_connections_alone_where_there_are_any() {
    let sidecar = Sidecar::start().await;
    let browser = Browser::new(&sidecar);
    let fields = [("access_key_id", ADMIN.0), ("secret_access_key", ADMIN.1), ("next", "")];
    let behind_proxy =
        |request: reqwest::RequestBuilder| request.header("X-Forwarded-Proto", "https");
    let answer = behind_proxy(browser.form("/ui/login", &fields)).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-onward=1.") && cookie.ends_with("; Secure"), "{cookie}");
    // One that anybody could have set for this host is none there.
    let value = cookie.split(';').next().unwrap().trim_start_matches("__Host-");
    let plain = behind_proxy(browser.request("GET", "/ui/queues")).header("Cookie", value);
    assert_eq!(plain.send().await.unwrap().status(), StatusCode::SEE_OTHER);
    let whole = behind_proxy(browser.request("GET", "/ui/queues")).header("Cookie", &cookie);
    assert_eq!(whole.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_known_to_every_sidecar_until_its_key_is_gone() {
    let first = Sidecar::start().await;
    let (id, secret) = first.key(Role::Write).await;
    let browser = Browser::of(&first, (&id, &secret)).await;
    let config = ServerConfig::new("127.0.0.1:0".parse::<Listen>().unwrap());
    let second = Server::bind(first.deployment.connect().await, config).await.unwrap();
    let elsewhere = browser.at(second.url());
    let (stopper, serving) = (second.stopper(), tokio::spawn(second.serve()));
    assert_eq!(elsewhere.get("/ui/repos").await.0, StatusCode::OK);
    let token = browser.token().await;
    assert_eq!(elsewhere.token().await, token);
    first.keys.delete(&id).await.unwrap();
    for browser in [&browser, &elsewhere] {
        until_async("the session has ended", || async {
            browser.get("/ui/repos").await.0 == StatusCode::SEE_OTHER
        })
        .await;
        // A form that comes too late is told so, and no login is asked for by the browser itself.
        let fields = [("token", token.as_str()), ("op", "00000000-0000-4000-8000-000000000000")];
        let late = browser.form(&format!("{QUEUE}/cancel"), &fields).send().await.unwrap();
        assert_eq!(late.status(), StatusCode::UNAUTHORIZED);
        assert!(late.text().await.unwrap().contains("nothing was done"));
    }
    stopper.cancel();
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_logs_out_has_no_session_any_more() {
    let sidecar = Sidecar::start().await;
    let mut browser = Browser::of_admin(&sidecar).await;
    let answer = browser.send("/ui/logout", &[]).await;
    assert_eq!(answer.headers()["location"], "/ui/login?out=1");
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("onward=;") && cookie.ends_with("; Max-Age=0"), "{cookie}");
    // Whether the browser has thrown it away, as it is told to, or not yet.
    browser.take_cookie(&answer);
    for cookie in [browser.cookie.clone(), String::new()] {
        browser.cookie = cookie;
        assert_eq!(browser.get("/ui/repos").await.0, StatusCode::SEE_OTHER);
        let late = browser.form("/ui/deployment/checkup", &[("token", "x")]).send().await.unwrap();
        assert_eq!(late.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_by_pages_that_come_soon_and_by_nothing_else() {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://");
    let deployment = Deployment { redis: RedisServer::new(), objects: objects.clone() };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let sidecar = Sidecar::over(deployment, onward, |_| {}).await;
    let sessions = Sessions::new(objects, sidecar.keys.clone());
    let key = sidecar.keys.find(ADMIN.0).await.unwrap().unwrap();
    // One that was used ten minutes ago.
    let session = sessions.begin(key, clock::now_ms() - 600_000);
    let mut browser = Browser::new(&sidecar);
    browser.cookie = format!("onward={}", sessions.cookie(&session).await.unwrap());
    let token = browser.token().await;
    let renews = async |request: reqwest::RequestBuilder| {
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success() || answer.status() == StatusCode::SEE_OTHER);
        answer.headers().contains_key("set-cookie")
    };
    assert!(renews(browser.request("GET", "/ui/queues")).await);
    assert!(renews(browser.request("GET", "/ui/repos")).await);
    // The storage takes its time, and meanwhile somebody may have logged out.
    store.fail_next_at(Op::Get, "lake/", 1, Fault::Delay(Duration::from_millis(1_500)));
    assert!(!renews(browser.request("GET", "/ui/repos")).await);
    assert!(!renews(browser.form("/ui/deployment/checkup", &[("token", &token)])).await);
    let stream = sidecar.plain("GET", "/ui/queues/live").header("Cookie", &browser.cookie);
    assert!(!renews(stream.header("Accept", "text/event-stream")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_taken_from_a_page_of_its_session_alone() {
    let sidecar = Sidecar::start().await;
    let browser = Browser::of_admin(&sidecar).await;
    let other = Browser::of_admin(&sidecar).await;
    let (token, others) = (browser.token().await, other.token().await);
    assert_ne!(token, others);
    for fields in [
        &[][..],
        &[("token", "")],
        &[("token", "guessed")],
        &[("token", &others)],
        &[("token", &token), ("token", &token)],
    ] {
        let refused = browser.form("/ui/logout", fields).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{fields:?}");
        assert!(!refused.headers().contains_key("set-cookie"), "{fields:?}");
        assert!(refused.text().await.unwrap().contains("not of this session"));
    }
    let right = || browser.request("POST", "/ui/logout").body(format!("token={token}"));
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("X-Says", "nothing of where it is from"),
    ] {
        let refused = right().header(name, value).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{name}: {value}");
    }
    let login = browser.request("POST", "/ui/login").header("Origin", "https://evil.example");
    let login = login.body(format!("access_key_id={}&secret_access_key=x", ADMIN.0));
    assert_eq!(login.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let taken = right().header("Sec-Fetch-Site", "same-origin").send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_keeps_a_browser_to_this_server() {
    let sidecar = Sidecar::start().await;
    let browser = Browser::of_admin(&sidecar).await;
    let (_, page) = browser.get("/ui/queues").await;
    let style = page.split("href=\"").find(|part| part.starts_with("/ui/assets/style.")).unwrap();
    let style = style.split('"').next().unwrap();
    for (path, status) in [
        ("/ui/login", StatusCode::OK),
        ("/ui/queues", StatusCode::OK),
        (style, StatusCode::OK),
        ("/ui/repos/none/branches/main/queue", StatusCode::NOT_FOUND),
        ("/ui/repos?wrong=1", StatusCode::BAD_REQUEST),
        ("/ui/assets/style.css", StatusCode::NOT_FOUND),
        ("/ui/nothing", StatusCode::NOT_FOUND),
        ("/ui/%FF", StatusCode::BAD_REQUEST),
    ] {
        let answer = browser.request("GET", path).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        // With 'no-referrer' a browser hides from which page a form was sent.
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        let cached = if path == style { "immutable" } else { "no-store" };
        assert!(header("cache-control").ends_with(cached), "{path}");
        if path != style {
            let page = answer.text().await.unwrap();
            assert!(page.starts_with("<!DOCTYPE html>"), "{path}: {page}");
        }
    }
    // What is no page is as it was.
    let api = browser.request("GET", "/api/v1/nothing").send().await.unwrap();
    assert!(!api.headers().contains_key("content-security-policy"));
    assert_eq!(api.headers()["content-type"], "application/json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_offers_what_its_visitor_may_do_and_takes_no_more() {
    let sidecar = Sidecar::start().await;
    let op = ("op", "00000000-0000-4000-8000-000000000000");
    let cancel = format!("{QUEUE}/cancel");
    for (role, calls_off, examines) in [
        (Role::Read, StatusCode::FORBIDDEN, StatusCode::FORBIDDEN),
        (Role::Write, StatusCode::NOT_FOUND, StatusCode::FORBIDDEN),
        (Role::Admin, StatusCode::NOT_FOUND, StatusCode::SEE_OTHER),
    ] {
        let browser = Browser::with_role(&sidecar, role).await;
        let (_, page) = browser.get("/ui/deployment").await;
        assert_eq!(page.contains("Examine now"), role == Role::Admin, "{role}");
        assert_eq!(browser.send("/ui/deployment/checkup", &[]).await.status(), examines, "{role}");
        assert_eq!(browser.send(&cancel, &[op]).await.status(), calls_off, "{role}");
        let (_, page) = browser.get("/ui/deployment").await;
        let tells = page.contains("redis commands") && page.contains("good");
        assert_eq!(tells, role == Role::Admin, "{role}");
    }
}
