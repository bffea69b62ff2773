//! What a commit has sealed when it is called off, repeated, or lost with Redis. The model
//! (`tests/it/model`) found these.

use onward::internals::commit::faults::Faults;
use onward::internals::repo::TicketHandle;
use onward::{Error, ErrorKind, ObjectPath, Onward, Outcome, RefExpr};

use super::change;
use crate::support::branch::{Audit, Ghost, Snapshot, context, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::until::{PATIENCE, until_async};

/// One round on what Redis shows at this moment, without taking the turn.
async fn round(onward: &Onward, deployment: &Deployment) -> impl Future<Output = ()> + use<> {
    let context = context(onward, &deployment.objects, "main").await;
    let view = context.look(1024).await.unwrap().given().unwrap();
    async move {
        let _ = context.round(view, None, 0).await.unwrap();
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
    let ErrorKind::TooManySealed { retry_after: Some(_) } = refused.kind() else {
        panic!("{refused:?}")
    };
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
async fn areas_that_were_all_given_back_are_not_waited_for() {
    let (deployment, onward) = Deployment::lake().await;
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let main = onward.repo("lake").branch("main");
    let mut called_off = Vec::new();
    for n in 0..2 {
        main.stage_put(format!("q{n}").parse().unwrap(), entry(n), None).await.unwrap();
        called_off.push(main.commit_staged().submit().await.unwrap());
    }
    for handle in &called_off {
        handle.cancel().await.unwrap();
    }
    drop(ghost);
    for handle in &mut called_off {
        assert_eq!(handle.wait(PATIENCE).await.unwrap().name(), "cancelled");
    }
    let mut config = deployment.config();
    config.coordinator.queue.limits.sealed = 2;
    let full = Onward::with_objects(config, deployment.objects.clone()).await.unwrap();
    main.stage_put("more".parse().unwrap(), entry(9), None).await.unwrap();
    let refused = full.repo("lake").branch("main").commit_staged().submit().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooManySealed { retry_after: None });
    assert!(!refused.is_retryable() && refused.message().contains("reset"), "{refused}");
}
