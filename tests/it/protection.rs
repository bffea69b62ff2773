//! Protected branches: every direct change is refused with the rule's name, everything else goes on.

use onward::internals::repo::protection::{Action, Rule};
use onward::{Change, ErrorKind, PathChange, RefExpr, Result};

use crate::support::branch::{Ghost, keys};
use crate::support::lake::{Deployment, entry};
use crate::support::until::{PATIENCE, until_async};

fn forbidden<T: std::fmt::Debug>(result: Result<T>, action: Action, pattern: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    for part in [format!("blocks {action}"), format!("'{pattern}'"), "branch '".to_owned()] {
        assert!(error.message().contains(&part), "{part}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_changes_of_a_protected_branch_are_refused() {
    let (_deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    let main = lake.branch("main");
    main.stage_put("before".parse().unwrap(), entry(0), None).await.unwrap();
    lake.protect(Rule::new("ma?n")).await.unwrap();
    let path = || "a".parse().unwrap();
    forbidden(main.stage_put(path(), entry(1), None).await, Action::Stage, "ma?n");
    forbidden(main.stage_delete(path(), None).await, Action::Stage, "ma?n");
    let change = PathChange { path: path(), change: Change::Delete, condition: None };
    forbidden(main.stage(&[change]).await, Action::Stage, "ma?n");
    forbidden(main.upload(&b"x"[..]).await, Action::Stage, "ma?n");
    forbidden(main.change().put("a", entry(1)).commit().await, Action::Commit, "ma?n");
    forbidden(main.commit_staged().submit().await, Action::Commit, "ma?n");
    forbidden(main.delete().await, Action::Delete, "ma?n");
    forbidden(main.check_protection(Action::Reset).await, Action::Reset, "ma?n");
    // Taking back what is staged is no change of the branch.
    assert_eq!(main.status("", None, 10).await.unwrap().len(), 1);
    assert_eq!(main.reset("", false).await.unwrap(), 1);
    // Other branches go on.
    let dev = lake.branch("dev");
    dev.create(&RefExpr::plain("main")).await.unwrap();
    dev.stage_put(path(), entry(1), None).await.unwrap();
    assert!(dev.commit_staged().commit().await.unwrap().commit().is_some());
    dev.delete().await.unwrap();
    // So does the branch, without the rule.
    lake.unprotect("ma?n").await.unwrap();
    assert!(main.change().put("a", entry(1)).commit().await.unwrap().commit().is_some());
    assert_eq!(lake.unprotect("ma?n").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_blocks_what_it_names_and_is_replaced_by_its_pattern() {
    let (_deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    let main = lake.branch("main");
    lake.protect(Rule::new("m*").only([Action::Stage, Action::Delete])).await.unwrap();
    lake.protect(Rule::new("release-*")).await.unwrap();
    assert!(main.change().put("a", entry(1)).commit().await.unwrap().commit().is_some());
    forbidden(main.delete().await, Action::Delete, "m*");
    lake.protect(Rule::new("m*").only([Action::Commit])).await.unwrap();
    let rules = lake.protection().await.unwrap();
    assert_eq!(rules, [Rule::new("m*").only([Action::Commit]), Rule::new("release-*")]);
    main.stage_put("b".parse().unwrap(), entry(2), None).await.unwrap();
    forbidden(main.commit_staged().commit().await, Action::Commit, "m*");
    // With its repository a protected branch goes.
    lake.protect(Rule::new("*")).await.unwrap();
    lake.delete().await.unwrap();
    lake.create(&"main".parse().unwrap()).await.unwrap();
    assert_eq!(lake.protection().await.unwrap(), []);
    assert!(main.change().put("a", entry(1)).commit().await.unwrap().commit().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_a_rule_is_decided() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let mut accepted = main.change().put("a", entry(1)).submit().await.unwrap();
    onward.repo("lake").protect(Rule::new("main")).await.unwrap();
    forbidden(main.change().put("b", entry(2)).submit().await, Action::Commit, "main");
    drop(ghost);
    assert!(accepted.wait(PATIENCE).await.unwrap().commit().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn staging_reads_no_object_for_each_write_and_another_process_follows_soon() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    main.stage_put("a".parse().unwrap(), entry(1), None).await.unwrap();
    let before = deployment.objects.counters().gets;
    for n in 0..200 {
        main.stage_put(format!("t/{n}").parse().unwrap(), entry(n), None).await.unwrap();
    }
    let read = deployment.objects.counters().gets - before;
    assert!(read < 20, "{read} objects read for 200 staged writes");
    let other = deployment.connect().await;
    other.repo("lake").protect(Rule::new("main")).await.unwrap();
    until_async("the rule of another process holds here", || async {
        main.check_protection(Action::Stage).await.is_err()
    })
    .await;
}
