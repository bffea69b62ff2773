//! Where events go, as pages.

use onward_server::auth::Role;
use reqwest::StatusCode;
use serde_json::json;

use super::browser::Browser;
use crate::events::receiver::{Receiver, Reply};
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

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_revives_a_sink_that_was_given_up_and_nobody_else_is_offered_it() {
    let sidecar = Sidecar::with(|config| config.allow_sinks = vec!["127.0.0.1".into()]).await;
    let (receiver, sinks) = (Receiver::start().await, "/ui/repos/lake/sinks");
    receiver.answers(|_| Reply::Status(410));
    let sink = json!({"id": "audit", "url": receiver.url});
    let made = sidecar.send("POST", "/onward/v1/repositories/lake/sinks", sink).await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    let main = sidecar.onward.repo("lake").branch("main");
    main.change().allow_empty(true).commit().await.unwrap();
    let (admin, writer) =
        (Browser::of_admin(&sidecar).await, Browser::with_role(&sidecar, Role::Write).await);
    let is_dead = async || writer.get(sinks).await.1.contains("<span class=\"bad\">dead</span>");
    until_async("it is given up", is_dead).await;
    let revive = format!("{sinks}/revive");
    let offer = format!("action=\"{revive}\"");
    assert!(!writer.get(sinks).await.1.contains(&offer));
    assert!(admin.get(sinks).await.1.contains(&offer));
    let refused = writer.send(&revive, &[("sink", "audit")]).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(is_dead().await);
    receiver.answers(|_| Reply::Status(204));
    let none = admin.send(&revive, &[("sink", "none")]).await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
    let revived = admin.send(&revive, &[("sink", "audit")]).await;
    assert_eq!(revived.status(), StatusCode::SEE_OTHER);
    assert_eq!(revived.headers()["location"].to_str().unwrap(), sinks);
    receiver.until("it goes on where it stopped", |got| got.len() == 2).await;
    until_async("it is live", || async {
        let (_, page) = admin.get(sinks).await;
        page.contains("<span class=\"good\">live</span>") && !page.contains(&offer)
    })
    .await;
}
