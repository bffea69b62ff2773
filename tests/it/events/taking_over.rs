//! Nothing is lost where who delivers dies, Redis forgets, or two deliver at once.

use onward::internals::commit::faults::Faults;
use onward::internals::coord::lease::Lease;
use onward::internals::objects::Objects;
use onward_server::sinks::NewSink;

use super::receiver::{Receiver, Reply, distinct, in_order};
use super::{Deliverer, commit, webhook};
use crate::support::lake::Deployment;
use crate::support::until::until_async;
use crate::support::worker::Worker;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_and_not_noted_comes_again_under_its_id() {
    let (deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let faults = Faults::default();
    let deliverer = Deliverer::start(&deployment.connect_with(faults.clone()).await);
    deliverer.add(webhook(&receiver.url)).await;
    faults.set("sink-delivered=error").unwrap();
    commit(&main, 0).await;
    let got = receiver.until("it came twice", |got| got.len() == 2).await;
    assert_eq!(got[0].id(), got[1].id());
    commit(&main, 1).await;
    in_order(&receiver.until_events(2).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_is_followed_by_another_that_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    let objects = Objects::open(&url).unwrap();
    let deployment = Deployment { objects, ..Deployment::new() };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let sinks = Deliverer::start(&onward);
    sinks.add(webhook(&receiver.url)).await;
    sinks.end().await;
    let redis = deployment.redis.url();
    // The first dies with what it has delivered, not noted; the second right behind noting it.
    for (round, point) in ["sink-delivered=kill@2", "sink-noted=kill@2"].into_iter().enumerate() {
        let variables = [
            ("ONWARD_REDIS", redis.as_str()),
            ("ONWARD_STORAGE", &url),
            ("ONWARD_FAILPOINTS", point),
        ];
        let mut worker = Worker::start("deliver", &variables);
        let mut n = round * 1000;
        until_async("the process is killed", || {
            n += 1;
            let (main, is_over) = (main.clone(), worker.ended().is_some());
            async move {
                commit(&main, n).await;
                is_over
            }
        })
        .await;
    }
    let last = Deliverer::start(&onward);
    let done = main.show().await.unwrap().done as usize;
    // All but the first commit of the repository, which was before the sink.
    let got = receiver.until_events(done - 1).await;
    in_order(&got);
    let commits: Vec<_> = distinct(&got).iter().filter_map(|got| got.place().1).collect();
    assert_eq!(commits, (2..=done as u64).collect::<Vec<_>>());
    last.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_costs_no_event() {
    let (mut deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let deliverer = Deliverer::start(&onward);
    deliverer.add(webhook(&receiver.url)).await;
    for n in 0..3 {
        commit(&main, n).await;
    }
    receiver.until_events(3).await;
    receiver.answers(|_| Reply::Status(500));
    for n in 3..6 {
        commit(&main, n).await;
    }
    receiver.until_events(4).await;
    deployment.redis.kill9();
    deployment.redis.wipe();
    deployment.redis.start();
    receiver.answers(|_| Reply::Status(200));
    let got = receiver.until_events(6).await;
    in_order(&got);
    for n in 6..9 {
        commit(&main, n).await;
    }
    in_order(&receiver.until_events(9).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_could_deliver_one_does_and_the_other_follows_it() {
    let (deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let first = Deliverer::start(&onward);
    first.add(webhook(&receiver.url)).await;
    let second = Deliverer::start(&deployment.connect().await);
    for n in 0..20 {
        commit(&main, n).await;
    }
    let got = receiver.until_events(20).await;
    in_order(&got);
    first.end().await;
    for n in 20..40 {
        commit(&main, n).await;
    }
    let got = receiver.until_events(40).await;
    in_order(&got);
    second.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_both_believe_to_deliver_leave_no_gap_and_one_of_them_gives_way() {
    let (deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let first = Deliverer::start(&onward);
    first.add(webhook(&receiver.url)).await;
    commit(&main, 0).await;
    receiver.until_events(1).await;
    let second = Deliverer::start(&deployment.connect().await);
    let repo = onward.repo("lake");
    let (life, sinks) = repo.sinks().await.unwrap();
    let key = format!("onward:{{lake}}:sink:{}:lease", sinks[0].own_name());
    let mut n = 0;
    // Whoever has the lease loses it without being told, until the other one has taken over more than once.
    while repo.sink_progress(&life, &sinks[0]).await.unwrap().unwrap().epoch < 4 {
        deployment.redis.command::<u64>(&["DEL", &key]);
        for _ in 0..10 {
            n += 1;
            commit(&main, n).await;
        }
        receiver.until_events(n + 1).await;
    }
    in_order(&receiver.until_events(n + 1).await);
    until_async("one of them has noted all of it", || async {
        let progress = repo.sink_progress(&life, &sinks[0]).await.unwrap().unwrap();
        progress.followed[0].next.0 == n as u64 + 3
    })
    .await;
    drop((first, second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_one_holders_until_it_leaves_or_is_lost() {
    let (deployment, onward) = Deployment::lake().await;
    let lease = |holder: &str| {
        let lanes = onward.coordinator().lanes().clone();
        let length = std::time::Duration::from_secs(60);
        Lease::of_sink(lanes, &super::lake(), "audit", holder.to_owned(), length)
    };
    let (one, two) = (lease("one"), lease("two"));
    assert!(one.take().await.unwrap());
    assert!(one.take().await.unwrap(), "the same call, made again");
    assert!(!two.take().await.unwrap() && !two.keep().await.unwrap());
    two.leave().await.unwrap();
    assert!(one.keep().await.unwrap(), "only its holder can leave it");
    deployment.redis.command::<String>(&["FLUSHALL"]);
    assert!(one.keep().await.unwrap(), "one that Redis lost is taken again");
    one.leave().await.unwrap();
    assert!(two.keep().await.unwrap());
    assert!(!one.keep().await.unwrap());
    // What a process writes that slept through its lease is refused.
    let receiver = Receiver::start().await;
    let deliverer = Deliverer::start(&onward);
    deliverer.add(NewSink { id: Some("fenced".into()), ..webhook(&receiver.url) }).await;
    let repo = onward.repo("lake");
    let (life, sinks) = repo.sinks().await.unwrap();
    let mut slept = repo.progress_record(&life, &sinks[0]);
    let before = slept.read().await.unwrap().unwrap();
    until_async("somebody has taken over", || async {
        repo.sink_progress(&life, &sinks[0]).await.unwrap().unwrap().epoch > before.epoch
    })
    .await;
    let changed = onward::internals::repo::sinks::Progress { delivered: 99, ..before };
    assert!(!slept.write(&changed).await.unwrap());
}
