//! Histories of paths against a plain model: every commit's whole content, compared.

use std::collections::{BTreeMap, HashMap};

use onward::CommitId;
use onward::internals::repo::LogRequest;
use proptest::prelude::*;

use super::{log, of_object, of_prefix};
use crate::support::lake::{Deployment, entry};
use crate::support::seed::campaign;
use crate::support::until::PATIENCE;

const PATHS: [&str; 6] = ["a", "a/x", "a/y", "a0", "b/c/d", "é"];
const PREFIXES: [&str; 6] = ["a", "a/", "b/", "b/c/", "é", "none/"];
const BRANCHES: [&str; 3] = ["main", "dev", "try"];

#[derive(Debug, Clone)]
enum Step {
    /// Commits on a branch, submitted one behind the other before any is waited for.
    Commits { branch: usize, each: Vec<BTreeMap<usize, Option<usize>>> },
    /// A branch at the head of another, if it is not there yet.
    Branch { name: usize, from: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![1 => Just(None), 3 => (0..3usize).prop_map(Some)];
    let changes = prop::collection::btree_map(0..PATHS.len(), value, 0..3);
    let commits = (0..BRANCHES.len(), prop::collection::vec(changes, 1..9));
    prop_oneof![
        5 => commits.prop_map(|(branch, each)| Step::Commits { branch, each }),
        1 => (1..BRANCHES.len(), 0..BRANCHES.len())
            .prop_map(|(name, from)| Step::Branch { name, from }),
    ]
}

type Content = BTreeMap<&'static str, usize>;

#[derive(Default)]
struct Model {
    /// Parent and content.
    commits: HashMap<CommitId, (Option<CommitId>, Content)>,
    heads: BTreeMap<&'static str, CommitId>,
}

impl Model {
    fn chain(&self, branch: &str) -> Vec<CommitId> {
        let mut chain = Vec::new();
        let mut at = self.heads.get(branch).copied();
        while let Some(id) = at {
            chain.push(id);
            at = self.commits[&id].0;
        }
        chain
    }

    /// Commits of a branch whose content differs from the parent's at a path that `holds`.
    fn touching(&self, branch: &str, holds: impl Fn(&str) -> bool) -> Vec<CommitId> {
        let empty = Content::new();
        let mut chain = self.chain(branch);
        chain.retain(|id| {
            let (parent, content) = &self.commits[id];
            let before = parent.map_or(&empty, |parent| &self.commits[&parent].1);
            PATHS.iter().any(|path| holds(path) && before.get(path) != content.get(path))
        });
        chain
    }
}

async fn play(steps: &[Step]) {
    let (deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    let mut model = Model::default();
    let first = lake.branch("main").show().await.unwrap().commit.unwrap();
    model.commits.insert(first, (None, Content::new()));
    model.heads.insert("main", first);
    for step in steps {
        match step {
            Step::Branch { name, from } => {
                let (name, from) = (BRANCHES[*name], BRANCHES[*from]);
                if let (false, Some(head)) =
                    (model.heads.contains_key(name), model.heads.get(from).copied())
                {
                    lake.branch(name).create(&from.parse().unwrap()).await.unwrap();
                    model.heads.insert(name, head);
                }
            }
            Step::Commits { branch, each } => {
                let name = BRANCHES[*branch];
                let Some(mut head) = model.heads.get(name).copied() else { continue };
                let mut handles = Vec::new();
                for changes in each {
                    let mut change = lake.branch(name).change().allow_empty(true);
                    for (path, value) in changes {
                        change = match value {
                            Some(value) => change.put(PATHS[*path], entry(*value)),
                            None => change.delete(PATHS[*path]),
                        };
                    }
                    handles.push((change.submit().await.unwrap(), changes));
                }
                for (mut handle, changes) in handles {
                    let outcome = handle.wait(PATIENCE).await.unwrap();
                    let mut content = model.commits[&head].1.clone();
                    for (path, value) in changes {
                        match value {
                            Some(value) => content.insert(PATHS[*path], *value),
                            None => content.remove(PATHS[*path]),
                        };
                    }
                    let commit = outcome.commit().unwrap();
                    model.commits.insert(commit, (Some(head), content));
                    head = commit;
                }
                model.heads.insert(name, head);
            }
        }
    }
    // One that knows only the object store, and one with everything in its caches.
    for onward in [deployment.connect().await, onward] {
        for branch in model.heads.keys() {
            assert_eq!(log(&onward, branch, &LogRequest::default()).await, model.chain(branch));
            for path in PATHS {
                let expected = model.touching(branch, |p| p == path);
                assert_eq!(log(&onward, branch, &of_object(path)).await, expected, "{path}");
            }
            for prefix in PREFIXES {
                let expected = model.touching(branch, |p| p.starts_with(prefix));
                assert_eq!(log(&onward, branch, &of_prefix(prefix)).await, expected, "{prefix}");
            }
            let both = LogRequest {
                objects: vec!["a".parse().unwrap()],
                prefixes: vec!["b/".into(), "é".into()],
                first_parent: true,
                ..LogRequest::default()
            };
            let expected =
                model.touching(branch, |p| p == "a" || p.starts_with("b/") || p.starts_with('é'));
            assert_eq!(log(&onward, branch, &both).await, expected);
        }
    }
}

#[test]
fn the_log_of_a_path_is_what_the_contents_say() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    campaign(&prop::collection::vec(step(), 1..14), 12, |steps| {
        runtime.block_on(play(&steps));
        Ok(())
    });
}
