//! Branches that end with ops in their queue, and ops that cannot be carried out.

use std::time::Duration;

use futures::StreamExt;
use onward::internals::commit::accept::shared::QueueOptions;
use onward::internals::commit::tasks;
use onward::internals::coord::submit::{Seal, Submission};
use onward::internals::repo::events::Event;
use onward::internals::repo::ticket::TicketStatus;
use onward::{ErrorKind, OpId, Outcome, RefExpr, Ticket};

use super::{change, commit, commit_all};
use crate::support::branch::{Audit, Ghost, context, keys, op_id};
use crate::support::lake::Deployment;
use crate::support::until::{PATIENCE, until_async};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_has_ended_its_part_takes_nothing_more() {
    let (deployment, onward) = Deployment::lake().await;
    let context = context(&onward, &deployment.objects, "main").await;
    let queue = tasks::start(context, QueueOptions::default());
    queue.close().await;
    let element = b"not even read".to_vec().into();
    let submission = Submission {
        op_id: op_id(1),
        element,
        producers: Vec::new(),
        seal: Seal::No,
        may_repeat: false,
    };
    let refused = queue.submit(submission).await.unwrap_err();
    assert!(refused.message().contains("shutting down"), "{refused}");
    assert_eq!(
        queue.attach(op_id(2), Ticket(9), 8, Duration::ZERO).outcome().await,
        None,
        "nobody would tell"
    );
    assert_eq!(onward.repo("lake").branch("main").queue(10).await.unwrap().depth, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_branch_decides_what_came_before_and_fails_what_came_after() {
    let (deployment, onward) = Deployment::lake().await;
    let there = deployment.connect().await;
    let repo = onward.repo("lake");
    repo.branch("dev").create(&RefExpr::plain("main")).await.unwrap();
    let keys = keys(&deployment.objects, "dev").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut before = change(&onward, "dev", 1).submit().await.unwrap();
    let deletion = tokio::spawn({
        let dev = repo.branch("dev");
        async move { dev.delete().await }
    });
    until_async("the deletion is queued", || async {
        repo.branch("dev").queue(10).await.unwrap().depth == 2
    })
    .await;
    let mut after = Vec::new();
    for (n, onward) in [(2, &onward), (3, &there), (4, &there)] {
        after.push(change(onward, "dev", n).submit().await.unwrap());
    }
    drop(ghost);
    assert!(before.wait(PATIENCE).await.unwrap().commit().is_some());
    deletion.await.unwrap().unwrap();
    for handle in &mut after {
        let outcome = handle.wait(PATIENCE).await.unwrap();
        let Outcome::Failed { reason, .. } = &outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("branch deleted"), "{reason}");
    }
    for onward in [&onward, &there] {
        let gone = change(onward, "dev", 5).commit().await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{gone}");
    }
    let calls = there.coordinator().lanes().calls();
    assert!(calls.values().sum::<u64>() < 500, "it waits, it does not spin: {calls:?}");
    let audit = Audit::of(&deployment.objects, "dev").await;
    assert!(audit.closed && audit.commit(1).is_some());
    assert!((2..5).all(|n| !audit.ops.contains_key(&op_id(n))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_deleted_and_made_again_is_another_branch() {
    let (deployment, onward) = Deployment::lake().await;
    let there = deployment.connect().await;
    let repo = onward.repo("lake");
    for life in 1..4 {
        repo.branch("dev").create(&RefExpr::plain("main")).await.unwrap();
        // Someone who knew the branch of before finds the one of now.
        let ops = 10 * life..10 * life + 10;
        commit_all(&[onward.clone(), there.clone()], "dev", ops.clone()).await;
        let audit = Audit::of(&deployment.objects, "dev").await;
        audit.has_all(ops);
        assert_eq!(audit.ops.len(), 10, "life {life} begins anew");
        repo.branch("dev").delete().await.unwrap();
        assert!(repo.branch("dev").show().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_op_fails_and_the_queue_goes_on() {
    let (deployment, onward) = Deployment::lake().await;
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut before = change(&onward, "main", 1).submit().await.unwrap();
    for (n, body) in [(50, "P\u{1}nonsense"), (51, "P"), (52, ""), (53, "?\u{0}x")] {
        let element = format!("{}{body}", op_id(n));
        let _: i64 = deployment.redis.command(&["RPUSH", &keys.queue, &element]);
    }
    let mut after = change(&onward, "main", 2).submit().await.unwrap();
    drop(ghost);
    assert!(before.wait(PATIENCE).await.unwrap().commit().is_some());
    assert!(after.wait(PATIENCE).await.unwrap().commit().is_some());
    let audit = Audit::of(&deployment.objects, "main").await;
    for n in 50..54 {
        assert_eq!(audit.ops[&op_id(n)].outcome, "failed", "op {n}");
    }
    audit.has_all([1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_of_a_newer_version_is_left_for_those_who_know_it() {
    let (deployment, onward) = Deployment::lake().await;
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut before = change(&onward, "main", 1).submit().await.unwrap();
    let element = format!("{}P\u{7f}from the future", op_id(50));
    let _: i64 = deployment.redis.command(&["RPUSH", &keys.queue, &element]);
    let mut after = change(&onward, "main", 2).submit().await.unwrap();
    drop(ghost);
    assert!(before.wait(PATIENCE).await.unwrap().commit().is_some());
    let waiting = after.wait(Duration::from_millis(300)).await.unwrap();
    assert!(matches!(waiting, Outcome::StillQueued { .. }), "{waiting:?}");
    let queue = onward.repo("lake").branch("main").queue(10).await.unwrap();
    assert_eq!((queue.depth, queue.ops[0].kind), (2, "newer"));
    // Somebody who knows it decides it: here, by taking it away.
    let _: String = deployment.redis.command(&["LPOP", &keys.queue]);
    commit(&onward, "main", 3).await;
    assert!(after.wait(PATIENCE).await.unwrap().commit().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_was_called_off_leaves_the_branch_alone() {
    let (deployment, onward) = Deployment::lake().await;
    commit(&onward, "main", 1).await;
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let main = onward.repo("lake").branch("main");
    let deleting = {
        let main = main.clone();
        tokio::spawn(async move { main.delete().await })
    };
    until_async("the delete is queued", async || main.queue(1).await.unwrap().depth == 1).await;
    let delete = main.queue(1).await.unwrap().ops[0].op_id;
    main.ticket_cancel(delete).await.unwrap();
    drop(ghost);
    assert!(deleting.await.unwrap().is_err());
    commit(&onward, "main", 2).await;
    Audit::of(&deployment.objects, "main").await.has_all([1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_and_the_end_of_a_branch_are_applied_and_make_no_commit() {
    let (deployment, onward) = Deployment::lake().await;
    let repo = onward.repo("lake");
    let dev = repo.branch("dev");
    dev.create(&RefExpr::plain("main")).await.unwrap();
    let mut events = dev.events(None).await.unwrap();
    commit(&onward, "dev", 1).await;
    dev.reset_to(&RefExpr::plain("main")).await.unwrap();
    let applied = |audit: &Audit| -> Vec<OpId> {
        let ops = audit.ops.iter().filter(|(_, decided)| decided.outcome == "applied");
        ops.map(|(op_id, _)| *op_id).collect()
    };
    let reset = applied(&Audit::of(&deployment.objects, "dev").await);
    let TicketStatus::Decided(told) = dev.ticket_status(reset[0]).await.unwrap() else { panic!() };
    assert!(matches!(*told, Outcome::Applied { .. }), "{told:?}");
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let event = events.next().await.unwrap().unwrap();
        if let Event::Outcome { outcome, commit, .. } = event {
            heard.push((outcome, commit.is_some()));
        }
    }
    assert_eq!(heard, [("committed", true), ("applied", false)]);
    dev.delete().await.unwrap();
    assert_eq!(applied(&Audit::of(&deployment.objects, "dev").await).len(), 2);
}
