//! Pages of large deployments: so much work and no more, and so long and no longer.

use std::sync::Arc;

use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;

use super::browser::Browser;
use crate::support::faulty_store::{FaultyStore, Op};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::sidecar::Sidecar;

/// The longest page, in bytes.
const PAGE_LEN_MAX: usize = 200 << 10;

/// Rows of a page.
const ROWS: usize = 100;

/// A sidecar over a store that counts what is asked of it.
async fn counted() -> (FaultyStore, Sidecar) {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://");
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    let sidecar = Sidecar::over(deployment, onward, |_| {}).await;
    (store, sidecar)
}

/// Reads and listings so far, but for those of access keys.
fn reads(store: &FaultyStore) -> usize {
    let counts =
        |(op, key): &(Op, String)| matches!(op, Op::Get | Op::List) && !key.starts_with("_onward/");
    store.log().iter().filter(|asked| counts(asked)).count()
}

/// A page, and how many reads it costs: the least of some times, as the sidecar looks at all branches by
/// itself now and then, and reads too.
async fn cost(store: &FaultyStore, browser: &Browser, path: &str) -> (usize, String) {
    let (mut least, mut shown) = (usize::MAX, String::new());
    for _ in 0..3 {
        let before = reads(store);
        let (_, page) = browser.get(path).await;
        assert!(page.len() <= PAGE_LEN_MAX, "{} bytes", page.len());
        (least, shown) = (least.min(reads(store) - before), page);
    }
    (least, shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_many_repositories_costs_what_it_shows() {
    let (store, sidecar) = counted().await;
    let many = 3 * ROWS;
    let make = |n: usize| {
        let repo = sidecar.onward.repo(format!("repo-{n:04}"));
        async move { repo.create(&"main".parse().unwrap()).await.unwrap() }
    };
    for n in 0..many {
        make(n).await;
    }
    let browser = Browser::of_admin(&sidecar).await;
    let (mut next, mut seen) = (Some("/ui/repos".to_owned()), 0);
    while let Some(path) = next {
        let (reads, page) = cost(&store, &browser, &path).await;
        // Two for each, some of them ahead, before it is known that the page is full.
        assert!(reads <= 3 * ROWS, "{reads} reads");
        seen += page.matches("<th scope=\"row\">").count();
        let link = page.split("href=\"").find(|part| part.contains("rel=\"next\""));
        next = link.map(|part| part.split('"').next().unwrap().replace("&amp;", "&"));
    }
    assert_eq!(seen, many);
    let (_, page) = browser.get("/ui/repos?prefix=repo-000").await;
    assert_eq!(page.matches("<th scope=\"row\">").count(), 10);
    // The queues that this sidecar works on: as many as a page has rows, each a call to Redis, and some reads
    // where it has not heard of the repository for a while.
    let (reads, page) = cost(&store, &browser, "/ui/queues").await;
    assert_eq!(page.matches("<th scope=\"row\">").count(), ROWS);
    assert!(reads <= 3 * ROWS, "{reads} reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_too_long_is_refused() {
    let (_, sidecar) = counted().await;
    let browser = Browser::of_admin(&sidecar).await;
    let answer = browser.send("/ui/logout", &[("x", &"y".repeat(300 << 10))]).await;
    assert_eq!(answer.status().as_u16(), 413);
    assert!(!answer.headers().contains_key("set-cookie"));
}
