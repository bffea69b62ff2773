//! Redis away for longer than one call is patient.

use std::time::Duration;

use onward::{ErrorKind, Onward};

use crate::support::branch::op_id;
use crate::support::lake::{Deployment, entry};

#[tokio::test(flavor = "multi_thread")]
async fn commits_and_merges_outlast_an_outage_of_redis() {
    let (mut deployment, _) = Deployment::lake().await;
    let mut config = deployment.config();
    config.lanes.patience = Duration::from_millis(100);
    let connect = || Onward::with_objects(config.clone(), deployment.objects.clone());
    let warm = connect().await.unwrap();
    let main = warm.repo("lake").branch("main");
    main.change().op_id(op_id(1)).put("a", entry(1)).commit().await.unwrap();
    let side = warm.repo("lake").branch("side");
    side.create(&"main".parse().unwrap()).await.unwrap();
    side.change().put("b", entry(2)).commit().await.unwrap();
    // One more that has never heard of the branch.
    let fresh = connect().await.unwrap();
    let fresh_main = fresh.repo("lake").branch("main");

    deployment.redis.stop();
    let change = main.change().op_id(op_id(3)).put("c", entry(3));
    let first = tokio::spawn(change.commit());
    let change = fresh_main.change().op_id(op_id(4)).put("d", entry(4));
    let second = tokio::spawn(change.commit());
    let merge = main.merge("side".parse().unwrap()).op_id(op_id(5));
    let third = tokio::spawn(merge.commit());
    // Whoever cannot wait is told in time, and under which id to ask again.
    let hurried = main.change().op_id(op_id(6)).put("e", entry(6));
    let error = hurried.timeout(Duration::from_millis(300)).commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(&op_id(6).to_string()), "{error}");
    // By then a call had run out of patience.
    assert!(!first.is_finished() && !second.is_finished() && !third.is_finished());
    deployment.redis.start();
    for task in [first, second, third] {
        let outcome = task.await.unwrap().unwrap();
        assert!(outcome.commit().is_some(), "{outcome:?}");
    }
    for path in ["a", "b", "c", "d"] {
        let found = warm.repo("lake").stat(&"main".parse().unwrap(), &path.parse().unwrap()).await;
        assert!(found.is_ok(), "{path}: {found:?}");
    }
}
