//! Reading a branch with uncommitted changes, against a plain map: what is staged shows on the
//! branch, what is committed shows at `BRANCH@`, page by page and folder by folder.

use std::collections::{BTreeMap, BTreeSet};

use onward::internals::tree::{ListItem, ListRequest};
use onward::{Change, Onward, PathChange, RefExpr};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};

use crate::support::lake::{Deployment, entry};

#[derive(Debug, Clone)]
enum Step {
    Stage { path: String, put: bool },
    CommitStaged,
    CommitOwn { path: String, put: bool },
    CancelStaged,
    Reset { prefix: String },
    List { prefix: String, delimiter: Option<&'static str>, amount: usize },
}

fn path() -> impl Strategy<Value = String> {
    let folders = prop::sample::select(vec!["a/", "a/b/", "b/", "", "é/"]);
    let names = prop::sample::select(vec!["0", "1", "2", "11", "/", "/1"]);
    (folders, names).prop_map(|(folder, name)| format!("{folder}{name}"))
}

fn step() -> impl Strategy<Value = Step> {
    let prefix = prop::sample::select(vec!["", "a", "a/", "a/b/", "b/1", "é", "zzz"]);
    // Some overlap with the end of a prefix.
    let delimiters = prop::sample::select(vec![None, Some("/"), Some("//"), Some("/1")]);
    prop_oneof![
        6 => (path(), any::<bool>()).prop_map(|(path, put)| Step::Stage { path, put }),
        1 => Just(Step::CommitStaged),
        2 => (path(), any::<bool>()).prop_map(|(path, put)| Step::CommitOwn { path, put }),
        1 => Just(Step::CancelStaged),
        1 => prefix.clone().prop_map(|prefix| Step::Reset { prefix: prefix.to_owned() }),
        4 => (prefix, delimiters, 1..8usize).prop_map(|(prefix, delimiter, amount)| {
            Step::List { prefix: prefix.to_owned(), delimiter, amount }
        }),
    ]
}

type Content = BTreeMap<String, usize>;

/// Changes by path; a removal is `None`.
type Changes = BTreeMap<String, Option<usize>>;

#[derive(Default)]
struct Model {
    committed: Content,
    /// By commits that were called off.
    given_back: Changes,
    staged: Changes,
}

impl Model {
    /// What is not staged.
    fn below(&self) -> Content {
        let mut below = self.committed.clone();
        apply(&mut below, &self.given_back);
        below
    }

    fn current(&self) -> Content {
        let mut all = self.below();
        apply(&mut all, &self.staged);
        all
    }

    fn uncommitted(&self) -> Changes {
        self.given_back.clone().into_iter().chain(self.staged.clone()).collect()
    }

    /// A removal: what has nothing below it needs no tombstone.
    fn remove(&mut self, path: &str) {
        match self.below().contains_key(path) {
            true => drop(self.staged.insert(path.into(), None)),
            false => drop(self.staged.remove(path)),
        }
    }

    /// Takes all that is uncommitted.
    fn seal(&mut self) -> Changes {
        let sealed = self.uncommitted();
        self.given_back.clear();
        self.staged.clear();
        sealed
    }

    /// Whether what was sealed changes anything.
    fn is_commit(&self, sealed: &Changes) -> bool {
        sealed.iter().any(|(path, value)| self.committed.get(path) != value.as_ref())
    }
}

fn apply(content: &mut Content, changes: &Changes) {
    for (path, value) in changes {
        match value {
            Some(value) => content.insert(path.clone(), *value),
            None => content.remove(path),
        };
    }
}

/// The listing that a plain map gives: objects with their value, folders once.
fn expected(
    content: &Content,
    prefix: &str,
    delimiter: Option<&str>,
) -> Vec<(String, Option<usize>)> {
    let mut folders = BTreeSet::new();
    let mut items = Vec::new();
    for (path, value) in content.iter().filter(|(path, _)| path.starts_with(prefix)) {
        let found = delimiter.and_then(|d| Some(path[prefix.len()..].find(d)? + d.len()));
        match found {
            Some(end) => {
                let folder = path[..prefix.len() + end].to_owned();
                if folders.insert(folder.clone()) {
                    items.push((folder, None));
                }
            }
            None => items.push((path.clone(), Some(*value))),
        }
    }
    items
}

async fn listed(
    onward: &Onward,
    reference: &str,
    prefix: &str,
    delimiter: Option<&str>,
    amount: usize,
) -> Vec<(String, Option<usize>)> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let request = ListRequest {
            prefix: prefix.to_owned(),
            after: after.clone(),
            delimiter: delimiter.map(str::to_owned),
            amount,
        };
        let reference: RefExpr = reference.parse().unwrap();
        let page = onward.repo("lake").list(&reference, &request).await.unwrap();
        assert!(page.items.len() <= amount);
        items.extend(page.items.iter().map(|item| match item {
            ListItem::Object(path, entry) => (path.to_string(), Some(entry.size as usize)),
            ListItem::CommonPrefix(folder) => (folder.clone(), None),
        }));
        after = page.next;
        if after.is_none() {
            return items;
        }
    }
}

async fn play(steps: Vec<Step>) {
    let (_deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let mut model = Model::default();
    for (n, step) in steps.into_iter().enumerate() {
        // So few that what is staged is often what is there.
        let n = n % 2;
        match step {
            Step::Stage { path, put } => {
                let change = if put { Change::Put(entry(n)) } else { Change::Delete };
                let path_change =
                    PathChange { path: path.parse().unwrap(), change, condition: None };
                main.stage(&[path_change]).await.unwrap();
                match put {
                    true => drop(model.staged.insert(path, Some(n))),
                    false => model.remove(&path),
                }
            }
            Step::CommitStaged => {
                let outcome = main.commit_staged().message("staged").commit().await.unwrap();
                let sealed = model.seal();
                assert_eq!(outcome.commit().is_some(), model.is_commit(&sealed), "{outcome:?}");
                apply(&mut model.committed, &sealed);
            }
            Step::CommitOwn { path, put } => {
                let change = main.change().message("own");
                let change = if put { change.put(&path, entry(n)) } else { change.delete(&path) };
                change.commit().await.unwrap();
                apply(&mut model.committed, &[(path, put.then_some(n))].into());
            }
            Step::CancelStaged => cancel_staged(&main, &mut model).await,
            Step::Reset { prefix } => {
                let uncommitted = model.uncommitted();
                let count = uncommitted.keys().filter(|path| path.starts_with(&prefix)).count();
                // A path may stand in several areas that commits gave back.
                assert!(main.reset(&prefix, false).await.unwrap() >= count as u64);
                model.staged.retain(|path, _| !path.starts_with(&prefix));
                model.given_back.retain(|path, _| !path.starts_with(&prefix));
            }
            Step::List { prefix, delimiter, amount } => {
                let (now, head) = (model.current(), &model.committed);
                let branch = listed(&onward, "main", &prefix, delimiter, amount).await;
                assert_eq!(branch, expected(&now, &prefix, delimiter), "on the branch");
                let committed = listed(&onward, "main@", &prefix, delimiter, amount).await;
                assert_eq!(committed, expected(head, &prefix, delimiter), "at the head");
            }
        }
        let status = main.status("", None, 1000).await.unwrap();
        let status: BTreeMap<String, Option<usize>> = status
            .iter()
            .map(|c| (c.path.to_string(), c.change.entry().map(|e| e.size as usize)))
            .collect();
        assert_eq!(status, model.uncommitted());
    }
    assert_eq!(listed(&onward, "main", "", None, 1000).await, expected(&model.current(), "", None));
}

/// Submits a commit of what is staged and calls it off at once: either it came in time, and
/// everything is staged as before, or it did not, and everything is committed.
async fn cancel_staged(main: &onward::internals::repo::Branch, model: &mut Model) {
    let mut ticket = main.commit_staged().message("called off").submit().await.unwrap();
    ticket.cancel().await.unwrap();
    let outcome = ticket.wait(std::time::Duration::from_secs(60)).await.unwrap();
    let sealed = model.seal();
    match outcome.name() {
        "committed" => apply(&mut model.committed, &sealed),
        // Removals of what has gone meanwhile, or what was there: it came to nothing, and is gone.
        "no_changes" => assert!(!model.is_commit(&sealed), "{outcome:?} of {sealed:?}"),
        "cancelled" => model.given_back = sealed,
        _ => panic!("{outcome:?}"),
    }
}

#[test]
fn a_branch_shows_what_a_plain_map_of_its_changes_shows() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Cases { cases: 24, ..Cases::default() });
    runner
        .run(&prop::collection::vec(step(), 1..50), |steps| {
            runtime.block_on(play(steps));
            Ok(())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_many_staged_paths_is_complete_and_in_order() {
    let (_deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let changes = |folder: &str, count: usize| -> Vec<PathChange> {
        let change = |n: usize| PathChange {
            path: format!("{folder}/{n:05}").parse().unwrap(),
            change: Change::Put(entry(n)),
            condition: None,
        };
        (0..count).map(change).collect()
    };
    main.stage(&changes("m", 2500)).await.unwrap();
    main.commit_staged().message("m").commit().await.unwrap();
    main.stage(&changes("a", 2500)).await.unwrap();
    main.stage(&changes("z", 1200)).await.unwrap();
    let all = listed(&onward, "main", "", None, 1000).await;
    assert_eq!(all.len(), 6200);
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let folders = listed(&onward, "main", "", Some("/"), 1000).await;
    assert_eq!(folders, [("a/".into(), None), ("m/".into(), None), ("z/".into(), None)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn staged_paths_between_two_committed_ones_are_all_listed() {
    let (_deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let changes = |folder: &str, count: usize, put: bool| -> Vec<PathChange> {
        let change = |n: usize| PathChange {
            path: format!("{folder}/{n:05}").parse().unwrap(),
            change: if put { Change::Put(entry(n)) } else { Change::Delete },
            condition: None,
        };
        (0..count).map(change).collect()
    };
    main.stage(&changes("a", 500, true)).await.unwrap();
    main.stage(&changes("z", 1, true)).await.unwrap();
    main.commit_staged().message("a and z").commit().await.unwrap();
    main.stage(&changes("a", 500, false)).await.unwrap();
    main.stage(&changes("b", 3000, true)).await.unwrap();
    let all = listed(&onward, "main", "", None, 1000).await;
    assert_eq!(all.len(), 3001, "what is staged shows on the branch, however much");
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

/// Whoever was told of a commit, or of a staged change, sees it in the next look, however many look
/// at the same time; and readers together ask Redis less often than each for itself would.
#[tokio::test(flavor = "multi_thread")]
async fn readers_who_share_their_calls_see_their_own_writes() {
    let (_deployment, onward) = Deployment::lake().await;
    let repo = onward.repo("lake");
    let look = async |path: &str| {
        let main = RefExpr::plain("main");
        let found = repo.stat(&main, &path.parse().unwrap()).await.ok();
        found.map(|entry| entry.size)
    };
    let write = |writer: usize| {
        let (main, look) = (repo.branch("main"), &look);
        async move {
            for n in 0..12 {
                let path = format!("t/{writer}");
                let (wanted, staged) = (entry(writer * 100 + n), n % 3 == 2);
                let size = wanted.size;
                match staged {
                    true => main.stage_put(path.parse().unwrap(), wanted, None).await.unwrap(),
                    false => {
                        main.reset(&path, true).await.unwrap();
                        let outcome = main.change().put(&path, wanted).commit().await.unwrap();
                        assert!(outcome.commit().is_some());
                    }
                }
                assert_eq!(look(&path).await, Some(size), "writer {writer}, change {n}");
            }
        }
    };
    futures::future::join_all((0..24).map(write)).await;
    let calls = || onward.coordinator().lanes().calls().get("staged").copied().unwrap_or(0);
    let before = calls();
    let paths: Vec<String> = (0..200).map(|n| format!("t/{}", n % 24)).collect();
    let found = futures::future::join_all(paths.iter().map(|path| look(path))).await;
    assert!(found.iter().all(Option::is_some));
    assert!(calls() - before <= 100, "{} calls for 200 readers", calls() - before);
}
