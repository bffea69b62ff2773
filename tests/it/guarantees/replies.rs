//! Requests and replies that get lost or double on the way to Redis.

use std::time::Duration;

use onward::internals::commit::faults::Faults;
use onward::internals::coord::Lanes;
use onward::internals::coord::script::{EXTEND, PUBLISH, STAGE, STATUS, SUBMIT, Script, VIEW};
use onward::internals::tree::ListRequest;
use onward::{Onward, RefExpr};

use super::{change, commit, commit_all};
use crate::support::branch::{Audit, free_turn, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::relay::{Hit, Relay};
use crate::support::until::{PATIENCE, until_async};

const HITS: [Hit; 3] = [Hit::LoseReply, Hit::LoseRequest, Hit::Duplicate];

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_of_submit_or_publish_makes_exactly_one_commit() {
    let (deployment, _) = Deployment::lake().await;
    let relay = Relay::start(&deployment.redis.url()).await;
    let onward = deployment.connect_over(&relay.url(), Faults::default()).await;
    let mut n = 0;
    for script in [&SUBMIT, &PUBLISH] {
        for hit in HITS {
            for nth in 1..=2 {
                relay.hit(script.sha(), nth, hit);
                for _ in 0..nth {
                    n += 1;
                    let outcome = commit(&onward, "main", n).await;
                    let audit = Audit::of(&deployment.objects, "main").await;
                    assert_eq!(outcome.commit(), audit.commit(n), "{} {hit:?}", script.name);
                }
                assert_eq!(relay.pending(), 0, "{} {hit:?} was met", script.name);
            }
        }
    }
    Audit::of(&deployment.objects, "main").await.has_all(1..=n);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_of_any_script_under_competition_makes_exactly_one_commit() {
    let (deployment, direct) = Deployment::lake().await;
    let relay = Relay::start(&deployment.redis.url()).await;
    let onward = deployment.connect_over(&relay.url(), Faults::default()).await;
    let keys = keys(&deployment.objects, "main").await;
    let scripts: [&Script; 4] = [&VIEW, &SUBMIT, &PUBLISH, &STATUS];
    let mut n = 0;
    for hit in HITS {
        // Not everything is asked in every run: what is met is met.
        for script in scripts {
            relay.hit(script.sha(), 1, hit);
        }
        relay.hit("xread", 1, hit);
        for _ in 0..4 {
            let ops = n + 1..n + 21;
            n += 20;
            commit_all(&[onward.clone(), direct.clone()], "main", ops).await;
        }
        // A turn of somebody else makes sure that the branch is looked at.
        let _: i64 =
            deployment.redis.command(&["HSET", &keys.head, "turn", "g", "turn_until", "1"]);
        free_turn(&deployment.redis, &keys);
    }
    let audit = Audit::of(&deployment.objects, "main").await;
    audit.has_all(1..=n);
    let _ = EXTEND.sha();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_of_a_staged_write_leaves_it_staged_once() {
    let (deployment, _) = Deployment::lake().await;
    let relay = Relay::start(&deployment.redis.url()).await;
    let onward = deployment.connect_over(&relay.url(), Faults::default()).await;
    let main = onward.repo("lake").branch("main");
    for (n, hit) in HITS.into_iter().enumerate() {
        for condition in [None, Some(onward::internals::model::change::Condition::Absent)] {
            let path = format!("s/{n}/{}", condition.is_some());
            relay.hit(STAGE.sha(), 1, hit);
            main.stage_put(path.parse().unwrap(), entry(n), condition).await.unwrap();
            assert_eq!(relay.pending(), 0);
        }
    }
    assert_eq!(main.status("", None, 100).await.unwrap().len(), 6);
    relay.hit(SUBMIT.sha(), 1, Hit::LoseReply);
    let outcome = main.commit_staged().op_id(op_id(1)).commit().await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    assert_eq!(main.status("", None, 100).await.unwrap().len(), 0);
    let request = ListRequest::default();
    let page = onward.repo("lake").list(&RefExpr::plain("main"), &request).await.unwrap();
    assert_eq!(page.items.len(), 6);
    assert_eq!(Audit::of(&deployment.objects, "main").await.ops.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_again_and_again_stops_nobody() {
    let (deployment, _) = Deployment::lake().await;
    let relay = Relay::start(&deployment.redis.url()).await;
    let onward = deployment.connect_over(&relay.url(), Faults::default()).await;
    let work = tokio::spawn(async move { commit_all(&[onward], "main", 1..201).await });
    let requests = relay.requests();
    for cut in 1..=5 {
        until_async("some more requests came", || async {
            work.is_finished() || relay.requests() > requests + cut * 2
        })
        .await;
        relay.cut();
    }
    work.await.unwrap();
    Audit::of(&deployment.objects, "main").await.has_all(1..201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_opens_a_connection_does_not_wait_for_the_keeping_of_its_own_turn() {
    let (deployment, _) = Deployment::lake().await;
    let relay = Relay::start(&deployment.redis.url()).await;
    let mut config = deployment.config();
    // Longer than the time after which a round keeps its turn.
    config.lanes.connect_timeout = Duration::from_millis(400);
    let lanes = Lanes::open(&relay.url(), config.lanes.clone()).await.unwrap();
    let objects = deployment.objects.clone();
    let onward = Onward::assemble(config, lanes, objects, Faults::default());
    relay.hit(PUBLISH.sha(), 1, Hit::BreakAndStall);
    let mut handle = change(&onward, "main", 1).submit().await.unwrap();
    until_async("the connection breaks", || async { relay.pending() == 0 }).await;
    let connections = relay.connections();
    until_async("it tries again and again", || async { relay.connections() > connections + 2 })
        .await;
    relay.flow();
    assert!(handle.wait(PATIENCE).await.unwrap().commit().is_some());
    Audit::of(&deployment.objects, "main").await.has_all([1]);
}
