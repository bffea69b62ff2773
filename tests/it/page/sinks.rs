//! Where events go, as pages.

use onward_server::auth::Role;
use reqwest::StatusCode;
use serde_json::json;

use super::browser::Browser;
use crate::support::sidecar::Sidecar;
use crate::support::until::until_async;

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_given_up_is_shown_with_the_reason() {
    let sidecar = Sidecar::with(|config| config.allow_sinks = vec!["127.0.0.1".into()]).await;
    let browser = Browser::with_role(&sidecar, Role::Read).await;
    let sinks = "/ui/repos/lake/sinks";
    assert!(browser.get(sinks).await.1.contains("go nowhere"));
    // A port that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sink =
        json!({"id": "audit", "url": format!("http://{free}/hook"), "give_up_after_ms": 100});
    let made = sidecar.send("POST", "/onward/v1/repositories/lake/sinks", sink).await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    sidecar.onward.repo("lake").branch("main").change().allow_empty(true).commit().await.unwrap();
    until_async("it is given up", || async {
        let (_, page) = browser.get(sinks).await;
        page.contains("<span class=\"bad\">dead</span>") && page.contains(&free.to_string())
    })
    .await;
    until_async("the deployment says so", || async {
        let (_, page) = browser.get("/ui/deployment").await;
        page.contains("href=\"/ui/repos/lake/sinks\"") && page.contains("is dead: it was given up")
    })
    .await;
    // Paths of webhooks are secrets with many receivers.
    assert!(!browser.get(sinks).await.1.contains("/hook"));
    assert_eq!(browser.get("/ui/repos/none/sinks").await.0, StatusCode::NOT_FOUND);
}
