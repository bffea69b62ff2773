//! A deletion that is under way, and one that was interrupted.

use std::sync::Arc;

use onward::internals::commit::faults::Faults;
use onward::internals::objects::Objects;
use onward::internals::repo::gc::GcOptions;
use onward::internals::repo::protection::Rule;
use onward::internals::repo::verify::VerifyOptions;
use onward::{ErrorKind, Onward, RefExpr};

use super::{commits, content, create, in_order, not_found, put};
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::RedisServer;

/// The points at which a deletion can be cut short.
const POINTS: [&str; 4] = ["repo-ending", "branch-ended", "repo-removing", "repo-emptied"];

/// A repository with something of everything, whose deletion was cut short at `point`.
async fn cut_short(point: &str) -> (Deployment, Onward) {
    let (deployment, knows) = Deployment::lake().await;
    let repo = knows.repo("lake");
    put(&knows, "main", "old", 1).await.unwrap();
    repo.branch("dev").create(&RefExpr::plain("main")).await.unwrap();
    put(&knows, "dev", "of-dev", 2).await.unwrap();
    repo.create_tag(&"v1".parse().unwrap(), &RefExpr::plain("main")).await.unwrap();
    let upload = repo.branch("main").upload(&b"uploaded"[..]).await.unwrap();
    repo.branch("main").stage_put("up".parse().unwrap(), upload, None).await.unwrap();
    let faults = Faults::default();
    faults.set(&format!("{point}=error")).unwrap();
    let deletes = deployment.connect_with(faults).await;
    let error = deletes.repo("lake").delete().await.unwrap_err();
    assert!(error.message().contains("failpoint"), "{error}");
    (deployment, knows)
}

/// What anybody may try, each with what it came to.
async fn everything(onward: &Onward) -> Vec<(&'static str, onward::Error)> {
    let repo = onward.repo("lake");
    let main = RefExpr::plain("main");
    let commit = repo.branch("new").change().put("x", entry(3)).commit().await;
    let stage = repo.branch("new").stage_put("x".parse().unwrap(), entry(3), None).await;
    let verify = repo.verify(VerifyOptions::default(), &mut |_| ()).await;
    vec![
        ("show", repo.show().await.unwrap_err()),
        ("branch create", repo.branch("new").create(&main).await.unwrap_err()),
        ("tag create", repo.create_tag(&"v2".parse().unwrap(), &main).await.unwrap_err()),
        ("tags", repo.tags().await.unwrap_err()),
        ("branches", repo.branches().await.unwrap_err()),
        ("commit", commit.unwrap_err()),
        ("stage", stage.unwrap_err()),
        ("protect", repo.protect(Rule::new("x")).await.unwrap_err()),
        ("metadata", repo.change_metadata(|_| ()).await.unwrap_err()),
        ("gc", repo.gc(&GcOptions::default(), &mut |_| ()).await.unwrap_err()),
        ("verify", verify.unwrap_err()),
        ("recover", repo.recover().await.unwrap_err()),
    ]
}

/// A process that knew the repository, and asks at each use whether it is still there.
async fn doubting(deployment: &Deployment) -> Onward {
    deployment.connect_as(|config| config.lives_believed = std::time::Duration::ZERO).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knew_a_repository_reads_nothing_of_it_once_its_deletion_was_cut_short() {
    for point in POINTS {
        let (deployment, _) = Deployment::lake().await;
        let knows = doubting(&deployment).await;
        put(&knows, "main", "old", 1).await.unwrap();
        let repo = knows.repo("lake");
        let (main, tag) = (RefExpr::plain("main"), RefExpr::plain("v1"));
        repo.create_tag(&"v1".parse().unwrap(), &main).await.unwrap();
        repo.branch("dev").create(&main).await.unwrap();
        let commit = repo.branch("main").show().await.unwrap().commit.unwrap();
        let commit = RefExpr::plain(commit.to_string());
        let faults = Faults::default();
        faults.set(&format!("{point}=error")).unwrap();
        deployment.connect_with(faults).await.repo("lake").delete().await.unwrap_err();
        for name in ["main", "dev", "v1", &commit.to_string()] {
            let said = not_found(content(&knows, name).await);
            assert!(said.to_string().contains("repo delete lake"), "{point}, {name}: {said}");
        }
        for branch in ["main", "dev"] {
            let branch = repo.branch(branch);
            not_found(branch.show().await);
            not_found(branch.stage_put("x".parse().unwrap(), entry(3), None).await);
            not_found(branch.status("", None, 10).await);
        }
        for found in [repo.commit_of(&tag).await, repo.commit_of(&commit).await] {
            not_found(found);
        }
        // One that goes on is found, however often it is asked for.
        deployment.connect().await.repo("lake").delete().await.unwrap();
        create(&knows).await.unwrap();
        assert!(content(&knows, "main").await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_does_not_answer_keeps_nobody_from_what_is_known() {
    let (mut deployment, _) = Deployment::lake().await;
    let mut store = None;
    deployment.objects = deployment.objects.clone().behind(|inner| {
        let faulty = FaultyStore::new(inner);
        store = Some(faulty.clone());
        Arc::new(faulty)
    });
    let (store, knows) = (store.unwrap(), doubting(&deployment).await);
    put(&knows, "main", "old", 1).await.unwrap();
    store.fail_next_at(Op::Get, "lake/repo", 1000, Fault::Outage);
    put(&knows, "main", "new", 2).await.unwrap();
    store.heal();
    assert_eq!(content(&knows, "main").await.unwrap().len(), 2);
}

/// A record that another process is writing is not what is left of somebody.
#[tokio::test(flavor = "multi_thread")]
async fn who_deletes_leaves_the_record_alone_that_another_writes() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::open(&format!("file://{}", dir.path().display())).unwrap();
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    create(&onward).await.unwrap();
    let half = ["repo#1", "data/07/0123456789abcdef0123456789abcdef#1"];
    let half = half.map(|name| dir.path().join("lake").join(name));
    std::fs::create_dir_all(half[1].parent().unwrap()).unwrap();
    half.iter().for_each(|path| std::fs::write(path, "half").unwrap());
    onward.repo("lake").delete().await.unwrap();
    assert_eq!(half.map(|path| path.exists()), [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_being_deleted_refuses_everything_and_says_what_to_do() {
    for point in POINTS {
        let (deployment, _) = cut_short(point).await;
        let fresh = deployment.connect().await;
        for (what, error) in everything(&fresh).await {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{point}, {what}: {error}");
            let advice = "`onward repo delete lake` finishes it";
            assert!(error.to_string().contains(advice), "{point}, {what}: {error}");
        }
        let error = create(&fresh).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{point}: {error}");
        assert!(error.message().contains("is being deleted"), "{point}: {error}");
        assert!(fresh.repos().await.unwrap().is_empty());
        assert!(fresh.recover().await.unwrap().is_empty(), "the others are recovered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_cut_short_is_finished_by_the_next_one() {
    for point in POINTS {
        let (deployment, knows) = cut_short(point).await;
        let other = deployment.connect().await;
        other.repo("lake").delete().await.unwrap();
        not_found(other.repo("lake").delete().await);
        not_found(knows.repo("lake").show().await);
        create(&other).await.unwrap();
        // Who knew the old one finds the new one, and nothing of the old.
        assert_eq!(content(&knows, "main").await.unwrap(), [], "{point}");
        not_found(knows.repo("lake").tag(&"v1".parse().unwrap()).await);
        not_found(content(&knows, "dev").await);
        put(&knows, "main", "new", 4).await.unwrap();
        put(&other, "main", "newer", 5).await.unwrap();
        assert_eq!(commits(&knows).await, 3, "{point}");
        in_order(&deployment).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_deletions_at_once_end_well() {
    let (deployment, onward) = Deployment::lake().await;
    for round in 0..8 {
        put(&onward, "main", "x", round).await.unwrap();
        let mut deletions = Vec::new();
        for _ in 0..3 {
            let onward = deployment.connect().await;
            deletions.push(tokio::spawn(async move { onward.repo("lake").delete().await }));
        }
        let mut done = 0;
        for deletion in deletions {
            match deletion.await.unwrap() {
                Ok(()) => done += 1,
                failed => drop(not_found(failed)),
            }
        }
        assert!(done > 0);
        create(&onward).await.unwrap();
        assert_eq!(content(&onward, "main").await.unwrap(), []);
    }
    for _ in 0..8 {
        onward.repo("lake").branch("dev").create(&RefExpr::plain("main")).await.unwrap();
        let mut deletions = Vec::new();
        for _ in 0..3 {
            let onward = deployment.connect().await;
            let deletion = async move { onward.repo("lake").branch("dev").delete().await };
            deletions.push(tokio::spawn(deletion));
        }
        let mut done = 0;
        for deletion in deletions {
            match deletion.await.unwrap() {
                Ok(_) => done += 1,
                failed => drop(not_found(failed)),
            }
        }
        assert_eq!(done, 1, "one of them has ended it");
    }
    in_order(&deployment).await;
}
