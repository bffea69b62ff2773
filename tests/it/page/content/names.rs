//! Whatever things are called: every link of every page leads somewhere, and no name becomes markup.

use std::collections::{BTreeSet, VecDeque};

use onward::internals::model::name::TagName;
use reqwest::StatusCode;

use super::visit::Visit;
use super::{LAKE, branch, fork, put, upload};
use crate::support::sidecar::Sidecar;

/// What would be a script if it became markup.
const SCRIPT: &str = "\"><script>window.bad=1</script>";

/// Names of objects that are hard to link.
fn hard() -> Vec<String> {
    let mut names: Vec<String> = [
        "a b/c d.txt",
        "100%/%2e%2e/%41",
        "q?x=1&y=2#z",
        "../../up",
        "./here",
        "dir//double//",
        "größe/日本語/\u{202e}gnp.txt",
        "plus+and;semi,comma='\"",
        "back\\slash",
        " lead and trail ",
        "new\nline\ttab",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push(format!("evil/{SCRIPT}"));
    names.push(format!("long/{}", "é".repeat(500)));
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_of_every_page_leads_somewhere_whatever_things_are_called() {
    let sidecar = Sidecar::start().await;
    let main = branch(&sidecar, "main");
    for (n, name) in hard().iter().enumerate() {
        upload(&main, name, SCRIPT.as_bytes()).await;
        if n % 4 == 0 {
            let staged =
                main.commit_staged().message(SCRIPT).committer(SCRIPT).meta(SCRIPT, SCRIPT);
            staged.commit().await.unwrap().commit().unwrap();
        }
    }
    let side = fork(&sidecar, "side", "main~1").await;
    put(&side, "side/a", SCRIPT).await;
    put(&main, "side/a", "main").await;
    let lake = sidecar.onward.repo("lake");
    for tag in ["v1%2f&x=\"<b>", "größe#1", "a+b"] {
        lake.create_tag(&TagName::new(tag).unwrap(), &"main~1".parse().unwrap()).await.unwrap();
    }
    let browser = Visit::of(&sidecar).await;
    let compare = format!("{LAKE}/compare?from=side&to=main");
    let merge = format!("{LAKE}/merge?source=side&into=main");
    let mut ahead: VecDeque<String> = [LAKE.to_owned(), compare, merge].into();
    let mut met: BTreeSet<String> = ahead.iter().cloned().collect();
    let mut objects = 0;
    while let Some(link) = ahead.pop_front() {
        let page = browser.get(&link).await;
        assert_eq!(page.status, StatusCode::OK, "{link}: {}", page.text);
        if link.contains("/bytes?") {
            let kind = page.headers["content-disposition"].to_str().unwrap();
            assert!(kind.starts_with("attachment"), "{link}: {kind}");
            continue;
        }
        assert!(page.text.len() < 200 << 10, "{link}: {} bytes", page.text.len());
        assert!(!page.text.contains("<script>window"), "{link}: {}", page.text);
        assert!(!page.text.contains("<b>"), "{link}: {}", page.text);
        objects += usize::from(link.contains("/object?"));
        for found in page.links() {
            // Those of other pages are theirs.
            let is_ours = found.starts_with(LAKE) && !found.contains("/queue");
            if is_ours && met.insert(found.clone()) {
                ahead.push_back(found);
            }
        }
        assert!(met.len() < 1500, "pages lead to ever more pages: {link}");
    }
    assert!(objects >= hard().len(), "{objects} pages of objects of {}", met.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_cannot_be_is_said_on_a_page() {
    let sidecar = Sidecar::start().await;
    let browser = Visit::of(&sidecar).await;
    for (link, status) in [
        ("/ui/repos/none", StatusCode::NOT_FOUND),
        ("/ui/repos/No", StatusCode::BAD_REQUEST),
        ("/ui/repos/lake/object?ref=main&path=none", StatusCode::NOT_FOUND),
        ("/ui/repos/lake/object?ref=main", StatusCode::BAD_REQUEST),
        ("/ui/repos/lake/object?ref=main&path=", StatusCode::BAD_REQUEST),
        ("/ui/repos/lake/bytes?ref=main&path=none", StatusCode::NOT_FOUND),
        ("/ui/repos/lake/commit?ref=none", StatusCode::NOT_FOUND),
        ("/ui/repos/lake/commit?ref=main&parent=0", StatusCode::OK),
        ("/ui/repos/lake/history?ref=a%2Fb", StatusCode::BAD_REQUEST),
        ("/ui/repos/lake/history?at=xyz", StatusCode::BAD_REQUEST),
        ("/ui/repos/lake/history?unknown=1", StatusCode::BAD_REQUEST),
        ("/ui/repos/lake/compare?from=main&to=none", StatusCode::NOT_FOUND),
        ("/ui/repos/lake/merge?source=none&into=main", StatusCode::NOT_FOUND),
        ("/ui/repos/lake/uncommitted?branch=none", StatusCode::NOT_FOUND),
        ("/ui/repos/lake/outcome?branch=main&op=x", StatusCode::BAD_REQUEST),
        ("/ui/repos/lake/nowhere", StatusCode::NOT_FOUND),
    ] {
        let page = browser.get(link).await;
        assert_eq!(page.status, status, "{link}: {}", page.text);
        assert!(page.text.starts_with("<!DOCTYPE html>"), "{link}: {}", page.text);
    }
}
