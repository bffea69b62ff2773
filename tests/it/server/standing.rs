//! Queues that stand: a sidecar finds those that others have left, and shows them as long as they do.

use std::sync::Arc;

use onward::Onward;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;

use crate::support::branch::{Audit, Ghost, keys, op_id};
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::RedisServer;
use crate::support::sidecar::{Sidecar, told};
use crate::support::until::until_async;

/// Has an op accepted by a process that goes away before it is decided.
async fn leave(deployment: &Deployment, onward: Onward) {
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let change = onward.repo("lake").branch("main").change().put("left", entry(1));
    change.op_id(op_id(1)).submit().await.unwrap();
    onward.close().await;
    drop(ghost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_shows_and_decides_what_others_have_left() {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://");
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let first = deployment.connect().await;
    first.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    leave(&deployment, first).await;
    let sidecar = {
        let onward = deployment.connect().await;
        Sidecar::over(deployment, onward, |_| {
            store.fail_next_at(Op::Create, "/log/", 10_000, Fault::Outage)
        })
        .await
    };
    let series = |line: &'static str| {
        let sidecar = &sidecar;
        async move {
            let (_, text) = told(sidecar.plain("GET", "/metrics")).await;
            text.as_str().unwrap().lines().any(|shown| shown.starts_with(line))
        }
    };
    until_async("it is shown", || series("onward_queue_depth{repo=\"lake\",branch=\"main\"} 1"))
        .await;
    assert!(series("onward_queue_oldest_seconds{repo=\"lake\",branch=\"main\"} ").await);
    store.heal();
    until_async("it is decided", || series("onward_queue_depth{repo=\"lake\",branch=\"main\"} 0"))
        .await;
    Audit::of(&sidecar.deployment.objects, "main").await.has_all([1]);
}
