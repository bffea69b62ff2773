//! What a commit has sealed when it is called off, repeated, or lost with Redis. The model
//! (`tests/it/model`) found these.

use onward::commit::faults::Faults;
use onward::model::address::RefExpr;
use onward::model::path::ObjectPath;
use onward::{Onward, Outcome};

use crate::support::branch::{Audit, Ghost, Snapshot, context, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::until::{PATIENCE, until_async};

/// One round on what Redis shows at this moment, without taking the turn.
async fn round(onward: &Onward, deployment: &Deployment) -> impl Future<Output = ()> + use<> {
    let context = context(onward, &deployment.objects, "main").await;
    let view = context.look(1024).await.unwrap().unwrap();
    async move {
        context.round(view, None, 0).await.unwrap();
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
