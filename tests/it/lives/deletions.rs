//! A deletion that is under way, and one that was interrupted.

use onward::internals::commit::faults::Faults;
use onward::internals::repo::gc::GcOptions;
use onward::internals::repo::protection::Rule;
use onward::internals::repo::verify::VerifyOptions;
use onward::{ErrorKind, Onward, RefExpr};

use super::{commits, content, create, in_order, not_found, put};
use crate::support::lake::{Deployment, entry};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_being_deleted_refuses_everything_and_says_what_to_do() {
    for point in POINTS {
        let (deployment, _) = cut_short(point).await;
        let fresh = deployment.connect().await;
        for (what, error) in everything(&fresh).await {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{point}, {what}: {error}");
            let advice = "`onward repo delete lake` finishes it";
            assert!(error.message().contains(advice), "{point}, {what}: {error}");
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
