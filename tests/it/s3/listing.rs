//! Listings, page by page, in both versions.

use std::collections::BTreeSet;

use reqwest::StatusCode;

use super::Gateway;
use super::call::Answer;

/// Branches `main`, `main-2` and `dev`, with objects staged and committed.
async fn lake() -> Gateway {
    let s3 = Gateway::start().await;
    let repo = s3.sidecar.onward.repo("lake");
    for path in ["a/1", "a/2", "b", "a-c"] {
        s3.put(&format!("/lake/main/{path}"), path).await;
    }
    repo.branch("main").commit_staged().message("c").commit().await.unwrap();
    for name in ["main-2", "dev"] {
        repo.branch(name).create(&"main".parse().unwrap()).await.unwrap();
    }
    s3.put("/lake/main/c%20d", "staged").await;
    s3
}

fn names(answer: &Answer) -> Vec<String> {
    let keys = answer.elements("Key");
    let prefixes = answer
        .elements("CommonPrefixes")
        .into_iter()
        .map(|text| text.replace("<Prefix>", "").replace("</Prefix>", ""));
    let mut names: Vec<String> = keys.into_iter().chain(prefixes).collect();
    names.sort();
    names
}

#[tokio::test]
async fn branches_are_the_folders_of_a_bucket() {
    let s3 = lake().await;
    let root = s3.get("/lake?list-type=2&delimiter=%2F").await;
    assert_eq!(root.status, StatusCode::OK, "{}", root.text());
    assert_eq!(names(&root), ["dev/", "main-2/", "main/"]);
    let some = s3.get("/lake?list-type=2&delimiter=%2F&prefix=main").await;
    assert_eq!(names(&some), ["main-2/", "main/"]);
    let branch = s3.get("/lake?list-type=2&delimiter=%2F&prefix=main%2F").await;
    assert_eq!(names(&branch), ["main/a-c", "main/a/", "main/b", "main/c d"]);
    let folder = s3.get("/lake?list-type=2&prefix=main%2Fa%2F").await;
    assert_eq!(names(&folder), ["main/a/1", "main/a/2"]);
    let escaped = s3.get("/lake?list-type=2&encoding-type=url&prefix=main%2Fc%20").await;
    assert_eq!(names(&escaped), ["main/c%20d"]);
    // By a ref that is no branch, and by one that nothing is.
    let committed = s3.get("/lake?list-type=2&prefix=main%40%2F").await;
    assert_eq!(names(&committed), ["main@/a-c", "main@/a/1", "main@/a/2", "main@/b"]);
    for nothing in ["nobranch%2F", "..%2F", "zz", "%2F"] {
        let answer = s3.get(&format!("/lake?list-type=2&prefix={nothing}")).await;
        assert_eq!((answer.status.as_u16(), names(&answer).len()), (200, 0), "{nothing}");
    }
    let none = s3.get("/nolake?list-type=2").await;
    assert_eq!(none.told(), (404, "NoSuchBucket".into()));
}

#[tokio::test]
async fn pages_of_every_length_have_all_and_nothing_twice() {
    let s3 = lake().await;
    for query in
        ["", "&delimiter=%2F", "&prefix=main%2F", "&prefix=main%2F&delimiter=%2F", "&prefix=m"]
            .into_iter()
            .chain(["&delimiter=-", "&delimiter=a", "&delimiter=in", "&prefix=main&delimiter=-"])
    {
        let all = names(&s3.get(&format!("/lake?list-type=2{query}")).await);
        assert!(!all.is_empty(), "{query}");
        for len in [1, 2, 3, 1000] {
            let by_token = pages(&s3, query, len, true).await;
            let by_marker = pages(&s3, query, len, false).await;
            assert_eq!((&by_token, &by_marker), (&all, &all), "{query} by {len}");
        }
    }
}

/// All names of a listing, in their order, by pages of `len`.
async fn pages(s3: &Gateway, query: &str, len: usize, by_token: bool) -> Vec<String> {
    let version = if by_token { "list-type=2&" } else { "" };
    let (mut seen, mut all, mut next) = (BTreeSet::new(), Vec::new(), String::new());
    loop {
        let page = s3.get(&format!("/lake?{version}max-keys={len}{query}{next}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        let names = names(&page);
        assert!(names.len() <= len);
        for name in names {
            assert!(seen.insert(name.clone()), "{name} is there twice");
            all.push(name);
        }
        let (tag, parameter) = match by_token {
            true => ("NextContinuationToken", "continuation-token"),
            false => ("NextMarker", "marker"),
        };
        if page.element("IsTruncated") != "true" {
            all.sort();
            return all;
        }
        let value = page.element(tag).replace('/', "%2F").replace(' ', "%20");
        assert!(!value.is_empty(), "{}", page.text());
        next = format!("&{parameter}={value}");
    }
}

#[tokio::test]
async fn a_delimiter_of_any_kind_folds_names_of_branches_and_paths_alike() {
    let s3 = lake().await;
    s3.sidecar
        .onward
        .repo("lake")
        .branch("x-empty")
        .create(&"main~1".parse().unwrap())
        .await
        .unwrap();
    let listed = async |query: &str| names(&s3.get(&format!("/lake?list-type=2{query}")).await);
    let by_dash = ["dev/a-", "dev/a/1", "dev/a/2", "dev/b", "main-"]
        .into_iter()
        .chain(["main/a-", "main/a/1", "main/a/2", "main/b", "main/c d"]);
    assert_eq!(listed("&delimiter=-").await, by_dash.collect::<Vec<_>>());
    assert_eq!(listed("&delimiter=in").await.last().unwrap(), "main");
    assert_eq!(listed("&delimiter=ev").await.first().unwrap(), "dev");
    // What is behind the first branch of a folder of several.
    let behind = listed("&delimiter=n&start-after=main%2Fa%2F1").await;
    assert_eq!(behind, ["main"]);
    assert_eq!(listed("&delimiter=n&start-after=main").await, [] as [&str; 0]);
    let refused = s3.get("/lake?list-type=2&delimiter=n%2F").await;
    assert_eq!(refused.told(), (501, "NotImplemented".into()));
    assert_eq!(listed("&prefix=main%2F&delimiter=%2Fa").await.len(), 5);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_and_nothing_is_nothing() {
    let s3 = lake().await;
    let nothing = s3.get("/lake?list-type=2&max-keys=0").await;
    assert_eq!((nothing.status.as_u16(), names(&nothing).len()), (200, 0));
    assert_eq!(nothing.element("IsTruncated"), "false");
    for bad in ["max-keys=-1", "continuation-token=%2A%2A", "encoding-type=xml"] {
        let answer = s3.get(&format!("/lake?list-type=2&{bad}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}: {}", answer.text());
    }
    let behind = s3.get("/lake?list-type=2&prefix=main%2F&start-after=main%2Fa%2F1").await;
    assert_eq!(names(&behind), ["main/a/2", "main/b", "main/c d"]);
}
