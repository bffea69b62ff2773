//! Refs and history over the lakeFS API, where Onward has a word of its own.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::LAKE;
use crate::support::sidecar::{Sidecar, told};

async fn upload(sidecar: &Sidecar, branch: &str, path: &str, content: &str) {
    let url = format!("{LAKE}/branches/{branch}/objects?path={path}");
    let (status, body) = told(sidecar.request("POST", &url).body(content.to_owned())).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
}

async fn commit(sidecar: &Sidecar, branch: &str) -> Value {
    let (status, body) = sidecar
        .send("POST", &format!("{LAKE}/branches/{branch}/commits"), json!({"message": "m"}))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_branches_are_listed_only_when_asked_for() {
    let sidecar = Sidecar::start().await;
    for (name, hidden) in [("b1", false), ("b2", true), ("b3", false)] {
        let new = json!({"name": name, "source": "main", "hidden": hidden});
        assert_eq!(
            sidecar.send("POST", &format!("{LAKE}/branches"), new).await.0,
            StatusCode::CREATED
        );
    }
    let names = async |query: &str| {
        let (_, page) = sidecar.get(&format!("{LAKE}/branches?{query}")).await;
        let names: Vec<String> = page["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|branch| branch["id"].as_str().unwrap().to_owned())
            .collect();
        (names.join(" "), page["pagination"]["has_more"] == true)
    };
    assert_eq!(names("").await, ("b1 b3 main".into(), false));
    assert_eq!(names("show_hidden=True").await, ("b1 b2 b3 main".into(), false));
    assert_eq!(names("prefix=b&amount=1").await, ("b1".into(), true));
    assert_eq!(names("prefix=b&amount=1&after=b1").await, ("b3".into(), false));
    let (status, _) = sidecar.get(&format!("{LAKE}/branches/b2")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_shown_by_prefix_and_page_by_page() {
    let sidecar = Sidecar::start().await;
    upload(&sidecar, "main", "old", "1").await;
    upload(&sidecar, "main", "same", "1").await;
    commit(&sidecar, "main").await;
    for path in ["a/1", "a/2", "a0", "b/1", "old"] {
        upload(&sidecar, "main", path, "2").await;
    }
    upload(&sidecar, "main", "same", "1").await;
    let gone = format!("{LAKE}/branches/main/objects?path=never");
    assert_eq!(told(sidecar.request("DELETE", &gone)).await.0, StatusCode::NO_CONTENT);
    let shown = async |url: String| {
        let (status, page) = sidecar.get(&url).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let lines: Vec<String> = page["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|diff| {
                format!("{} {}", diff["type"].as_str().unwrap(), diff["path"].as_str().unwrap())
            })
            .collect();
        (lines.join(", "), page["pagination"]["next_offset"].as_str().unwrap().to_owned())
    };
    let flat = "added a/1, added a/2, added a0, added b/1, changed old";
    let folded = "prefix_changed a/, added a0, prefix_changed b/, changed old";
    let uncommitted = format!("{LAKE}/branches/main/diff");
    assert_eq!(shown(uncommitted.clone()).await.0, flat);
    assert_eq!(shown(format!("{uncommitted}?delimiter=/")).await.0, folded);
    let (first, next) = shown(format!("{uncommitted}?delimiter=/&amount=1")).await;
    assert_eq!((first.as_str(), next.as_str()), ("prefix_changed a/", "a/"));
    let (rest, _) = shown(format!("{uncommitted}?delimiter=/&after=a/")).await;
    assert_eq!(rest, "added a0, prefix_changed b/, changed old");
    commit(&sidecar, "main").await;
    let committed = format!("{LAKE}/refs/main~1/diff/main");
    for kind in ["two_dot", "three_dot"] {
        assert_eq!(shown(format!("{committed}?type={kind}")).await.0, flat);
        assert_eq!(shown(format!("{committed}?type={kind}&delimiter=/")).await.0, folded);
        assert_eq!(
            shown(format!("{committed}?type={kind}&prefix=a/&delimiter=/")).await.0,
            "added a/1, added a/2"
        );
    }
    assert_eq!(sidecar.get(&format!("{committed}?type=four")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(shown(uncommitted).await.0, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_has_the_date_that_was_asked_for() {
    let sidecar = Sidecar::start().await;
    upload(&sidecar, "main", "a", "1").await;
    let url = format!("{LAKE}/branches/main/commits");
    let (status, body) =
        sidecar.send("POST", &url, json!({"message": "m", "date": 1_000_000_000})).await;
    assert_eq!(
        (status, &body["creation_date"]),
        (StatusCode::CREATED, &json!(1_000_000_000)),
        "{body}"
    );
    let (status, body) = sidecar.send("POST", &url, json!({"message": "m"})).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("no_changes")));
    let (status, body) = sidecar.send("POST", &url, json!({"message": "m", "mesage": ""})).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("invalid")));
}

#[tokio::test(flavor = "multi_thread")]
async fn refs_that_were_lost_are_brought_back_from_a_dump() {
    let sidecar = Sidecar::start().await;
    upload(&sidecar, "main", "a", "1").await;
    let head = commit(&sidecar, "main").await["id"].clone();
    sidecar
        .send("POST", &format!("{LAKE}/branches"), json!({"name": "dev", "source": "main"}))
        .await;
    sidecar.send("POST", &format!("{LAKE}/tags"), json!({"id": "v1", "ref": "main"})).await;
    let (status, dump) = told(sidecar.request("PUT", &format!("{LAKE}/refs/dump"))).await;
    assert_eq!(status, StatusCode::CREATED, "{dump}");
    for lost in ["branches/dev", "tags/v1"] {
        let (status, said) = told(sidecar.request("DELETE", &format!("{LAKE}/{lost}"))).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{said}");
    }
    upload(&sidecar, "main", "a", "2").await;
    let newer = commit(&sidecar, "main").await["id"].clone();
    let restore = format!("{LAKE}/refs/restore");
    assert_eq!(dump["branches_meta_range_id"].as_str().unwrap().len(), 64);
    assert_eq!(sidecar.send("PUT", &restore, dump.clone()).await.0, StatusCode::OK);
    assert_eq!(sidecar.get(&format!("{LAKE}/branches/dev")).await.1["commit_id"], head);
    assert_eq!(sidecar.get(&format!("{LAKE}/tags/v1")).await.1["commit_id"], head);
    assert_eq!(sidecar.get(&format!("{LAKE}/branches/main")).await.1["commit_id"], newer);
    // As programs before this one told it.
    let short = &dump["branches_meta_range_id"].as_str().unwrap()[..32];
    let before = json!({"commits_meta_range_id": short, "tags_meta_range_id": short, "branches_meta_range_id": short});
    assert_eq!(sidecar.send("PUT", &restore, before).await.0, StatusCode::OK);
    let id = "0".repeat(64);
    let unknown = json!({"commits_meta_range_id": id, "tags_meta_range_id": id, "branches_meta_range_id": id});
    assert_eq!(sidecar.send("PUT", &restore, unknown).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_left_half_made_is_finished_by_who_asks_again() {
    let sidecar = Sidecar::start().await;
    let objects = &sidecar.deployment.objects;
    // What a process that died in between has left.
    sidecar.onward.repo("half").create(&"main".parse().unwrap()).await.unwrap();
    let record = objects.get("half/repo").await.unwrap().unwrap();
    sidecar.onward.repo("half").delete().await.unwrap();
    objects.put("half/repo", record).await.unwrap();
    let main = "/api/v1/repositories/half/branches/main";
    assert_eq!(sidecar.get(main).await.0, StatusCode::NOT_FOUND);
    let new = json!({"name": "half", "storage_namespace": "x"});
    let (status, said) = sidecar.send("POST", "/api/v1/repositories", new.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{said}");
    let (_, log) = sidecar.get("/api/v1/repositories/half/refs/main/commits").await;
    assert_eq!(log["results"].as_array().unwrap().len(), 1);
    assert_eq!(sidecar.send("POST", "/api/v1/repositories", new).await.0, StatusCode::CONFLICT);
}
