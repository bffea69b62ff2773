//! A Redis that cannot accept writes: one clear refusal, and nothing lost.

use std::time::Duration;

use onward::internals::commit::faults::Faults;
use onward::internals::coord::Lanes;
use onward::internals::model::change::{Change, encode_value};
use onward::{ErrorKind, Onward, Outcome, RefExpr};

use super::{change, commit, try_commit};
use crate::support::branch::{Audit, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::{Listen, RedisServer};
use crate::support::until::{PATIENCE, until, until_async};

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_out_of_memory_refuses_new_ops_and_still_publishes_the_old() {
    let (deployment, bystander) = Deployment::lake().await;
    let faults = Faults::default();
    let onward = deployment.connect_with(faults.clone()).await;
    commit(&onward, "main", 1).await;
    faults.set("decide=pause:500").unwrap();
    let rounds = onward.counters().rounds;
    let mut handle = change(&onward, "main", 2).submit().await.unwrap();
    until_async("the round is under way", || async { onward.counters().rounds > rounds }).await;
    let _: String = deployment.redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = try_commit(&bystander, "main", 3).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().contains("out of memory"), "{refused}");
    assert!(refused.message().contains("nothing was done"), "{refused}");
    assert!(!refused.message().contains("doubt"), "{refused}");
    let outcome = handle.wait(PATIENCE).await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    let _: String = deployment.redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    commit(&bystander, "main", 3).await;
    Audit::of(&deployment.objects, "main").await.has_all(1..4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_told_from_a_primary_and_a_promoted_one_is_used() {
    let primary = RedisServer::with(Listen::Port, &["--appendonly", "no"]);
    let port = primary.port().to_string();
    let replica = RedisServer::with(Listen::Port, &["--replicaof", "127.0.0.1", &port]);
    until("the replica is in step", || {
        let info: String = replica.command(&["INFO", "replication"]);
        info.contains("master_link_status:up")
    });
    let deployment = Deployment::with(primary);
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    commit(&onward, "main", 1).await;
    let mut config = deployment.config();
    config.lanes.patience = Duration::from_millis(200);
    let lanes = Lanes::open(&replica.url(), config.lanes.clone()).await.unwrap();
    let misled = Onward::assemble(config, lanes, deployment.objects.clone(), Faults::default());
    until_async("the replica knows the branch", || async {
        let keys: Vec<String> = replica.command(&["KEYS", "*head"]);
        !keys.is_empty()
    })
    .await;
    let refused = try_commit(&misled, "main", 2).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().contains("replica"), "{refused}");
    let _: String = replica.command(&["REPLICAOF", "NO", "ONE"]);
    commit(&misled, "main", 2).await;
    // And the old primary, if it is still used, only follows.
    commit(&onward, "main", 3).await;
    Audit::of(&deployment.objects, "main").await.has_all(1..4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_with_too_few_replicas_is_waited_for() {
    let (deployment, onward) = Deployment::lake().await;
    commit(&onward, "main", 1).await;
    let _: String = deployment.redis.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let calls = || onward.coordinator().lanes().calls().get("submit").copied().unwrap_or(0);
    let before = calls();
    let waiting = tokio::spawn(change(&onward, "main", 2).timeout(PATIENCE).commit());
    until_async("it is tried again", || async { calls() > before + 2 }).await;
    let _: String = deployment.redis.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    let outcome = waiting.await.unwrap().unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    Audit::of(&deployment.objects, "main").await.has_all([1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_vain_is_told_what_redis_said() {
    let (deployment, onward) = Deployment::lake().await;
    commit(&onward, "main", 1).await;
    let _: String = deployment.redis.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let short = Duration::from_millis(300);
    let refused = change(&onward, "main", 2).timeout(short).commit().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().contains("min-replicas-to-write"), "{refused}");
    let _: String = deployment.redis.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    commit(&onward, "main", 3).await;
    assert_eq!(onward.coordinator().lanes().waits_for(), None, "nothing is waited for any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_refused_in_the_middle_of_a_script_is_named_and_nothing_is_lost() {
    let redis = RedisServer::with(Listen::Port, &[]);
    let rights =
        |more: &str| format!("ACL SETUSER limited reset on >secret ~onward:* +@all -@admin {more}");
    let allow = |redis: &RedisServer, more: &str| {
        let words = rights(more);
        let words: Vec<&str> = words.split_whitespace().collect();
        let _: String = redis.command(&words);
    };
    allow(&redis, "");
    let deployment = Deployment::with(redis);
    let mut config = deployment.config();
    config.redis = config.redis.replace("redis://", "redis://limited:secret@");
    let onward = Onward::with_objects(config, deployment.objects.clone()).await.unwrap();
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    commit(&onward, "main", 1).await;
    // The first write of the script is done by then.
    allow(&deployment.redis, "-xadd");
    let outcome = change(&onward, "main", 2).timeout(PATIENCE).commit().await.unwrap();
    let Outcome::StillQueued { cause: Some(cause), .. } = outcome else { panic!("{outcome:?}") };
    assert!(cause.contains("xadd") || cause.contains("may not do that"), "{cause}");
    let refused = onward.repo("lake").branch("main").delete().await.unwrap_err();
    assert!(refused.message().contains("may not do that"), "{refused}");
    allow(&deployment.redis, "");
    Audit::of(&deployment.objects, "main").await.has_all([1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn areas_that_were_given_back_make_room_for_the_next_one_in_small_steps() {
    const AREAS: usize = 4;
    const CHANGES: usize = 1200;
    let (deployment, _) = Deployment::lake().await;
    let mut config = deployment.config();
    config.coordinator.queue.limits.sealed = AREAS as u64;
    let onward = Onward::with_objects(config, deployment.objects.clone()).await.unwrap();
    let keys = keys(&deployment.objects, "main").await;
    let main = onward.repo("lake").branch("main");
    let path = |n: usize| format!("p{n:06}");
    for n in 0..AREAS {
        let area = op_id(1000 + n);
        let (values, paths) = keys.area(area);
        let mut fill = redis::pipe();
        for n in n * CHANGES..(n + 1) * CHANGES {
            let mut value = Vec::new();
            encode_value(&Change::Put(entry(n)), None, &mut value);
            fill.cmd("HSET").arg(&values).arg(path(n)).arg(value);
            fill.cmd("ZADD").arg(&paths).arg(0).arg(path(n));
        }
        fill.exec(&mut deployment.redis.connect()).unwrap();
        let given_back = format!("{area}{}", " ".repeat(36));
        let _: i64 = deployment.redis.command(&["RPUSH", &keys.sealed, &given_back]);
    }
    main.stage_put("a".parse().unwrap(), entry(1), None).await.unwrap();
    let outcome = main.commit_staged().commit().await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    // 500 changes a call: 1,200 take three, and one more teaches the server the script.
    let calls = onward.coordinator().lanes().calls();
    assert_eq!(calls.get("unite").copied(), Some(3 + 1), "{calls:?}");
    let head = RefExpr::plain("main");
    for n in [0, 1, CHANGES, AREAS * CHANGES - 1] {
        let found = onward.repo("lake").stat(&head, &path(n).parse().unwrap()).await.unwrap();
        assert_eq!(found, entry(n), "nothing that was given back is missing");
    }
    assert!(main.status("", None, 1).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_there_is_named() {
    let (mut deployment, onward) = Deployment::lake().await;
    commit(&onward, "main", 1).await;
    let mut config = deployment.config();
    config.lanes.patience = Duration::from_millis(200);
    deployment.redis.stop();
    let error = Onward::connect(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("redis.sock") && error.message().contains("--redis"));
    deployment.redis.start();
    commit(&onward, "main", 2).await;
    Audit::of(&deployment.objects, "main").await.has_all(1..3);
}
