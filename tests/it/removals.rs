//! Removals that are staged: what is not there needs no tombstone, and what was only staged is taken
//! back. Random histories of them are held against plain maps in `reading.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onward::internals::model::change::{Change, Condition, PathChange};
use onward::internals::repo::{Branch, Repository};
use onward::internals::tree::{ListItem, ListRequest};
use onward::{ObjectPath, Outcome, RefExpr};

use crate::support::lake::{Deployment, entry};

const PATHS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn path(text: &str) -> ObjectPath {
    text.parse().unwrap()
}

fn removals(paths: &[&str]) -> Vec<PathChange> {
    let removal =
        |text: &&str| PathChange { path: path(text), change: Change::Delete, condition: None };
    paths.iter().map(removal).collect()
}

async fn staged(branch: &Branch) -> BTreeMap<String, Option<usize>> {
    let status = branch.status("", None, 100).await.unwrap();
    let size = |change: &PathChange| change.change.entry().map(|entry| entry.size as usize);
    status.iter().map(|change| (change.path.to_string(), size(change))).collect()
}

async fn shown(lake: &Repository, branch: &str) -> BTreeMap<String, usize> {
    let page = lake.list(&RefExpr::plain(branch), &ListRequest::default()).await.unwrap();
    let object = |item: ListItem| match item {
        ListItem::Object(path, entry) => (path.to_string(), entry.size as usize),
        other => panic!("{other:?}"),
    };
    page.items.into_iter().map(object).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_needs_no_tombstone_and_what_was_only_staged_is_unstaged() {
    let (_deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    let main = lake.branch("main");
    main.stage_delete(path("never"), None).await.unwrap();
    main.stage(&removals(&["never", "nor this", "never"])).await.unwrap();
    assert!(staged(&main).await.is_empty());
    main.stage_put(path("new"), entry(1), None).await.unwrap();
    main.stage_put(path("kept"), entry(2), None).await.unwrap();
    main.stage(&removals(&["new", "never"])).await.unwrap();
    assert_eq!(staged(&main).await, BTreeMap::from([("kept".into(), Some(2))]));
    let first = main.commit_staged().commit().await.unwrap();
    // Over an object that is committed there is a tombstone, also where something was staged over it.
    main.stage_put(path("kept"), entry(3), None).await.unwrap();
    main.stage(&removals(&["kept", "new"])).await.unwrap();
    assert_eq!(staged(&main).await, BTreeMap::from([("kept".into(), None)]));
    assert!(main.reset_to(&RefExpr::plain("main")).await.is_err(), "something is staged");
    main.reset("", false).await.unwrap();
    main.stage_delete(path("new"), None).await.unwrap();
    main.reset_to(&RefExpr::plain(first.commit().unwrap().to_string())).await.unwrap();
    // The last change of a path is the one that counts.
    let put = |n: usize| PathChange {
        path: path("twice"),
        change: Change::Put(entry(n)),
        condition: None,
    };
    let twice = [removals(&["twice"]), vec![put(4)]].concat();
    main.stage(&twice).await.unwrap();
    assert_eq!(staged(&main).await, BTreeMap::from([("twice".into(), Some(4))]));
    main.stage(&[vec![put(5)], removals(&["twice"])].concat()).await.unwrap();
    assert!(staged(&main).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_of_what_was_not_there_does_not_take_what_a_merge_brings() {
    let (_deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    let main = lake.branch("main");
    main.change().put("base", entry(1)).message("base").commit().await.unwrap();
    lake.branch("dev").create(&RefExpr::plain("main")).await.unwrap();
    lake.branch("dev").change().put("file", entry(2)).message("dev").commit().await.unwrap();
    main.stage(&removals(&["file"])).await.unwrap();
    let merged = main.merge(RefExpr::plain("dev")).message("merge").commit().await.unwrap();
    assert!(merged.commit().is_some(), "{merged:?}");
    let expected = BTreeMap::from([("base".to_owned(), 1), ("file".to_owned(), 2)]);
    assert_eq!(shown(&lake, "main").await, expected);
    let nothing = main.commit_staged().commit().await.unwrap();
    assert!(matches!(nothing, Outcome::NoChanges { .. }), "{nothing:?}");
    assert_eq!(shown(&lake, "main").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_that_has_become_needless_makes_no_commit() {
    let (_deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    let main = lake.branch("main");
    let puts = PATHS.iter().fold(main.change(), |change, path| change.put(*path, entry(1)));
    puts.message("all").commit().await.unwrap();
    main.stage(&removals(&["a", "b"])).await.unwrap();
    // Somebody else takes both away.
    main.change().delete("a").delete("b").message("away").commit().await.unwrap();
    let head = main.show().await.unwrap().commit;
    let outcome = main.commit_staged().commit().await.unwrap();
    assert!(matches!(outcome, Outcome::NoChanges { .. }), "{outcome:?}");
    assert_eq!(main.show().await.unwrap().commit, head);
    assert!(staged(&main).await.is_empty(), "what came to nothing is gone");
    // One that takes something away is a commit, whatever else it says.
    main.stage(&removals(&["c", "d"])).await.unwrap();
    main.change().delete("c").message("away").commit().await.unwrap();
    assert!(main.commit_staged().commit().await.unwrap().commit().is_some());
    assert_eq!(shown(&lake, "main").await, BTreeMap::from([("e".to_owned(), 1)]));
}

/// A commit that removes `count` paths, staged as tombstones or as changes of its own; `hit` of them is
/// there, and nothing else.
async fn removal_of(staged: bool, count: usize, hit: Option<usize>, conditional: bool) -> Outcome {
    let (_deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let name = |n: usize| format!("p/{n:06}");
    let all = |present: bool| {
        (0..count).fold(main.change(), |change, n| match present {
            true => change.put(name(n), entry(n)),
            false => change.delete(name(n)),
        })
    };
    if staged {
        // What they hide goes before they are committed.
        all(true).message("there").commit().await.unwrap();
        let names: Vec<String> = (0..count).map(name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for page in names.chunks(1000) {
            main.stage(&removals(page)).await.unwrap();
        }
        all(false).message("away").commit().await.unwrap();
    }
    if let Some(hit) = hit {
        main.change().put(name(hit), entry(hit)).message("one").commit().await.unwrap();
    }
    let head = main.show().await.unwrap().commit;
    let removal = match (staged, conditional) {
        (true, _) => main.commit_staged(),
        (false, false) => all(false),
        (false, true) => {
            (0..count).fold(main.change(), |change, n| change.delete_if(name(n), Condition::Absent))
        }
    };
    let outcome = removal.message("m").commit().await.unwrap();
    if outcome.commit().is_none() {
        assert_eq!(main.show().await.unwrap().commit, head, "{outcome:?}");
        assert!(outcome.ticket().is_some(), "it was decided in its turn: {outcome:?}");
    }
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_of_what_is_not_there_are_no_commit_however_they_come_and_however_many() {
    // Few travel in the op, more are a run that is read, many are one that is taken as it is.
    for (staged, count) in [(false, 3), (false, 1000), (false, 5000), (true, 3), (true, 5000)] {
        let outcome = removal_of(staged, count, None, false).await;
        assert_eq!(outcome.name(), "no_changes", "{staged} {count}");
        let outcome = removal_of(staged, count, Some(count - 1), false).await;
        assert_eq!(outcome.name(), "committed", "{staged} {count}");
    }
    assert_eq!(removal_of(false, 3, None, true).await.name(), "no_changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_is_a_commit_where_that_is_asked_for_and_where_it_puts_something() {
    let (_deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let asked_for = main.change().delete("never").allow_empty(true).commit().await.unwrap();
    assert!(asked_for.commit().is_some(), "{asked_for:?}");
    for _ in 0..2 {
        let put = main.change().put("a", entry(1)).delete("never").commit().await.unwrap();
        assert!(put.commit().is_some(), "puts are not looked up: {put:?}");
    }
    let removed = main.change().delete("a").delete("never").commit().await.unwrap();
    assert!(removed.commit().is_some(), "{removed:?}");
    let again = main.change().delete("a").delete("never").producer("p", 1, 1).commit().await;
    assert!(matches!(again.unwrap(), Outcome::NoChanges { ticket: Some(_), .. }));
    let behind = main.change().put("b", entry(2)).producer("p", 1, 1).commit().await.unwrap();
    assert_eq!(behind.name(), "no_changes", "its sequence is used up: {behind:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_beside_commits_leave_nothing_behind() {
    let (_deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let done = Arc::new(AtomicBool::new(false));
    let committer = tokio::spawn({
        let (main, done) = (onward.repo("lake").branch("main"), Arc::clone(&done));
        async move {
            let mut n = 0;
            while !done.load(Ordering::Acquire) {
                n += 1;
                main.change().put("other", entry(n)).message("m").commit().await.unwrap();
            }
        }
    });
    for n in 0..40 {
        main.stage_put(path("new"), entry(n), None).await.unwrap();
        main.stage(&removals(&["new", "never"])).await.unwrap();
        assert!(staged(&main).await.is_empty());
    }
    done.store(true, Ordering::Release);
    committer.await.unwrap();
}
