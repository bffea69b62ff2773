//! A storage that was put back from a copy under a Redis that knew it before: told by everybody who
//! looks, and mended by a recovery that names what is lost.

use futures::TryStreamExt;
use onward::internals::objects::Objects;
use onward::internals::repo::recover::{Recovered, RecoveredState};
use onward::internals::repo::verify::FindingKind;
use onward::{ErrorKind, Onward, Outcome};

use super::{change, commit, try_commit};
use crate::support::branch::{Audit, Ghost, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::RedisServer;
use crate::support::until::PATIENCE;
use crate::support::verify::{sound, verify};

/// A copy of a storage as it is now.
async fn copy(objects: &Objects) -> Objects {
    let copy = Objects::open("memory://").unwrap();
    let listed: Vec<_> = objects.list("", None).try_collect().await.unwrap();
    for object in listed {
        let bytes = objects.get(&object.key).await.unwrap().unwrap();
        copy.put(&object.key, bytes).await.unwrap();
    }
    copy
}

async fn recover(onward: &Onward) -> Recovered {
    let mut all = onward.repo("lake").recover().await.unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// What was given up, by op.
fn given_up(recovered: &Recovered) -> Vec<(onward::OpId, bool)> {
    recovered.given_up.iter().map(|op| (op.op_id, op.commit.is_some())).collect()
}

/// A deployment whose storage was put back to before ops 3 to 5, and on which another Redis has
/// decided ops `others` since.
async fn put_back(others: impl IntoIterator<Item = usize>) -> (Deployment, Deployment) {
    let (before, onward) = Deployment::lake().await;
    for n in 0..3 {
        commit(&onward, "main", n).await;
    }
    let objects = copy(&before.objects).await;
    for n in 3..6 {
        commit(&onward, "main", n).await;
    }
    let main = onward.repo("lake").branch("main");
    main.stage_put("staged".parse().unwrap(), entry(90), None).await.unwrap();
    let first = Deployment { redis: before.redis, objects: objects.clone() };
    let second = Deployment { redis: RedisServer::new(), objects };
    let onward = second.connect().await;
    for n in others {
        commit(&onward, "main", n).await;
    }
    (first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_of_another_history_is_told_by_all_and_rebuilt_by_recovery() {
    // As long as the lost history, shorter, longer.
    for others in [10..13, 10..12, 10..17] {
        let (first, second) = put_back(others.clone()).await;
        let onward = first.connect().await;
        let main = onward.repo("lake").branch("main");
        let read = main.show().await.unwrap_err();
        assert_eq!(read.kind(), ErrorKind::Corrupt, "{read}");
        let refused = try_commit(&onward, "main", 20).await;
        assert!(!matches!(refused, Ok(Outcome::Committed { .. })), "{refused:?}");
        let (findings, _) = verify(&onward).await;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].advice.contains("onward recover"), "{findings:?}");
        let recovered = recover(&first.connect().await).await;
        assert_eq!(recovered.state, RecoveredState::Parted);
        assert_eq!(given_up(&recovered), [3, 4, 5].map(|n| (op_id(n), true)));
        let onward = first.connect().await;
        sound(&onward).await;
        assert_eq!(recover(&onward).await.state, RecoveredState::Intact);
        commit(&onward, "main", 21).await;
        commit(&second.connect().await, "main", 22).await;
        // What was given up is submitted again under its id, and is not taken for decided.
        commit(&onward, "main", 4).await;
        let done = (0..3).chain(others).chain([21, 22, 4]);
        Audit::of(&first.objects, "main").await.has_all(done);
        let staged = onward.repo("lake").branch("main").commit_staged().commit().await.unwrap();
        assert!(staged.commit().is_some(), "what was staged is still there: {staged:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_of_two_histories_of_one_length_are_told_apart() {
    let (first, _second) = put_back(10..13).await;
    let onward = first.connect().await;
    let (findings, _) = verify(&onward).await;
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(finding.kind, FindingKind::Inconsistent);
    assert_eq!(finding.key, keys(&first.objects, "main").await.head);
    let told = onward.repo("lake").branch("main").show().await.unwrap_err();
    assert!(told.message().contains("onward recover lake"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_off_leaves_nothing_in_redis_that_it_does_not_have() {
    let (first, _second) = put_back([]).await;
    let (findings, _) = verify(&first.connect().await).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].kind, FindingKind::Missing);
    let recovered = recover(&first.connect().await).await;
    assert_eq!(recovered.state, RecoveredState::Parted);
    assert_eq!(given_up(&recovered), [3, 4, 5].map(|n| (op_id(n), true)));
    let onward = first.connect().await;
    commit(&onward, "main", 4).await;
    sound(&onward).await;
    Audit::of(&first.objects, "main").await.has_all([0, 1, 2, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_on_a_redis_of_another_history_is_decided_on_the_right_one() {
    let (before, onward) = Deployment::lake().await;
    commit(&onward, "main", 0).await;
    let objects = copy(&before.objects).await;
    commit(&onward, "main", 1).await;
    let ghost = Ghost::haunt(&before.redis, &keys(&before.objects, "main").await);
    change(&onward, "main", 2).submit().await.unwrap();
    let main = onward.repo("lake").branch("main");
    main.stage_put("sealed".parse().unwrap(), entry(90), None).await.unwrap();
    main.commit_staged().op_id(op_id(3)).submit().await.unwrap();
    onward.close().await;
    drop(ghost);
    let first = Deployment { redis: before.redis, objects: objects.clone() };
    let second = Deployment { redis: RedisServer::new(), objects };
    commit(&second.connect().await, "main", 10).await;
    let onward = first.connect().await;
    let recovered = recover(&onward).await;
    assert_eq!((recovered.state, recovered.queued), (RecoveredState::Parted, 0));
    assert_eq!(given_up(&recovered), [(op_id(1), true)]);
    let main = onward.repo("lake").branch("main");
    for op in [2, 3] {
        let outcome = main.ticket_wait(op_id(op), PATIENCE).await.unwrap();
        assert!(outcome.commit().is_some(), "op {op}: {outcome:?}");
    }
    Audit::of(&first.objects, "main").await.has_all([0, 10, 2, 3]);
    sound(&onward).await;
}
