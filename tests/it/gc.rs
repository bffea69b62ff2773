//! Garbage collection: what can be reached stays, byte for byte; what nothing names goes; and
//! neither haste nor other people's work makes a difference to the first.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;
use onward::internals::clock;
use onward::internals::commit::log::lake::Lake;
use onward::internals::objects::Objects;
use onward::internals::repo::LogRequest;
use onward::internals::repo::gc::{GRACE, GcEvent, GcOptions, GcReport};
use onward::internals::tree::{ListItem, ListRequest, Record};
use onward::{Change, Config, Entry, ErrorKind, Onward, Outcome, PathChange, RefExpr, Ticket};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::support::branch::{Ghost, keys};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::RedisServer;
use crate::support::seed::seed;
use crate::support::until::{until, until_async};
use crate::support::verify::sound;
use crate::support::worker::Worker;

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

/// One step of a history that nobody would plan.
async fn step(onward: &Onward, chance: &mut StdRng, n: usize) {
    let repo = onward.repo("lake");
    let branches = repo.branches().await.unwrap();
    let name = branches.choose(chance).unwrap().name.to_string();
    let branch = repo.branch(name.as_str());
    match chance.random_range(0..12) {
        0..4 => {
            let mut change = branch.change().message(format!("{n}"));
            for _ in 0..chance.random_range(1..5) {
                let path = format!("t/{}", chance.random_range(0..20));
                change = match chance.random_bool(0.7) {
                    true => change.put(path, entry(n)),
                    false => change.delete(path),
                };
            }
            change.commit().await.unwrap();
        }
        4 => commit_many(onward, &name, &format!("many/{}", n % 3), 4_200 + n).await,
        5..7 => {
            let entry = upload(onward, &name, &format!("content {n}")).await;
            stage(onward, &name, &format!("up/{}", n % 4), entry).await;
        }
        7 => drop(branch.commit_staged().message(format!("{n}")).commit().await.unwrap()),
        8 => drop(upload(onward, &name, &format!("forgotten {n}")).await),
        9 => {
            let back = chance.random_range(0..3);
            let from: RefExpr = format!("{name}~{back}").parse().unwrap();
            // There may be no commit so far back.
            let _ = repo.branch(format!("b{n}")).create(&from).await;
        }
        10 => {
            let others: Vec<_> = branches.iter().filter(|b| b.name.as_str() != "main").collect();
            if let Some(other) = others.choose(chance) {
                repo.branch(other.name.as_str()).delete().await.unwrap();
            }
        }
        _ => match repo.tags().await.unwrap().choose(chance) {
            Some(tag) if chance.random_bool(0.4) => repo.delete_tag(&tag.name).await.unwrap(),
            _ => {
                let tag = format!("tag-{n}").parse().unwrap();
                repo.create_tag(&tag, &RefExpr::plain(name)).await.unwrap();
            }
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_can_be_read_changes_whatever_the_history() {
    for _ in 0..2 {
        let seed = seed();
        println!("ONWARD_TEST_SEED={seed} repeats this");
        let mut chance = StdRng::seed_from_u64(seed);
        let (deployment, onward) = Deployment::lake().await;
        for n in 0..50 {
            step(&onward, &mut chance, n).await;
        }
        let before = everything(&onward).await;
        onward.close().await;
        let (_, removed) = gc(&deployment.connect().await, &days_later()).await.unwrap();
        for key in &removed {
            assert!(deployment.objects.get(key).await.unwrap().is_none(), "{key}");
        }
        // A process that remembers nothing.
        let fresh = deployment.connect().await;
        let after = everything(&fresh).await;
        assert!(before == after, "seed {seed}: something that can be read has changed");
        sound(&fresh).await;
        // Staged changes are still good for a commit.
        for branch in fresh.repo("lake").branches().await.unwrap() {
            let branch = fresh.repo("lake").branch(branch.name.as_str());
            branch.commit_staged().message("late").commit().await.unwrap();
        }
        sound(&fresh).await;
    }
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
async fn what_was_a_head_of_late_stays_for_whoever_still_names_it() {
    let (_deployment, onward) = Deployment::lake().await;
    let (repo, main) = (onward.repo("lake"), RefExpr::plain("main"));
    for name in ["ended", "taken-back"] {
        repo.branch(name).create(&main).await.unwrap();
        commit_many(&onward, name, name, 5_000).await;
    }
    let heads = ["ended", "taken-back"].map(RefExpr::plain);
    let heads = futures::future::join_all(heads.iter().map(|r| repo.require_commit(r))).await;
    // From here on everything is old, but for what happens now.
    let later = days_later();
    repo.branch("ended").delete().await.unwrap();
    repo.branch("taken-back").reset_to(&main).await.unwrap();
    let (_, removed) = gc(&onward, &later).await.unwrap();
    assert!(removed.is_empty(), "{removed:?}");
    // A merge that was under way is committed after all, and all it names is there.
    for head in heads {
        let head = RefExpr::plain(head.unwrap().to_string());
        let merged = repo.branch("main").merge(head).commit().await.unwrap();
        assert!(merged.commit().is_some(), "{merged:?}");
    }
    let (_, removed) = gc(&onward, &days_later()).await.unwrap();
    assert!(removed.is_empty(), "{removed:?}");
    sound(&onward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_was_folded_since_its_last_commit_stays() {
    let (deployment, onward) = Deployment::lake().await;
    let lake = onward.coordinator().lake(&"lake".parse().unwrap());
    let head = onward.repo("lake").commit_of(&RefExpr::plain("main")).await.unwrap().unwrap();
    for n in 0..6 {
        commit_many(&onward, "main", &format!("many/{n}"), 9_000).await;
    }
    until_async("the newest entry is a fold without a commit", async || {
        let firsts = lake.log_tickets(head.uid(), Ticket(0)).await.unwrap();
        let newest = lake.known_entry(head.uid(), *firsts.last().unwrap()).await.unwrap();
        newest.ops.iter().all(|op| op.commit.is_none()) && newest.metarange_after().levels.len() < 3
    })
    .await;
    let before = everything(&onward).await;
    onward.close().await;
    gc(&deployment.connect().await, &days_later()).await.unwrap();
    let fresh = deployment.connect().await;
    assert!(before == everything(&fresh).await);
    sound(&fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_by_a_commit_under_way_stays() {
    let (deployment, onward) = Deployment::lake().await;
    let entry = upload(&onward, "main", "sealed").await;
    stage(&onward, "main", "up/sealed", entry).await;
    upload(&onward, "main", "forgotten").await;
    // Its commit is called off in the queue: the area is given back, and stays one of its own.
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let main = onward.repo("lake").branch("main");
    let mut handle = main.commit_staged().message("called off").submit().await.unwrap();
    handle.cancel().await.unwrap();
    drop(ghost);
    let outcome = handle.wait(Duration::from_secs(60)).await.unwrap();
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
    onward.close().await;
    let fresh = deployment.connect().await;
    let (report, _) = gc(&fresh, &days_later()).await.unwrap();
    assert_eq!((report.data.kept, report.data.removed), (1, 1));
    let main = fresh.repo("lake").branch("main");
    main.commit_staged().message("again").commit().await.unwrap();
    sound(&fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_whose_helper_was_killed_is_finished_first() {
    let redis = RedisServer::new();
    let dir = tempfile::tempdir().unwrap();
    let storage = format!("file://{}", dir.path().display());
    let onward = Onward::connect(Config::new(redis.url(), &storage)).await.unwrap();
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let url = redis.url();
    let variables = [
        ("ONWARD_REDIS", url.as_str()),
        ("ONWARD_STORAGE", storage.as_str()),
        ("ONWARD_FAILPOINTS", "view=kill"),
    ];
    let mut worker = Worker::start("huge main 40000", &variables);
    assert!(!tokio::task::block_in_place(|| worker.await_end()).success());
    let queue = onward.repo("lake").branch("main").queue(10).await.unwrap();
    assert_eq!(queue.depth, 1, "accepted, and nobody has decided it");
    let ranges = below(&onward, "lake/ranges").await;
    assert!(!ranges.is_empty());
    upload(&onward, "main", "forgotten").await;

    let options = GcOptions { exclusive: true, ..days_later() };
    let (report, removed) = gc(&onward, &options).await.unwrap();
    assert_eq!(removed.len(), 1, "{report:?}");
    assert_eq!(below(&onward, "lake/ranges").await, ranges);
    let info = onward.repo("lake").show_commit(&RefExpr::plain("main")).await.unwrap();
    assert_eq!(info.commit.message, "huge");
    assert!(sound(&onward).await.records >= 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_does_not_empty_is_named_and_nothing_goes() {
    let (deployment, onward) = Deployment::lake().await;
    upload(&onward, "main", "forgotten").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let main = onward.repo("lake").branch("main");
    let mut handle = main.change().put("a", entry(1)).submit().await.unwrap();
    let options = GcOptions { timeout: Some(Duration::ZERO), ..days_later() };
    let error = gc(&onward, &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("'main'"), "{error}");
    assert_eq!(below(&onward, "lake/data").await.len(), 1);
    drop(ghost);
    assert!(handle.wait(Duration::from_secs(60)).await.unwrap().commit().is_some());
    let (_, removed) = gc(&onward, &days_later()).await.unwrap();
    assert_eq!(removed.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_beside_a_collection_lose_nothing() {
    const WRITERS: usize = 16;
    const EACH: usize = 12;
    let (deployment, onward) = Deployment::lake().await;
    commit_many(&onward, "main", "kept", 5_000).await;
    onward.repo("lake").branch("gone").create(&RefExpr::plain("main")).await.unwrap();
    commit_many(&onward, "gone", "gone", 5_000).await;
    onward.repo("lake").branch("gone").delete().await.unwrap();
    let garbage = leftovers(&onward).await;
    onward.close().await;
    let later = days_later();
    let processes = [deployment.connect().await, deployment.connect().await];
    let tasks: Vec<_> = (0..WRITERS)
        .map(|w| {
            let onward = processes[w % processes.len()].clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    match (w % 4, n) {
                        (0, 3) => commit_many(&onward, "main", "shared", 5_000).await,
                        (0, 7) => commit_many(&onward, "main", &format!("w{w}"), 4_500).await,
                        (1, _) => {
                            let content = format!("content {w} {n}");
                            let entry = upload(&onward, "main", &content).await;
                            stage(&onward, "main", &format!("up/{w}/{n}"), entry).await;
                            let main = onward.repo("lake").branch("main");
                            main.commit_staged().message(content).commit().await.unwrap();
                        }
                        _ => {
                            let change = onward.repo("lake").branch("main").change();
                            let change = change.put(format!("t/{w}/{n}"), entry(w * EACH + n));
                            assert!(change.commit().await.unwrap().commit().is_some());
                        }
                    }
                }
            })
        })
        .collect();
    let collector = deployment.connect().await;
    let mut collections = 0;
    while collections < 2 || tasks.iter().any(|task| !task.is_finished()) {
        gc(&collector, &later).await.unwrap();
        collections += 1;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let fresh = deployment.connect().await;
    let left = below(&fresh, "lake").await;
    assert!(garbage.iter().all(|key| !left.contains(key)));
    sound(&fresh).await;
    let main = listing(&fresh, "main").await;
    for (w, n) in (0..WRITERS).flat_map(|w| (0..EACH).map(move |n| (w, n))) {
        let found = |path: String| main.iter().find(|(known, ..)| *known == path);
        match (w % 4, n) {
            (0, 3) => assert!(found("shared/004999".into()).is_some()),
            (0, 7) => assert!(found(format!("w{w}/004499")).is_some()),
            (1, _) => {
                let (_, _, bytes) = found(format!("up/{w}/{n}")).unwrap();
                assert_eq!(*bytes, format!("content {w} {n}").into_bytes());
            }
            _ => assert!(found(format!("t/{w}/{n}")).is_some(), "{w} {n}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_while_a_collection_marks_stays() {
    let (deployment, onward) = Deployment::lake().await;
    let repo = onward.repo("lake");
    repo.branch("gone").create(&RefExpr::plain("main")).await.unwrap();
    commit_many(&onward, "gone", "gone", 5_000).await;
    let lost = repo.commit_of(&RefExpr::plain("gone")).await.unwrap().unwrap().to_string();
    repo.branch("gone").delete().await.unwrap();
    let staged = upload(&onward, "main", "staged late").await;
    let committed = upload(&onward, "main", "committed late").await;
    upload(&onward, "main", "forgotten").await;
    onward.close().await;
    let later = days_later();
    // Everything is unnamed when the collection looks first, and named before it looks again.
    let other = deployment.connect().await;
    let collector = deployment.connect().await;
    let runtime = tokio::runtime::Handle::current();
    let (mut marking, mut removed) = (false, Vec::new());
    let report = collector
        .repo("lake")
        .gc(&later, &mut |event| match event {
            GcEvent::Marked { .. } if !std::mem::replace(&mut marking, true) => {
                let name_all = async {
                    stage(&other, "main", "up/staged", staged.clone()).await;
                    let main = other.repo("lake").branch("main");
                    let change = main.change().put("up/committed", committed.clone());
                    assert!(change.commit().await.unwrap().commit().is_some());
                    let back = other.repo("lake").branch("back");
                    back.create(&RefExpr::plain(lost.clone())).await.unwrap();
                };
                tokio::task::block_in_place(|| runtime.block_on(name_all));
            }
            GcEvent::Removed { key, .. } => removed.push(key.to_owned()),
            _ => {}
        })
        .await
        .unwrap();
    assert!(removed.len() == 1 && removed[0].starts_with("lake/data/"), "{removed:?}");
    assert_eq!((report.ranges.removed, report.data.kept), (0, 2));
    let fresh = deployment.connect().await;
    assert_eq!(bytes_of(&fresh, &staged).await, b"staged late");
    assert_eq!(listing(&fresh, "back").await.len(), 5_000);
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
async fn a_short_grace_period_takes_the_word_that_nobody_else_works() {
    let (deployment, onward) = Deployment::lake().await;
    upload(&onward, "main", "forgotten").await;
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let options = |grace, exclusive| GcOptions { grace, exclusive, ..GcOptions::default() };
    let error = onward.repo("lake").gc(&options(hours(24), false), &mut |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("--exclusive"), "{error}");
    let report = onward.repo("lake").gc(&options(hours(25), false), &mut |_| {}).await.unwrap();
    assert_eq!((report.data.young, report.removed()), (1, 0));
    until_async("the object is older than no time at all", async || {
        let now = options(Duration::ZERO, true);
        onward.repo("lake").gc(&now, &mut |_| {}).await.unwrap().removed() == 1
    })
    .await;
    assert!(below(&onward, "lake/data").await.is_empty());
    sound(&deployment.connect().await).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_half_written_goes_when_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::open(&format!("file://{}", dir.path().display())).unwrap();
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let half = ["data/07", "ranges/ab"].map(|folder| {
        let folder = dir.path().join("lake").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder.join("0123456789abcdef0123456789abcdef#1")
    });
    for path in &half {
        std::fs::write(path, "half").unwrap();
    }
    let is_there = || half.iter().all(|path| path.exists());
    let (_, removed) = gc(&onward, &GcOptions::default()).await.unwrap();
    assert!(removed.is_empty() && is_there(), "they may be written to still: {removed:?}");
    let dry = GcOptions { dry_run: true, ..days_later() };
    assert_eq!(gc(&onward, &dry).await.unwrap().1.len(), 2);
    assert!(is_there());
    gc(&onward, &days_later()).await.unwrap();
    assert!(half.iter().all(|path| !path.exists()));
    std::fs::write(&half[0], "half").unwrap();
    onward.repo("lake").delete().await.unwrap();
    assert!(!half[0].exists(), "it goes with its repository");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_grace_period_after_a_shorter_one_finds_nothing_wrong() {
    let (deployment, onward) = Deployment::lake().await;
    onward.repo("lake").branch("dev").create(&RefExpr::plain("main")).await.unwrap();
    commit_many(&onward, "dev", "dev", 5_000).await;
    onward.repo("lake").branch("dev").delete().await.unwrap();
    let now = clock::now_ms();
    until("the clock has moved on", || clock::now_ms() > now + 1);
    let short = GcOptions {
        grace: std::time::Duration::ZERO,
        exclusive: true,
        now_ms: Some(now + 1),
        list: true,
        ..GcOptions::default()
    };
    let (_, removed) = gc(&onward, &short).await.unwrap();
    assert!(!removed.is_empty());
    let (_, removed) = gc(&onward, &GcOptions::default()).await.unwrap();
    assert!(removed.is_empty());
    sound(&deployment.connect().await).await;
}

/// Exchanges levels of main for their fold, as a helper does in the background.
async fn fold(onward: &Onward, levels: std::ops::Range<usize>) {
    use onward::internals::commit::accept::admission::Admission;
    use onward::internals::commit::op::request::{FoldRequest, Op, Request};
    use onward::internals::coord::submit::{Seal, Submission};
    let lake = onward.coordinator().lake(&"lake".parse().unwrap());
    let head = onward.repo("lake").commit_of(&RefExpr::plain("main")).await.unwrap().unwrap();
    let firsts = lake.log_tickets(head.uid(), Default::default()).await.unwrap();
    let newest = lake.known_entry(head.uid(), *firsts.last().unwrap()).await.unwrap();
    let stack = newest.metarange_after().levels;
    let bottom = levels.end == stack.len();
    let folded = &stack[levels];
    let with = lake.tree().fold(folded, bottom).await.unwrap();
    let with = with.stored(lake.tree()).await.unwrap();
    let levels = folded.iter().map(|level| (level.run.id, level.as_of)).collect();
    let op = Op {
        committer: "onward".into(),
        created_ms: clock::now_ms(),
        prepared_ms: None,
        producers: Vec::new(),
        fingerprint: None,
        request: Request::Fold(FoldRequest { levels, bottom, with }),
    };
    let op_id = clock::new_op_id();
    let element = op.encode(op_id).unwrap();
    let (repo, main) = ("lake".parse().unwrap(), "main".parse().unwrap());
    let queue = onward.coordinator().queue(&repo, &main, head.uid());
    let submission =
        Submission { op_id, element, producers: Vec::new(), seal: Seal::No, may_repeat: false };
    let Admission::Queued(mut pending) = queue.submit(submission).await.unwrap() else { panic!() };
    pending.outcome().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_across_folds_of_folds_are_found_after_a_collection() {
    let (deployment, onward) = Deployment::lake().await;
    commit_many(&onward, "main", "big", 5_000).await;
    let before = onward.repo("lake").commit_of(&RefExpr::plain("main")).await.unwrap().unwrap();
    for n in 0..3 {
        commit_many(&onward, "main", &format!("small-{n}"), 5).await;
    }
    // No commit is made between the folds: none ever sees what the first one wrote.
    fold(&onward, 1..3).await;
    fold(&onward, 0..3).await;
    commit_many(&onward, "main", "last", 5).await;
    let differences = async || {
        let fresh = deployment.connect().await;
        let (before, main) = (RefExpr::plain(before.to_string()), RefExpr::plain("main"));
        let found = fresh.repo("lake").diff(&before, &main, "").await.unwrap();
        found.try_collect::<Vec<_>>().await.unwrap().len()
    };
    assert_eq!(differences().await, 20);
    onward.close().await;
    gc(&deployment.connect().await, &days_later()).await.unwrap();
    assert_eq!(differences().await, 20);
}
