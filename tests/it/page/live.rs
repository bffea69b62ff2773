//! What is sent to pages that are live.

use futures::StreamExt;
use onward_server::auth::Role;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::QUEUE;
use super::browser::Browser;
use crate::support::sidecar::Sidecar;
use crate::support::until::until_async;

/// Reads events of a stream until one of them `is_it`, which is returned; `None` where the stream ends
/// before.
async fn read_until(
    stream: Response,
    mut is_it: impl FnMut(&str, &str) -> bool,
) -> Option<(String, String)> {
    let mut pieces = stream.bytes_stream();
    let mut text = String::new();
    while let Some(Ok(piece)) = pieces.next().await {
        text += std::str::from_utf8(&piece).unwrap();
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            let field = |name| event.lines().find_map(|line| line.strip_prefix(name));
            let (Some(kind), Some(data)) = (field("event: "), field("data: ")) else { continue };
            let data: Value = serde_json::from_str(data).unwrap();
            let (kind, data) = (kind.to_owned(), data.as_str().unwrap().to_owned());
            if is_it(&kind, &data) {
                return Some((kind, data));
            }
        }
    }
    None
}

async fn commit(sidecar: &Sidecar) {
    let changes = "/onward/v1/repositories/lake/branches/main/changes";
    let body = json!({"message": "m", "allow_empty": true, "changes": []});
    assert_eq!(sidecar.send("POST", changes, body).await.0, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_a_queue_sees_what_is_decided_and_how_long_it_took() {
    let sidecar = Sidecar::start().await;
    let browser = Browser::with_role(&sidecar, Role::Read).await;
    let live = browser.request("GET", &format!("{QUEUE}/live")).send().await.unwrap();
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    assert!(live.headers().contains_key("content-security-policy"));
    let mut shown = 0;
    let seen = read_until(live, |kind, view| {
        assert_eq!(kind, "view");
        shown += 1;
        if shown == 1 {
            assert!(view.contains("Nothing waits.") && view.contains("Decided a second"), "{view}");
        }
        view.contains("in the median")
    });
    let committing = async {
        loop {
            commit(&sidecar).await;
        }
    };
    tokio::select! {
        seen = seen => assert!(seen.unwrap().1.contains("ops in one")),
        () = committing => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_page_ends_with_its_session_its_branch_and_the_sidecar() {
    let sidecar = Sidecar::start().await;
    let (id, secret) = sidecar.key(Role::Read).await;
    let browser = Browser::of(&sidecar, (&id, &secret)).await;
    let admin = Browser::of_admin(&sidecar).await;
    sidecar.onward.repo("lake").branch("dev").create(&"main".parse().unwrap()).await.unwrap();
    let dev = QUEUE.replace("main", "dev");
    let live =
        |browser: &Browser, path: String| browser.request("GET", &format!("{path}/live")).send();
    let of_key = live(&browser, QUEUE.to_owned()).await.unwrap();
    let of_branch = live(&admin, dev.clone()).await.unwrap();
    let of_sidecar = live(&admin, "/ui/queues".to_owned()).await.unwrap();
    let is_end = |kind: &str, _: &str| kind == "end";
    sidecar.keys.delete(&id).await.unwrap();
    assert!(read_until(of_key, is_end).await.unwrap().1.contains("session has ended"));
    sidecar.onward.repo("lake").branch("dev").delete().await.unwrap();
    assert!(read_until(of_branch, is_end).await.is_some());
    assert_eq!(admin.get(&format!("{dev}/live")).await.0, StatusCode::NOT_FOUND);
    sidecar.stopper.cancel();
    // Whoever is cut off comes again, to another sidecar.
    assert!(read_until(of_sidecar, is_end).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_watch_the_queues_share_a_look() {
    let sidecar = Sidecar::start().await;
    for n in 0..20 {
        let branch = sidecar.onward.repo("lake").branch(format!("b{n}"));
        branch.create(&"main".parse().unwrap()).await.unwrap();
        branch.change().allow_empty(true).commit().await.unwrap();
    }
    let browser = Browser::of_admin(&sidecar).await;
    let looks = || sidecar.onward.coordinator().lanes().calls()["view"];
    let before = looks();
    let watching = (0..50).map(|_| async {
        let live = browser.request("GET", "/ui/queues/live").send().await.unwrap();
        let (_, view) = read_until(live, |_, _| true).await.unwrap();
        assert_eq!(view.matches("<th scope=\"row\">").count(), 21);
    });
    futures::future::join_all(watching).await;
    // One for each branch, and what rounds look at by themselves.
    assert!(looks() - before <= 3 * 21, "{} looks", looks() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_live_take_places_among_those_who_listen() {
    let sidecar = Sidecar::with(|config| config.limits.streams_per_key = 1).await;
    let browser = Browser::of_admin(&sidecar).await;
    let first = browser.request("GET", "/ui/queues/live").send().await.unwrap();
    let refused = browser.request("GET", &format!("{QUEUE}/live")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    drop(first);
    until_async("the place is given back", || async {
        let again = browser.request("GET", "/ui/queues/live").send().await.unwrap();
        again.status() == StatusCode::OK
    })
    .await;
}
