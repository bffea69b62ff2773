//! Garbage collection: what can be reached stays, byte for byte; what nothing names goes; and
//! neither haste nor other people's work makes a difference to the first.

mod beside;
mod folds;
mod grace;
mod random;

use std::collections::BTreeMap;

use futures::TryStreamExt;
use onward::internals::clock;
use onward::internals::commit::log::lake::Lake;
use onward::internals::repo::LogRequest;
use onward::internals::repo::gc::{GRACE, GcEvent, GcOptions, GcReport};
use onward::internals::tree::{ListItem, ListRequest, Record};
use onward::{Change, Entry, ErrorKind, Onward, PathChange, RefExpr, Ticket};

use crate::support::lake::{Deployment, entry};
use crate::support::until::until;
use crate::support::verify::sound;

/// Options under which everything that was written up to now is older than the grace period, as if
/// days had passed, and everything from now on is young.
fn days_later() -> GcOptions {
    let now = clock::now_ms();
    until("the clock has moved on", || clock::now_ms() > now + 1);
    GcOptions {
        now_ms: Some(now + 1 + GRACE.as_millis() as i64),
        list: true,
        ..GcOptions::default()
    }
}

/// Collects; returns what was told to be removed as well.
async fn gc(onward: &Onward, options: &GcOptions) -> onward::Result<(GcReport, Vec<String>)> {
    let mut removed = Vec::new();
    let report = onward
        .repo("lake")
        .gc(options, &mut |event| {
            if let GcEvent::Removed { key, .. } = event {
                removed.push(key.to_owned());
            }
        })
        .await?;
    removed.sort();
    assert_eq!(report.removed(), removed.len() as u64);
    Ok((report, removed))
}

async fn below(onward: &Onward, folder: &str) -> Vec<String> {
    let objects = onward.coordinator().objects();
    let listed = objects.list(folder, None).map_ok(|listed| listed.key);
    let mut keys: Vec<String> = listed.try_collect().await.unwrap();
    keys.sort();
    keys
}

/// Puts `count` paths in one commit.
async fn commit_many(onward: &Onward, branch: &str, prefix: &str, count: usize) {
    let mut change = onward.repo("lake").branch(branch).change().message(prefix);
    for n in 0..count {
        let path = format!("{prefix}/{n:06}").parse().unwrap();
        change.push(PathChange { path, change: Change::Put(entry(n)), condition: None }).unwrap();
    }
    let outcome = change.commit().await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
}

async fn upload(onward: &Onward, branch: &str, content: &str) -> Entry {
    onward.repo("lake").branch(branch).upload(content.as_bytes()).await.unwrap()
}

async fn stage(onward: &Onward, branch: &str, path: &str, entry: Entry) {
    let branch = onward.repo("lake").branch(branch);
    branch.stage_put(path.parse().unwrap(), entry, None).await.unwrap();
}

async fn bytes_of(onward: &Onward, entry: &Entry) -> Vec<u8> {
    let chunks = onward.repo("lake").open(entry).await.unwrap().chunks;
    chunks
        .try_fold(Vec::new(), async |all, chunk| Ok([all, chunk.to_vec()].concat()))
        .await
        .unwrap()
}

/// Every path at a ref, and of uploaded objects the bytes.
async fn listing(onward: &Onward, reference: &str) -> Vec<(String, Entry, Vec<u8>)> {
    let (repo, reference) = (onward.repo("lake"), reference.parse().unwrap());
    let (mut all, mut request) = (Vec::new(), ListRequest::default());
    loop {
        let page = repo.list(&reference, &request).await.unwrap();
        for item in page.items {
            let ListItem::Object(path, entry) = item else { continue };
            let uploaded = entry.address.starts_with("memory:");
            let bytes = if uploaded { bytes_of(onward, &entry).await } else { Vec::new() };
            all.push((path.to_string(), entry, bytes));
        }
        request.after = page.next;
        if request.after.is_none() {
            return all;
        }
    }
}

/// All that can be read: every branch with what is staged on it, every tag, and every commit in
/// their histories.
async fn everything(onward: &Onward) -> BTreeMap<String, Vec<(String, Entry, Vec<u8>)>> {
    let repo = onward.repo("lake");
    let mut refs: Vec<String> =
        repo.branches().await.unwrap().into_iter().map(|branch| branch.name.to_string()).collect();
    refs.extend(repo.tags().await.unwrap().into_iter().map(|tag| tag.name.to_string()));
    let mut all = BTreeMap::new();
    for name in refs {
        let mut log =
            repo.log(&RefExpr::plain(name.clone()), &LogRequest::default()).await.unwrap();
        while let Some(info) = log.try_next().await.unwrap() {
            let id = info.id.to_string();
            let found = listing(onward, &id).await;
            all.insert(id, found);
        }
        let listing = listing(onward, &name).await;
        all.insert(name, listing);
    }
    all
}

/// Writes ranges and a list of them that nothing will name, and returns their keys.
async fn leftovers(onward: &Onward) -> Vec<String> {
    let before = below(onward, "lake").await;
    let lake: Lake = onward.coordinator().lake(&"lake".parse().unwrap());
    let records = (0..10_000).map(|n| {
        let path = format!("{}{n:06}", "left/".repeat(180)).parse().unwrap();
        Record::new(0, path, &Change::Put(entry(n)))
    });
    lake.tree().write_run(records).await.unwrap();
    let mut written = below(onward, "lake").await;
    written.retain(|key| !before.contains(key));
    assert!(written.iter().any(|key| key.starts_with("lake/runs/")), "{written:?}");
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_names_goes_and_everything_else_stays() {
    let (deployment, onward) = Deployment::lake().await;
    commit_many(&onward, "main", "kept", 5_000).await;
    let kept = upload(&onward, "main", "kept").await;
    stage(&onward, "main", "up/kept", kept.clone()).await;
    onward.repo("lake").branch("main").commit_staged().message("up").commit().await.unwrap();
    onward.repo("other").create(&"main".parse().unwrap()).await.unwrap();
    let staged = upload(&onward, "main", "staged").await;
    stage(&onward, "main", "up/staged", staged.clone()).await;
    let strange = "lake/ranges/00/readme";
    onward.coordinator().objects().put(strange, "not ours".into()).await.unwrap();
    let stays = below(&onward, "").await;

    onward.repo("lake").branch("gone").create(&RefExpr::plain("main")).await.unwrap();
    commit_many(&onward, "gone", "gone", 5_000).await;
    let gone = upload(&onward, "gone", "gone").await;
    stage(&onward, "gone", "up/gone", gone).await;
    onward.repo("lake").branch("gone").commit_staged().message("up").commit().await.unwrap();
    onward.repo("lake").branch("gone").delete().await.unwrap();
    upload(&onward, "main", "forgotten").await;
    leftovers(&onward).await;
    onward.close().await;
    let onward = deployment.connect().await;
    let mut garbage = below(&onward, "").await;
    garbage.retain(|key| {
        !stays.contains(key) && !key.contains("/log/") && !key.contains("/branches/")
    });
    let kinds = ["ranges", "runs", "data"].map(|kind| format!("lake/{kind}/"));
    assert!(kinds.iter().all(|kind| garbage.iter().any(|key| key.starts_with(kind))));

    // Young.
    let all = below(&onward, "").await;
    let options = GcOptions { list: true, ..GcOptions::default() };
    let (report, removed) = gc(&onward, &options).await.unwrap();
    assert!(removed.is_empty() && report.ranges.young > 0 && report.data.young == 1, "{report:?}");
    // Old, but only told.
    let later = days_later();
    let options = GcOptions { dry_run: true, ..later.clone() };
    let (told, removed) = gc(&onward, &options).await.unwrap();
    assert_eq!(removed, garbage);
    assert_eq!(below(&onward, "").await, all);
    // Old.
    let (report, removed) = gc(&onward, &later).await.unwrap();
    assert_eq!(removed, garbage);
    assert_eq!((report.ranges, report.runs, report.data), (told.ranges, told.runs, told.data));
    let left = below(&onward, "").await;
    assert!(stays.iter().all(|key| left.contains(key)));
    assert!(garbage.iter().all(|key| !left.contains(key)));
    // Once more: nothing is left to do, and nothing is done.
    let (_, removed) = gc(&onward, &later).await.unwrap();
    assert!(removed.is_empty(), "{removed:?}");
    assert_eq!(below(&onward, "").await, left);

    let fresh = deployment.connect().await;
    sound(&fresh).await;
    let committed =
        fresh.repo("lake").branch("main").commit_staged().message("late").commit().await;
    assert!(committed.unwrap().commit().is_some());
    let stat =
        fresh.repo("lake").stat(&RefExpr::plain("main"), &"up/staged".parse().unwrap()).await;
    assert_eq!(bytes_of(&fresh, &stat.unwrap()).await, b"staged");
    sound(&fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_stops_a_collection_before_it_removes_anything() {
    let (deployment, onward) = Deployment::lake().await;
    commit_many(&onward, "main", "kept", 5_000).await;
    upload(&onward, "main", "forgotten").await;
    let objects = &deployment.objects;
    let log = below(&onward, "lake/log").await;
    let branch = "lake/branches/main/0000000001".to_owned();
    for key in [below(&onward, "lake/ranges").await[0].clone(), log[0].clone(), branch] {
        let bytes = objects.get(&key).await.unwrap().unwrap();
        objects.delete(&key).await.unwrap();
        let left = below(&onward, "lake").await;
        let error = gc(&onward, &days_later()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{key}: {error}");
        assert!(error.message().contains("onward verify lake"), "{key}: {error}");
        assert_eq!(below(&onward, "lake").await, left);
        objects.put(&key, bytes).await.unwrap();
    }
    let (_, removed) = gc(&onward, &days_later()).await.unwrap();
    assert_eq!(removed.len(), 1);
    sound(&onward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_branch_has_its_next_place_taken_when_something_goes() {
    let (deployment, onward) = Deployment::lake().await;
    upload(&onward, "main", "forgotten").await;
    let entries = || below(&onward, "lake/log");
    assert_eq!(entries().await.len(), 1);
    gc(&onward, &days_later()).await.unwrap();
    assert_eq!(entries().await.len(), 2, "a stopped helper cannot decide there any more");
    gc(&onward, &days_later()).await.unwrap();
    assert_eq!(entries().await.len(), 2, "nothing was to go");
    let lake = deployment.connect().await.coordinator().lake(&"lake".parse().unwrap());
    let head = onward.repo("lake").commit_of(&RefExpr::plain("main")).await.unwrap().unwrap();
    let firsts = lake.log_tickets(head.uid(), Ticket(0)).await.unwrap();
    assert_eq!(head.first_ticket(), firsts[0], "the head is the commit that it was");
}
