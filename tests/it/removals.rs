//! Removals that are staged: what is not there needs no tombstone, and what was only staged is taken
//! back. Random histories of them are held against plain maps in `reading.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onward::internals::model::change::{Change, PathChange};
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
