//! A branch that Redis, or a process, knows otherwise than the object store: deleted, made again, or put
//! back to life by a Redis that went back in time.

use onward::ErrorKind;

use super::{change, commit};
use crate::support::branch::{Audit, Snapshot};
use crate::support::lake::{Deployment, entry};

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_made_again_is_found_by_who_knew_the_old_one() {
    let (deployment, knows) = Deployment::lake().await;
    commit(&knows, "main", 1).await;
    let other = deployment.connect().await;
    let again = async || {
        other.repo("lake").delete().await.unwrap();
        other.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    };
    let main = knows.repo("lake").branch("main");

    again().await;
    let shown = main.show().await.unwrap();
    assert_eq!((shown.done, shown.commit.is_some()), (1, true), "the first commit of the new one");

    again().await;
    main.stage_put("s".parse().unwrap(), entry(1), None).await.unwrap();
    assert_eq!(main.status("", None, 10).await.unwrap().len(), 1);

    again().await;
    commit(&knows, "main", 2).await;
    Audit::of(&deployment.objects, "main").await.has_all([2]);

    other.repo("lake").delete().await.unwrap();
    for error in [
        main.show().await.unwrap_err(),
        main.stage_put("s".parse().unwrap(), entry(1), None).await.unwrap_err(),
        change(&knows, "main", 3).commit().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_a_redis_gone_back_shows_alive_takes_nothing_any_more() {
    let (deployment, onward) = Deployment::lake().await;
    let gone = onward.repo("lake").branch("gone");
    gone.create(&"main".parse().unwrap()).await.unwrap();
    let before = Snapshot::take(&deployment.redis);
    gone.delete().await.unwrap();
    before.put_back(&deployment.redis);

    let fresh = deployment.connect().await;
    let seen = fresh.repo("lake").branch("gone");
    let error = seen.stage_put("s".parse().unwrap(), entry(1), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let error = change(&fresh, "gone", 1).commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    gone.create(&"main".parse().unwrap()).await.unwrap();
    commit(&fresh, "gone", 1).await;
}
