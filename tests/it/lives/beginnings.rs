//! Repositories and branches that are made while Redis has no memory left.

use onward::{ErrorKind, RefExpr};

use super::{commits, content, create, in_order, put};
use crate::support::lake::Deployment;

fn memory(deployment: &Deployment, limit: &str) {
    deployment.redis.command::<String>(&["CONFIG", "SET", "maxmemory", limit]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_begun_without_memory_is_finished_by_the_next_try() {
    let deployment = Deployment::new();
    let onward = deployment.connect().await;
    for life in 0..2 {
        memory(&deployment, "1");
        let error = create(&onward).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains("create it again to finish it"), "{error}");
        memory(&deployment, "0");
        create(&onward).await.unwrap();
        assert_eq!(commits(&onward).await, 1, "life {life} has its first commit");
        let again = create(&onward).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict, "{again}");
        in_order(&deployment).await;
        onward.repo("lake").delete().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_was_made_without_memory_is_there() {
    let (deployment, onward) = Deployment::lake().await;
    put(&onward, "main", "a", 1).await.unwrap();
    let dev = onward.repo("lake").branch("dev");
    memory(&deployment, "1");
    dev.create(&RefExpr::plain("main")).await.unwrap();
    let again = dev.create(&RefExpr::plain("main")).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict, "{again}");
    memory(&deployment, "0");
    put(&deployment.connect().await, "dev", "b", 2).await.unwrap();
    let expected = [("a".into(), 1), ("b".into(), 2)];
    assert_eq!(content(&onward, "dev").await.unwrap(), expected);
    in_order(&deployment).await;
}
