//! What a ref stands for: commit id, branch, tag, unique prefix of a commit id, in this order, and
//! what the modifiers make of it.

use std::collections::HashMap;

use onward::internals::clock;
use onward::internals::model::commit::Commit;
use onward::internals::model::name::TagName;
use onward::internals::objects::layout;
use onward::internals::tree::Metarange;
use onward::{CommitId, ErrorKind, Onward, RefExpr, Result};

use super::log;
use super::order::Forge;
use crate::support::lake::{Deployment, entry};

async fn stands_for(onward: &Onward, reference: &str) -> Result<CommitId> {
    onward.repo("lake").require_commit(&reference.parse()?).await
}

async fn refused(onward: &Onward, reference: &str, kind: ErrorKind) -> String {
    let error = stands_for(onward, reference).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{reference}: {error}");
    error.to_string()
}

/// A history of `count` commits and the first one, oldest first.
async fn history(count: usize) -> (Deployment, Onward, Vec<CommitId>) {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    for n in 0..count {
        main.change().put("a", entry(n)).commit().await.unwrap();
    }
    let mut commits = log(&onward, "main", &Default::default()).await;
    commits.reverse();
    (deployment, onward, commits)
}

#[tokio::test(flavor = "multi_thread")]
async fn modifiers_go_back_through_parents() {
    let (_deployment, onward, commits) = history(3).await;
    for (reference, at) in [
        ("main", 3),
        ("main@", 3),
        ("main~0", 3),
        ("main^0", 3),
        ("main~", 2),
        ("main^", 2),
        ("main^1", 2),
        ("main~2", 1),
        ("main^^", 1),
        ("main~1^0~1", 1),
        ("main~3", 0),
        ("main~3^0", 0),
    ] {
        assert_eq!(stands_for(&onward, reference).await.unwrap(), commits[at], "{reference}");
    }
    let id = commits[2];
    assert_eq!(stands_for(&onward, &format!("{id}~2")).await.unwrap(), commits[0]);
    for reference in ["main~4", "main~3~1", "main~100000"] {
        let said = refused(&onward, reference, ErrorKind::NotFound).await;
        assert!(said.contains("beyond the first commit"), "{said}");
    }
    for reference in ["main^2", "main~3^1", "main~100001", "main^0^7"] {
        refused(&onward, reference, ErrorKind::InvalidInput).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_and_dollar_go_with_a_branch_and_alone() {
    let (_deployment, onward, commits) = history(1).await;
    let lake = onward.repo("lake");
    lake.create_tag(&"v1".parse().unwrap(), &RefExpr::plain("main")).await.unwrap();
    let short = &commits[1].to_string()[..8];
    for base in ["v1", short, &commits[1].to_string()] {
        for mark in ["@", "$"] {
            let said = refused(&onward, &format!("{base}{mark}"), ErrorKind::InvalidInput).await;
            assert!(said.contains("go with a branch"), "{said}");
        }
    }
    let said = refused(&onward, "main$", ErrorKind::InvalidInput).await;
    assert!(said.contains("onward status"), "{said}");
    for reference in ["main@~1", "main~1@", "main@@", "main@$", "main$~1", "main^1$", "main@1"] {
        refused(&onward, reference, ErrorKind::InvalidInput).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_id_comes_before_a_branch_and_that_before_a_tag_and_that_before_a_prefix() {
    let (_deployment, onward, commits) = history(3).await;
    let lake = onward.repo("lake");
    let id = commits[3].to_string();
    assert_eq!(stands_for(&onward, &id).await.unwrap(), commits[3]);
    assert_eq!(stands_for(&onward, &id[..6]).await.unwrap(), commits[3]);
    assert_eq!(stands_for(&onward, &id[..63]).await.unwrap(), commits[3]);
    refused(&onward, &id[..5], ErrorKind::NotFound).await;
    let prefix = &id[..8];
    let at = |n: usize| RefExpr::plain(commits[n].to_string());
    lake.create_tag(&prefix.parse().unwrap(), &at(1)).await.unwrap();
    assert_eq!(stands_for(&onward, prefix).await.unwrap(), commits[1], "the tag, not the prefix");
    lake.delete_tag(&prefix.parse().unwrap()).await.unwrap();
    lake.branch(prefix).create(&at(0)).await.unwrap();
    assert_eq!(stands_for(&onward, prefix).await.unwrap(), commits[0], "the branch");
    assert_eq!(stands_for(&onward, &id[..9]).await.unwrap(), commits[3], "still a prefix");
    // A name is given once: to a branch or to a tag.
    let twice = lake.create_tag(&prefix.parse().unwrap(), &at(1)).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Conflict);
    // Neither can have the form of a commit id, so nothing stands before one.
    assert!(lake.branch(id.as_str()).create(&at(0)).await.is_err());
    let unknown = format!("{:064x}", 7);
    refused(&onward, &unknown, ErrorKind::NotFound).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_must_be_unique_among_the_newest_commits() {
    let (_deployment, onward, _) = history(0).await;
    let main = onward.repo("lake").branch("main");
    let said = refused(&onward, "abcdef", ErrorKind::NotFound).await;
    assert!(said.contains("newest 1000 commits") && said.contains("64 digits"), "{said}");
    let mut handles = Vec::new();
    for n in 0..1005 {
        handles.push(main.change().put("a", entry(n)).submit().await.unwrap());
    }
    for mut handle in handles {
        handle.wait(crate::support::until::PATIENCE).await.unwrap().commit().unwrap();
    }
    let commits = log(&onward, "main", &Default::default()).await;
    let short = |id: CommitId| id.to_string()[..12].to_owned();
    assert_eq!(stands_for(&onward, &short(commits[999])).await.unwrap(), commits[999]);
    refused(&onward, &short(commits[1000]), ErrorKind::NotFound).await;
    // On a branch of its own it is among the newest again, and found once though on two branches.
    let old = RefExpr::plain(commits[1000].to_string());
    onward.repo("lake").branch("old").create(&old).await.unwrap();
    assert_eq!(stands_for(&onward, &short(commits[1000])).await.unwrap(), commits[1000]);
}

/// Two commits whose ids agree in their first six digits, which is soon found by trying.
fn twins() -> [Commit; 2] {
    let mut by_start: HashMap<[u8; 3], Commit> = HashMap::new();
    loop {
        let commit = Commit {
            op_id: clock::new_op_id(),
            parents: Vec::new(),
            generation: 1,
            committer: "c".into(),
            message: String::new(),
            created_ms: 0,
            metadata: Default::default(),
            metarange: Metarange::default().id(),
        };
        let hash = commit.content_hash();
        if let Some(other) = by_start.insert([hash[0], hash[1], hash[2]], commit.clone()) {
            return [other, commit];
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_of_two_commits_stands_for_neither() {
    let mut forge = Forge::new().await;
    let mut ids = Vec::new();
    for (commit, branch) in twins().into_iter().zip(["left", "right"]) {
        let id = forge.write(commit).await;
        forge
            .onward
            .repo("lake")
            .branch(branch)
            .create(&id.to_string().parse().unwrap())
            .await
            .unwrap();
        ids.push(id);
    }
    let digits = ids[0].to_string();
    let said = refused(&forge.onward, &digits[..6], ErrorKind::NotFound).await;
    assert!(said.contains("more than one"), "{said}");
    for id in ids {
        let common = id.to_string().bytes().zip(digits.bytes()).take_while(|(a, b)| a == b).count();
        let enough = id.to_string()[..(common + 1).min(63)].to_owned();
        assert_eq!(stands_for(&forge.onward, &enough).await.unwrap(), id);
    }
}

/// A tag of which no ref could ask: new ones are refused, wherever they would be made; one from before
/// that was a rule is listed, keeps its commit, and can be deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_no_ref_leads_to_is_not_made() {
    let (deployment, onward, commits) = history(2).await;
    let (repo, name) = (onward.repo("lake"), "lake".parse().unwrap());
    let (old, good) = (TagName::new("main~1").unwrap(), TagName::new("v1").unwrap());
    let head = RefExpr::plain("main");
    let refused = repo.create_tag(&old, &head).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.message().contains('~'), "{refused}");
    repo.create_tag(&good, &head).await.unwrap();
    let record = deployment.objects.get(&layout::tag(&name, &good)).await.unwrap().unwrap();
    deployment.objects.put(&layout::tag(&name, &old), record).await.unwrap();
    let names = async || {
        let tags = repo.tags().await.unwrap();
        tags.into_iter().map(|tag| tag.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["main~1", "v1"]);
    assert_eq!(stands_for(&onward, "main~1").await.unwrap(), commits[1], "its ref means another");
    let dump = repo.dump_refs().await.unwrap();
    repo.delete_tag(&old).await.unwrap();
    repo.delete_tag(&good).await.unwrap();
    let restored = repo.restore_refs(dump).await.unwrap();
    assert_eq!((restored.tags, restored.tags_refused), (1, 1));
    assert_eq!(names().await, ["v1"]);
}
