//! What a commit has sealed when it is called off, repeated, or lost with Redis. The model
//! (`tests/it/model`) found these.

use onward::internals::commit::faults::Faults;
use onward::internals::commit::round::run::{Begin, OneByOne};
use onward::internals::coord::script::SUBMIT;
use onward::internals::repo::TicketHandle;
use onward::{Error, ErrorKind, ObjectPath, Onward, Outcome, RefExpr};

use super::change;
use crate::support::branch::{Audit, Ghost, Snapshot, context, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::relay::{Hit, Relay};
use crate::support::until::{PATIENCE, until_async};

/// One round on what Redis shows at this moment, without taking the turn.
async fn round(onward: &Onward, deployment: &Deployment) -> impl Future<Output = ()> + use<> {
    let context = context(onward, &deployment.objects, "main").await;
    let view = context.look(1024).await.unwrap().given().unwrap();
    async move {
        let _ = context.round(Begin::View(view, None), 0, &OneByOne).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_back_does_not_undo_a_newer_write_whoever_takes_it() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let paths: [ObjectPath; 2] = ["p", "q"].map(|path| path.parse().unwrap());
    let [path, other] = &paths;
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    main.stage_put(path.clone(), entry(1), None).await.unwrap();
    main.stage_put(other.clone(), entry(1), None).await.unwrap();
    let mut first = main.commit_staged().message("called off").submit().await.unwrap();
    first.cancel().await.unwrap();
    let round = round(&onward, &deployment).await;
    main.stage_put(path.clone(), entry(2), None).await.unwrap();
    let mut second = main.commit_staged().message("newer").submit().await.unwrap();
    // The first is decided, and gives back what it had, while the second is in the queue.
    round.await;
    let mut third =
        main.commit_staged().message("takes what was given back").submit().await.unwrap();
    drop(ghost);
    assert_eq!(first.wait(PATIENCE).await.unwrap().name(), "cancelled");
    assert!(second.wait(PATIENCE).await.unwrap().commit().is_some());
    assert!(third.wait(PATIENCE).await.unwrap().commit().is_some());
    let lake = onward.repo("lake");
    let head = RefExpr::plain("main");
    assert_eq!(lake.stat(&head, path).await.unwrap(), entry(2), "the newer write stands");
    assert_eq!(lake.stat(&head, other).await.unwrap(), entry(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_staging_area_redis_has_lost_has_the_outcome_that_the_log_has() {
    let (deployment, _) = Deployment::lake().await;
    let submitters = Faults::default();
    submitters.set("view=pause:700").unwrap();
    let submitter = deployment.connect_with(submitters).await;
    let late = Faults::default();
    late.set("decide=pause:2500").unwrap();
    let late = deployment.connect_with(late).await;
    let main = submitter.repo("lake").branch("main");
    main.stage_put("p".parse().unwrap(), entry(1), None).await.unwrap();
    let mut handle = main.commit_staged().op_id(op_id(1)).submit().await.unwrap();
    // Somebody else has read what was sealed, and is late with deciding it.
    let round = tokio::spawn(round(&late, &deployment).await);
    until_async("the sealed area is read", || async {
        late.coordinator().lanes().calls().get("staged").is_some_and(|calls| *calls >= 2)
    })
    .await;
    let _: String = deployment.redis.command(&["FLUSHALL"]);
    let outcome = handle.wait(PATIENCE).await.unwrap();
    round.await.unwrap();
    let audit = Audit::of(&deployment.objects, "main").await;
    assert_eq!(audit.commit(1), outcome.commit(), "{outcome:?}");
    assert_eq!(audit.ops[&op_id(1)].outcome, outcome.name());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staged_commit_that_is_repeated_after_a_loss_has_its_first_outcome() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let before = Snapshot::take(&deployment.redis);
    main.stage_put("p".parse().unwrap(), entry(1), None).await.unwrap();
    let commit = async || main.commit_staged().op_id(op_id(1)).commit().await.unwrap();
    let first = commit().await;
    assert!(first.commit().is_some(), "{first:?}");
    before.put_back(&deployment.redis);
    assert_eq!(commit().await.commit(), first.commit());
    // One that never was anything else has nothing to commit, and its id says so from then on.
    let empty = main.commit_staged().op_id(op_id(2)).commit().await.unwrap();
    assert!(matches!(empty, Outcome::NoChanges { .. }), "{empty:?}");
    assert_eq!(main.commit_staged().op_id(op_id(2)).commit().await.unwrap().name(), empty.name());
}

/// One more staged commit than may wait, on a branch of which `limit` may.
async fn one_too_many(deployment: &Deployment, limit: u64) -> (Onward, Vec<TicketHandle>, Error) {
    let mut config = deployment.config();
    config.coordinator.queue.limits.sealed = limit;
    let onward = Onward::with_objects(config, deployment.objects.clone()).await.unwrap();
    let main = onward.repo("lake").branch("main");
    let mut waiting = Vec::new();
    for n in 0..limit as usize {
        main.stage_put(format!("p{n}").parse().unwrap(), entry(n), None).await.unwrap();
        waiting.push(main.commit_staged().submit().await.unwrap());
    }
    main.stage_put("more".parse().unwrap(), entry(9), None).await.unwrap();
    let refused = main.commit_staged().submit().await.unwrap_err();
    (onward, waiting, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn more_sealed_areas_than_may_wait_are_refused_as_that_and_not_as_a_full_queue() {
    let (deployment, _) = Deployment::lake().await;
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let (onward, mut waiting, refused) = one_too_many(&deployment, 2).await;
    let ErrorKind::TooManySealed { .. } = refused.kind() else { panic!("{refused:?}") };
    assert!(refused.is_retryable() && refused.message().contains("2 staged commits"), "{refused}");
    // The queue is not full: what brings its own changes goes in.
    let mut own = change(&onward, "main", 1).submit().await.unwrap();
    drop(ghost);
    for handle in waiting.iter_mut().chain([&mut own]) {
        assert!(handle.wait(PATIENCE).await.unwrap().commit().is_some());
    }
    let main = onward.repo("lake").branch("main");
    assert!(main.commit_staged().commit().await.unwrap().commit().is_some(), "it stayed staged");
}

#[tokio::test(flavor = "multi_thread")]
async fn staged_commits_that_were_called_off_leave_a_way_on_that_loses_nothing() {
    const LIMIT: usize = 3;
    let (deployment, onward) = Deployment::lake().await;
    let mut config = deployment.config();
    config.coordinator.queue.limits.sealed = LIMIT as u64;
    let full = Onward::with_objects(config, deployment.objects.clone()).await.unwrap();
    let main = full.repo("lake").branch("main");
    let keys = keys(&deployment.objects, "main").await;
    let stage = async |path: &str, n: usize| {
        main.stage_put(path.parse().unwrap(), entry(n), None).await.unwrap();
    };
    // Many more are called off than there may be areas, each with a path of its own and a newer
    // value of one that all have.
    for n in 0..4 * LIMIT {
        let ghost = Ghost::haunt(&deployment.redis, &keys);
        stage(&format!("q{n:02}"), n).await;
        stage("all", 100 + n).await;
        let mut handle = main.commit_staged().submit().await.unwrap();
        handle.cancel().await.unwrap();
        drop(ghost);
        assert_eq!(handle.wait(PATIENCE).await.unwrap().name(), "cancelled");
        // What is uncommitted is seen all the time.
        assert_eq!(main.status("", None, 100).await.unwrap().len(), n + 2);
        let head = RefExpr::plain("main");
        for (path, n) in [("q00".to_owned(), 0), (format!("q{n:02}"), n), ("all".into(), 100 + n)] {
            let found = full.repo("lake").stat(&head, &path.parse().unwrap()).await.unwrap();
            assert_eq!(found, entry(n));
        }
    }
    stage("more", 50).await;
    let outcome = main.commit_staged().commit().await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    assert!(main.status("", None, 100).await.unwrap().is_empty(), "nothing is left behind");
    let stat = async |path: &str| {
        let path = path.parse().unwrap();
        onward.repo("lake").stat(&RefExpr::plain("main"), &path).await.unwrap()
    };
    for n in 0..4 * LIMIT {
        assert_eq!(stat(&format!("q{n:02}")).await, entry(n));
    }
    assert_eq!(stat("all").await, entry(100 + 4 * LIMIT - 1), "the newest value stands");
    assert_eq!(stat("more").await, entry(50));
}

/// A commit of what is staged that was accepted, from a process that sees it through, and a Redis that
/// has lost everything since.
async fn lost_while_it_waits(deployment: &Deployment, stages: bool) -> TicketHandle {
    let slow = Faults::default();
    slow.set("view=pause:700").unwrap();
    let main = deployment.connect_with(slow).await.repo("lake").branch("main");
    if stages {
        main.stage_put("own".parse().unwrap(), entry(1), None).await.unwrap();
    }
    let handle = main.commit_staged().op_id(op_id(1)).submit().await.unwrap();
    let _: String = deployment.redis.command(&["FLUSHALL"]);
    handle
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staged_commit_whose_area_redis_lost_takes_nothing_of_others() {
    let (deployment, other) = Deployment::lake().await;
    let mut handle = lost_while_it_waits(&deployment, true).await;
    let main = other.repo("lake").branch("main");
    main.stage_put("theirs".parse().unwrap(), entry(2), None).await.unwrap();
    let outcome = handle.wait(PATIENCE).await.unwrap();
    let Outcome::Failed { reason, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("Redis lost what was staged"), "{reason}");
    let staged = main.status("", None, 10).await.unwrap();
    assert_eq!(staged.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["theirs"]);
    let theirs = main.commit_staged().op_id(op_id(2)).commit().await.unwrap();
    let audit = Audit::of(&deployment.objects, "main").await;
    assert_eq!((audit.commit(1), audit.commit(2)), (None, theirs.commit()));
    assert!(theirs.commit().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn that_nothing_was_staged_is_not_told_as_a_loss() {
    let (deployment, direct) = Deployment::lake().await;
    let relay = Relay::start(&deployment.redis.url()).await;
    let onward = deployment.connect_over(&relay.url(), Faults::default()).await;
    let main = onward.repo("lake").branch("main");
    for hit in [Hit::LoseRequest, Hit::LoseReply] {
        relay.hit(SUBMIT.sha(), 1, hit);
        let outcome = main.commit_staged().commit().await.unwrap();
        assert_eq!(outcome.name(), "no_changes", "{hit:?}: {outcome:?}");
        assert_eq!(relay.pending(), 0, "{hit:?} was met");
    }
    // The same where an op was accepted with nothing, and lost.
    let mut empty = lost_while_it_waits(&deployment, false).await;
    let main = direct.repo("lake").branch("main");
    main.stage_put("theirs".parse().unwrap(), entry(2), None).await.unwrap();
    assert_eq!(empty.wait(PATIENCE).await.unwrap().name(), "no_changes");
    assert_eq!(main.status("", None, 10).await.unwrap().len(), 1, "it stays staged");
}
