//! The queue of a branch, as a page.

use onward::Onward;
use onward::internals::commit::faults::{Faults, Gate};
use onward_server::auth::Role;
use reqwest::StatusCode;
use serde_json::json;

use super::QUEUE;
use super::browser::Browser;
use crate::support::lake::Deployment;
use crate::support::sidecar::{Sidecar, told};
use crate::support::until::until_async;

/// What would be a script of its own where a name is taken for a part of a page.
const HOSTILE: &str = "<script>window.hostile=1</script>";

/// A sidecar whose next batch is held up before it is prepared: what comes meanwhile waits in the queue.
async fn held() -> (Sidecar, Gate) {
    let (deployment, first) = Deployment::lake().await;
    first.close().await;
    let faults = Faults::default();
    let onward: Onward = deployment.connect_with(faults.clone()).await;
    let gate = faults.hold("prepare");
    (Sidecar::over(deployment, onward, |_| {}).await, gate)
}

/// Has an op accepted for somebody with this name; returns its id.
async fn submit(sidecar: &Sidecar, key: (&str, &str)) -> String {
    let changes = "/onward/v1/repositories/lake/branches/main/changes?wait=false";
    let body = json!({"message": "m", "allow_empty": true, "changes": []});
    let request = sidecar.plain("POST", changes).basic_auth(key.0, Some(key.1)).json(&body);
    let (status, body) = told(request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    body["op_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_shows_who_waits_and_one_of_them_can_be_called_off() {
    let (sidecar, gate) = held().await;
    let key = sidecar.keys.create(Role::Write, HOSTILE, None).await.unwrap();
    let key = (key.key.id.as_str(), key.secret.as_str());
    let first = submit(&sidecar, key).await;
    gate.reached().await;
    let second = submit(&sidecar, key).await;
    let browser = Browser::of(&sidecar, key).await;
    let (_, page) = browser.get(QUEUE).await;
    for part in ["2 ops wait, the oldest for", &first, &second, "&lt;script&gt;", "Call off…"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains(HOSTILE), "{page}");
    let reader = Browser::with_role(&sidecar, Role::Read).await;
    assert!(!reader.get(QUEUE).await.1.contains("Call off"));
    let (_, all) = browser.get("/ui/queues").await;
    assert!(all.contains("2 ops wait in 1 queue.") && all.contains("lake/main"), "{all}");
    // It is asked first, and then done, once.
    let (status, asked) = browser.get(&format!("{QUEUE}/cancel?op={second}")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(asked.contains("at place 2 of the queue") && asked.contains("Call it off"), "{asked}");
    let answer = browser.send(&format!("{QUEUE}/cancel"), &[("op", &second)]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let to = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(browser.get(&to).await.1.contains("waits, as ticket 3"));
    gate.open();
    until_async("both are decided", || async {
        browser.get(QUEUE).await.1.contains("Nothing waits.")
    })
    .await;
    let (_, told) = browser.get(&to).await;
    assert!(told.contains("is decided: <strong>cancelled</strong>"), "{told}");
    let (_, told) = browser.get(&format!("{QUEUE}?op={first}")).await;
    assert!(told.contains("is decided: <strong>committed</strong>, as ticket 2"), "{told}");
    assert!(told.contains("Decided last"), "{told}");
    // To call off what is decided changes nothing, and says what there is.
    let again = browser.send(&format!("{QUEUE}/cancel"), &[("op", &first)]).await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER);
    for (asked, says) in [
        ("00000000-0000-4000-8000-000000000000", "is known on this branch"),
        ("%3Ci%3E", "&lt;i&gt;</bdi>' is no op id"),
    ] {
        let (status, page) = browser.get(&format!("{QUEUE}?op={asked}")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains(says), "{says}: {page}");
    }
}
