//! What users of lakeFS rely on, where it takes more than an operation that is there: when a commit is
//! one, whose change a path is, and the words that their scripts compare.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::LAKE;
use crate::support::sidecar::{Sidecar, told};

/// An object on a branch.
async fn upload(sidecar: &Sidecar, branch: &str, path: &str, content: &str) {
    let url = format!("{LAKE}/branches/{branch}/objects?path={path}");
    let (status, body) = told(sidecar.request("POST", &url).body(content.to_owned())).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
}

async fn remove(sidecar: &Sidecar, branch: &str, path: &str) {
    let url = format!("{LAKE}/branches/{branch}/objects?path={path}");
    assert_eq!(told(sidecar.request("DELETE", &url)).await.0, StatusCode::NO_CONTENT);
}

/// What is staged becomes a commit.
async fn commit(sidecar: &Sidecar, branch: &str, message: &str) -> String {
    let (status, body) = sidecar
        .send("POST", &format!("{LAKE}/branches/{branch}/commits"), json!({"message": message}))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

async fn branch(sidecar: &Sidecar, name: &str) {
    let new = json!({"name": name, "source": "main"});
    let (status, body) = sidecar.send("POST", &format!("{LAKE}/branches"), new).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
}

async fn merge(sidecar: &Sidecar, source: &str, body: Value) -> (StatusCode, Value) {
    sidecar.send("POST", &format!("{LAKE}/refs/{source}/merge/main"), body).await
}

/// The messages of a log, newest first.
async fn log(sidecar: &Sidecar, query: &str) -> Vec<String> {
    let (status, page) = sidecar.get(&format!("{LAKE}/refs/main/commits?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let message = |commit: &Value| commit["message"].as_str().unwrap().to_owned();
    page["results"].as_array().unwrap().iter().map(message).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_again_are_no_commit() {
    let sidecar = Sidecar::start().await;
    upload(&sidecar, "main", "a", "1").await;
    let first = commit(&sidecar, "main", "first").await;
    upload(&sidecar, "main", "a", "1").await;
    let commits = format!("{LAKE}/branches/main/commits");
    for sent in 0..2 {
        let request = sidecar.request("POST", &commits).header("Idempotency-Key", "again");
        let answer = request.json(&json!({"message": "again"})).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(answer.headers().contains_key("idempotency-replayed"), sent > 0);
        let said: Value = answer.json().await.unwrap();
        assert_eq!(
            (&said["message"], &said["code"]),
            (&json!("commit: no changes"), &json!("no_changes"))
        );
    }
    assert_eq!(sidecar.get(&format!("{LAKE}/branches/main")).await.1["commit_id"], first);
    let uncommitted = sidecar.get(&format!("{LAKE}/branches/main/diff")).await.1;
    assert_eq!(uncommitted["results"], json!([]));
    upload(&sidecar, "main", "a", "1").await;
    let wanted = json!({"message": "all the same", "allow_empty": true});
    assert_eq!(sidecar.send("POST", &commits, wanted).await.0, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_log_names_the_commit_that_made_a_change_and_goes_on_behind_any() {
    let sidecar = Sidecar::start().await;
    for name in ["one", "two"] {
        branch(&sidecar, name).await;
        upload(&sidecar, name, &format!("t/{name}"), name).await;
        commit(&sidecar, name, name).await;
    }
    upload(&sidecar, "main", "other", "1").await;
    let other = commit(&sidecar, "main", "other").await;
    for name in ["one", "two"] {
        let (status, said) =
            merge(&sidecar, name, json!({"message": format!("merge {name}")})).await;
        assert_eq!(status, StatusCode::OK, "{said}");
    }
    // lakectl's annotate asks this.
    assert_eq!(log(&sidecar, "objects=t/one&limit=true&amount=1").await, ["one"]);
    assert_eq!(log(&sidecar, "prefixes=t/").await, ["two", "one"]);
    assert_eq!(log(&sidecar, "prefixes=t/&first_parent=true").await, ["merge two", "merge one"]);
    assert_eq!(log(&sidecar, "amount=2").await, ["merge two", "merge one"]);
    // What the filter leaves out is a place in the history, too.
    assert_eq!(log(&sidecar, &format!("prefixes=t/&after={other}")).await, ["two", "one"]);
    assert_eq!(log(&sidecar, "prefixes=t/&after=two").await, ["one"]);
    assert_eq!(log(&sidecar, "objects=other&after=one").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_tells_the_size_of_what_goes_and_of_what_is_in_conflict() {
    let sidecar = Sidecar::start().await;
    for (path, content) in [("gone", "12345"), ("both", "1"), ("taken", "123")] {
        upload(&sidecar, "main", path, content).await;
    }
    commit(&sidecar, "main", "first").await;
    branch(&sidecar, "dev").await;
    upload(&sidecar, "dev", "both", "22").await;
    for path in ["gone", "taken"] {
        remove(&sidecar, "dev", path).await;
    }
    let shown = async |url: &str| {
        let (status, page) = sidecar.get(url).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let line =
            |diff: &Value| format!("{} {} {}", diff["type"], diff["path"], diff["size_bytes"]);
        page["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .join(", ")
            .replace('"', "")
    };
    let expected = "changed both 2, removed gone 5, removed taken 3";
    assert_eq!(shown(&format!("{LAKE}/branches/dev/diff")).await, expected);
    commit(&sidecar, "dev", "dev").await;
    assert_eq!(shown(&format!("{LAKE}/refs/main/diff/dev?type=two_dot")).await, expected);
    upload(&sidecar, "main", "both", "333").await;
    upload(&sidecar, "main", "taken", "4444").await;
    commit(&sidecar, "main", "main").await;
    let crossed = "conflict both 2, removed gone 5, conflict taken 4";
    assert_eq!(shown(&format!("{LAKE}/refs/main/diff/dev")).await, crossed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cherry_pick_tells_its_origin_as_lakefs_does() {
    let sidecar = Sidecar::start().await;
    branch(&sidecar, "dev").await;
    upload(&sidecar, "dev", "a", "1").await;
    let message = json!({"message": "made", "metadata": {"job": "7"}});
    let made = sidecar.send("POST", &format!("{LAKE}/branches/dev/commits"), message).await.1;
    let url = format!("{LAKE}/branches/main/cherry-pick");
    let (status, picked) = sidecar.send("POST", &url, json!({"ref": "dev"})).await;
    assert_eq!(status, StatusCode::CREATED, "{picked}");
    let expected = json!({
        "job": "7", "cherry-pick-origin": made["id"], "cherry-pick-committer": made["committer"],
    });
    assert_eq!((&picked["metadata"], &picked["message"]), (&expected, &json!("made")));
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_not_kept_on_the_way() {
    let sidecar = Sidecar::start().await;
    upload(&sidecar, "main", "a", "1").await;
    let url = format!("{LAKE}/refs/main/objects?path=a");
    for method in ["GET", "HEAD"] {
        let answer = sidecar.request(method, &url).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store, must-revalidate", "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_begin_with_the_words_of_lakefs_and_name_no_command() {
    let sidecar = Sidecar::start().await;
    upload(&sidecar, "main", "a", "1").await;
    commit(&sidecar, "main", "first").await;
    for name in ["dev", "other"] {
        branch(&sidecar, name).await;
        upload(&sidecar, name, "a", name).await;
        commit(&sidecar, name, name).await;
        sidecar
            .send("POST", &format!("{LAKE}/tags"), json!({"id": format!("t-{name}"), "ref": name}))
            .await;
    }
    assert_eq!(merge(&sidecar, "dev", json!({})).await.0, StatusCode::OK);
    upload(&sidecar, "dev", "b", "1").await;
    let rules = json!([{"pattern": "other"}]);
    sidecar.send("PUT", &format!("{LAKE}/settings/branch_protection"), rules).await;
    let nowhere = "/api/v1/repositories/none";
    let commits = json!({"message": "m"});
    for (method, path, body, status, words) in [
        ("GET", nowhere.into(), json!({}), 404, "repository not found: "),
        ("GET", format!("{nowhere}/branches/main"), json!({}), 404, "repository not found: "),
        ("GET", format!("{LAKE}/branches/none"), json!({}), 404, "branch not found: "),
        (
            "POST",
            format!("{LAKE}/branches/none/commits"),
            commits.clone(),
            404,
            "branch not found: ",
        ),
        ("GET", format!("{LAKE}/tags/none"), json!({}), 404, "tag not found: "),
        ("GET", format!("{LAKE}/commits/none"), json!({}), 404, "commit not found: "),
        ("GET", format!("{LAKE}/commits/{}", "0".repeat(64)), json!({}), 404, "commit not found: "),
        ("GET", format!("{LAKE}/commits/main~9"), json!({}), 404, "commit not found: "),
        (
            "GET",
            format!("{LAKE}/refs/main/objects/stat?path=none"),
            json!({}),
            404,
            "object not found: ",
        ),
        ("GET", "/api/v1/nothing".into(), json!({}), 404, "invalid API endpoint: "),
        ("GET", "/api/nothing".into(), json!({}), 404, "invalid API endpoint: "),
        (
            "POST",
            "/api/v1/repositories".into(),
            json!({"name": "lake", "storage_namespace": "x"}),
            409,
            "error creating repository: not unique: ",
        ),
        (
            "POST",
            format!("{LAKE}/branches"),
            json!({"name": "dev", "source": "main"}),
            409,
            "branch already exists: not unique: ",
        ),
        (
            "POST",
            format!("{LAKE}/branches"),
            json!({"name": "dev", "source": "none"}),
            409,
            "branch already exists: not unique: ",
        ),
        (
            "POST",
            format!("{LAKE}/tags"),
            json!({"id": "t-dev", "ref": "main"}),
            409,
            "tag already exists: not unique: ",
        ),
        (
            "DELETE",
            format!("{LAKE}/branches/main"),
            json!({}),
            403,
            "cannot delete repository default branch: ",
        ),
        (
            "DELETE",
            format!("{LAKE}/branches/other/objects?path=a"),
            json!({}),
            403,
            "cannot write to protected branch: ",
        ),
        (
            "POST",
            format!("{LAKE}/branches/other/commits"),
            commits,
            403,
            "cannot commit to protected branch: ",
        ),
        ("POST", format!("{LAKE}/refs/other/merge/main"), json!({}), 409, "conflict found: "),
        (
            "POST",
            format!("{LAKE}/branches/main/revert"),
            json!({"ref": "main", "parent_number": 0}),
            409,
            "must specify 1-based parent number for reverting merge commit: ",
        ),
        (
            "PUT",
            format!("{LAKE}/branches/dev/hard_reset?ref=main"),
            json!({}),
            400,
            "uncommitted changes (dirty branch): ",
        ),
    ] {
        let (was, said) = sidecar.send(method, &path, body).await;
        assert_eq!(was.as_u16(), status, "{method} {path}: {said}");
        let message = said["message"].as_str().unwrap();
        assert!(message.starts_with(words), "{method} {path}: {message}");
        assert!(!message.contains("`onward "), "{method} {path}: {message}");
    }
}
