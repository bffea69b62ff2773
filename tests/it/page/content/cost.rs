//! What pages cost where there is much: counted in reads of objects and bytes of the page.

use std::sync::Arc;

use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use onward::internals::repo::Branch;
use onward::{Change, Entry, Onward, PathChange};

use super::LAKE;
use super::visit::{Page, Visit};
use crate::support::lake::Deployment;
use crate::support::sidecar::Sidecar;

/// A page is no longer than this, in bytes.
const PAGE_LEN_MAX: usize = 200 << 10;

/// A deployment whose sidecar has read nothing yet when it is asked.
struct Much {
    deployment: Deployment,
    store: Arc<InMemory>,
    onward: Onward,
}

impl Much {
    async fn new() -> Self {
        let (store, deployment, onward) = Deployment::lake_in_store().await;
        Self { deployment, store, onward }
    }

    fn main(&self) -> Branch {
        self.onward.repo("lake").branch("main")
    }

    /// A commit of so many objects, each in one of some folders.
    async fn load(&self, branch: &Branch, objects: usize, folders: usize, what: &str) {
        let mut change = branch.change().message("load");
        for n in 0..objects {
            let path = format!("t/{:04}/{:07}-some-longer-name.parquet", n % folders, n / folders);
            let entry =
                Entry::new(format!("s3://bucket/{what}/{n}"), n as u64, format!("{what}-{n}"));
            let (path, change_of) = (path.parse().unwrap(), Change::Put(entry));
            change.push(PathChange { path, change: change_of, condition: None }).unwrap();
        }
        change.commit().await.unwrap().commit().unwrap();
    }

    /// The sidecar of another process.
    async fn sidecar(self) -> Sidecar {
        let objects = Objects::from_store(self.store, "memory://");
        let deployment = Deployment { redis: self.deployment.redis, objects };
        let onward = deployment.connect().await;
        Sidecar::over(deployment, onward, |_| {}).await
    }
}

/// A page and how many objects were read for it.
async fn counted(sidecar: &Sidecar, browser: &Visit, link: &str) -> (Page, u64) {
    let before = sidecar.deployment.objects.counters().gets;
    let page = browser.page(link).await;
    assert!(page.text.len() < PAGE_LEN_MAX, "{link}: {} bytes", page.text.len());
    (page, sidecar.deployment.objects.counters().gets - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_many_objects_and_of_their_changes_read_what_they_show() {
    const OBJECTS: usize = 100_000;
    const FOLDERS: usize = 250;
    let much = Much::new().await;
    let (main, dev) = (much.main(), much.onward.repo("lake").branch("dev"));
    much.load(&main, OBJECTS, FOLDERS, "first").await;
    dev.create(&"main".parse().unwrap()).await.unwrap();
    much.load(&main, OBJECTS, FOLDERS, "second").await;
    much.load(&dev, OBJECTS, FOLDERS, "third").await;
    let sidecar = much.sidecar().await;
    let browser = Visit::of(&sidecar).await;
    let of_folder = "prefix=t%2F0007%2F";
    for (page, part, reads_max) in [
        ("objects?ref=main&prefix=t%2F".to_owned(), "t/0099/", 300),
        (format!("objects?ref=main&{of_folder}"), "0000099-some", 20),
        ("commit?ref=main&prefix=t%2F".to_owned(), "0099/", 700),
        (format!("commit?ref=main&{of_folder}"), "0000099-some", 40),
        ("compare?from=main~1&to=main&prefix=t%2F".to_owned(), "0099/", 700),
        ("compare?from=main~2&to=main".to_owned(), "more than 1,000", 40),
        ("merge?source=dev&into=main&prefix=t%2F".to_owned(), "0099/", 1000),
        (format!("merge?source=dev&into=main&{of_folder}"), "0000099-some", 60),
    ] {
        let (shown, reads) = counted(&sidecar, &browser, &format!("{LAKE}/{page}")).await;
        assert!(
            shown.text.contains(part.trim_start_matches("t/")),
            "{page}: {part}: {}",
            shown.text
        );
        println!("{page}: {reads} reads, {} bytes", shown.text.len());
        assert!(reads <= reads_max, "{page}: {reads} reads");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_many_branches_reads_what_it_shows() {
    const BRANCHES: usize = 220;
    let much = Much::new().await;
    for n in 0..BRANCHES {
        let branch = much.onward.repo("lake").branch(format!("b{n:05}"));
        branch.create(&"main".parse().unwrap()).await.unwrap();
        if n % 40 == 0 {
            branch.change().put("x", Entry::new("s3://x", 1, "x")).commit().await.unwrap();
        }
    }
    for n in 0..30 {
        let change = much.main().change().put("y", Entry::new("s3://y", n, format!("{n}")));
        change.commit().await.unwrap();
    }
    let sidecar = much.sidecar().await;
    let browser = Visit::of(&sidecar).await;
    let mut link = Some(LAKE.to_owned());
    let mut costs = Vec::new();
    while let Some(at) = link {
        let (page, reads) = counted(&sidecar, &browser, &at).await;
        costs.push(reads);
        link = page.link("Next page");
    }
    assert_eq!(costs.len(), (BRANCHES + 1).div_ceil(50));
    // For each of 50 rows its record, and what a process that has not seen a branch looks up in its log. The
    // sidecar's own first look at all branches may fall into one of them.
    let over = costs.iter().filter(|reads| **reads > 5 * 50);
    assert!(over.count() <= 1, "{costs:?} reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_far_back_in_history_reads_what_it_shows() {
    const COMMITS: u64 = 260;
    let much = Much::new().await;
    for n in 0..COMMITS {
        let change = much.main().change().put("y", Entry::new("s3://y", n, format!("{n}")));
        change.commit().await.unwrap();
    }
    let sidecar = much.sidecar().await;
    let browser = Visit::of(&sidecar).await;
    let mut link = Some(format!("{LAKE}/history?ref=main"));
    let mut commits = 0;
    while let Some(at) = link {
        let (page, reads) = counted(&sidecar, &browser, &at).await;
        assert!(reads <= 54, "{at}: {reads} reads");
        commits += page.text.matches("<svg").count() as u64;
        link = page.link("Next page");
    }
    assert_eq!(commits, COMMITS + 1);
}
