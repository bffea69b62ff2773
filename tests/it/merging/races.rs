//! Merges that are overtaken while they wait, one story at a time.

use onward::internals::commit::op::merge::MergeLimits;
use onward::internals::repo::{LogRequest, MergeBuilder};
use onward::{Onward, Outcome, RefExpr, Retry, Strategy};

use crate::support::branch::{Audit, Ghost, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::until::PATIENCE;

/// Everything by the path of large merges, however small.
const AS_IF_LARGE: MergeLimits = MergeLimits { few: 0, beside_bytes: 0, crossings: 100_000 };

async fn lake_with(merge: MergeLimits) -> (Deployment, Onward) {
    let deployment = Deployment::new();
    let mut config = deployment.config();
    config.coordinator.lake.merge = merge;
    let onward = Onward::with_objects(config, deployment.objects.clone()).await.unwrap();
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    (deployment, onward)
}

async fn put(onward: &Onward, branch: &str, path: &str, n: usize) {
    let change = onward.repo("lake").branch(branch).change().put(path, entry(n));
    assert!(change.commit().await.unwrap().commit().is_some());
}

async fn fork(onward: &Onward, name: &str, from: &str) {
    onward.repo("lake").branch(name).create(&RefExpr::plain(from)).await.unwrap();
}

fn merge(onward: &Onward, from: &str) -> MergeBuilder {
    onward.repo("lake").branch("main").merge(RefExpr::plain(from))
}

async fn number(onward: &Onward, path: &str) -> Option<u64> {
    let main = RefExpr::plain("main");
    let found = onward.repo("lake").stat(&main, &path.parse().unwrap()).await;
    found.ok().map(|entry| entry.size)
}

async fn haunt(deployment: &Deployment) -> Ghost {
    Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await)
}

/// A change that both sides had made when the merge was worked out, and that the destination then
/// made undone, or replaced. To try again with (old destination, first result) as the base and the
/// source would give what the destination has; a merge at that moment does not.
async fn both_made_the_same_change(limits: MergeLimits) {
    let (deployment, onward) = lake_with(limits).await;
    for path in ["undone", "replaced", "other"] {
        put(&onward, "main", path, 1).await;
    }
    fork(&onward, "dev", "main").await;
    put(&onward, "dev", "undone", 2).await;
    put(&onward, "main", "undone", 2).await;
    let ghost = haunt(&deployment).await;
    let back = onward.repo("lake").branch("main").change().put("undone", entry(1));
    let mut back = back.submit().await.unwrap();
    let mut merging = merge(&onward, "dev").submit().await.unwrap();
    drop(ghost);
    assert!(back.wait(PATIENCE).await.unwrap().commit().is_some());
    assert!(merging.wait(PATIENCE).await.unwrap().commit().is_some());
    assert_eq!(number(&onward, "undone").await, Some(2), "the source's change counts again");

    put(&onward, "dev", "replaced", 2).await;
    put(&onward, "main", "replaced", 2).await;
    let ghost = haunt(&deployment).await;
    let third = onward.repo("lake").branch("main").change().put("replaced", entry(3));
    let mut third = third.submit().await.unwrap();
    let mut merging = merge(&onward, "dev").submit().await.unwrap();
    drop(ghost);
    assert!(third.wait(PATIENCE).await.unwrap().commit().is_some());
    let outcome = merging.wait(PATIENCE).await.unwrap();
    let Outcome::Conflict { paths, total: 1, .. } = outcome else { panic!("{outcome:?}") };
    let sides = [&paths[0].base, &paths[0].source, &paths[0].dest];
    assert_eq!(sides.map(|side| side.as_ref().unwrap().size), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_at_its_turn_is_not_a_merge_of_its_first_result() {
    both_made_the_same_change(MergeLimits::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_merge_at_its_turn_is_not_a_merge_of_its_first_result() {
    both_made_the_same_change(AS_IF_LARGE).await;
}

/// Against the old base both sides changed the path; a merge in between brought a nearer base,
/// from which only the source did.
async fn a_nearer_base(limits: MergeLimits) {
    let (deployment, onward) = lake_with(limits).await;
    put(&onward, "main", "path", 1).await;
    fork(&onward, "early", "main").await;
    put(&onward, "early", "path", 2).await;
    fork(&onward, "late", "early").await;
    put(&onward, "late", "path", 3).await;
    let ghost = haunt(&deployment).await;
    let mut early = merge(&onward, "early").submit().await.unwrap();
    let mut late = merge(&onward, "late").submit().await.unwrap();
    let mut again = merge(&onward, "late").submit().await.unwrap();
    drop(ghost);
    assert!(early.wait(PATIENCE).await.unwrap().commit().is_some());
    assert!(late.wait(PATIENCE).await.unwrap().commit().is_some());
    let again = again.wait(PATIENCE).await.unwrap();
    assert!(matches!(again, Outcome::NoChanges { .. }), "it is merged already: {again:?}");
    assert_eq!(number(&onward, "path").await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_in_between_can_turn_a_conflict_into_none() {
    a_nearer_base(MergeLimits::default()).await;
    a_nearer_base(AS_IF_LARGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_merges_of_disjoint_directories_write_each_range_once() {
    const BRANCHES: usize = 50;
    const FILES: usize = 700;
    let (deployment, onward) = lake_with(MergeLimits::default()).await;
    put(&onward, "main", "readme", 1).await;
    for branch in 0..BRANCHES {
        let name = format!("b{branch}");
        fork(&onward, &name, "main").await;
        let mut change = onward.repo("lake").branch(&name).change();
        for file in 0..FILES {
            change = change.put(format!("dir{branch:02}/{file:04}"), entry(branch * FILES + file));
        }
        assert!(change.commit().await.unwrap().commit().is_some());
    }
    let ranges = async || {
        use futures::TryStreamExt;
        let listed = deployment.objects.list("lake/ranges", None);
        listed.try_collect::<Vec<_>>().await.unwrap()
    };
    let before = ranges().await.len();
    // In three bunches: some of the merges are worked out against a head, others against another.
    let mut done = 0;
    for bunch in [20, 25, 5] {
        let ghost = haunt(&deployment).await;
        let mut merges = Vec::new();
        for branch in done..done + bunch {
            merges.push(merge(&onward, &format!("b{branch}")).submit().await.unwrap());
            // Commits aside: they land between the merges.
            if branch % 7 == 0 {
                let change = onward.repo("lake").branch("main").change();
                let aside = change.put(format!("dir{branch:02}/zz"), entry(branch));
                merges.push(aside.submit().await.unwrap());
            }
        }
        done += bunch;
        drop(ghost);
        for mut merging in merges {
            assert!(merging.wait(PATIENCE).await.unwrap().commit().is_some());
        }
    }
    assert_eq!(onward.counters().bytes_wasted, 0);
    // What a merge brings is what the branch had written: content by content the same ranges.
    let written = ranges().await.len() - before;
    assert!(written <= BRANCHES, "{written} ranges beside those that the branches had written");
    for branch in 0..BRANCHES {
        for file in [0, 1, 350, FILES - 1] {
            let path = format!("dir{branch:02}/{file:04}");
            assert_eq!(
                number(&onward, &path).await,
                Some((branch * FILES + file) as u64),
                "{path}"
            );
        }
        let aside = number(&onward, &format!("dir{branch:02}/zz")).await;
        assert_eq!(aside, (branch % 7 == 0).then_some(branch as u64));
    }
    // Every commit of the line has exactly the directories that were merged by then.
    let history: Vec<_> = {
        use futures::TryStreamExt;
        let log =
            onward.repo("lake").log(&RefExpr::plain("main"), &LogRequest::default()).await.unwrap();
        log.try_collect().await.unwrap()
    };
    let merges = history.iter().filter(|info| info.commit.parents.len() == 2);
    for info in merges {
        let content = async |id: String| {
            let mut found = 0;
            let reference = RefExpr::plain(id);
            for branch in 0..BRANCHES {
                let path = format!("dir{branch:02}/{:04}", FILES / 2).parse().unwrap();
                found += usize::from(onward.repo("lake").stat(&reference, &path).await.is_ok());
            }
            found
        };
        let before = content(info.commit.parents[0].to_string()).await;
        assert_eq!(content(info.id.to_string()).await, before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_retries_itself_goes_on_from_its_hint() {
    for limits in [MergeLimits::default(), AS_IF_LARGE] {
        let (deployment, onward) = lake_with(limits).await;
        for n in 0..20 {
            put(&onward, "main", &format!("t/{n:02}"), 100 + n).await;
        }
        fork(&onward, "dev", "main").await;
        for n in 0..20 {
            put(&onward, "dev", &format!("t/{n:02}"), 200 + n).await;
        }
        let by_client = || merge(&onward, "dev").retry(Retry::Client).strategy(Strategy::DestWins);
        let ghost = haunt(&deployment).await;
        let outside = onward.repo("lake").branch("main").change().put("elsewhere", entry(1));
        let mut outside = outside.submit().await.unwrap();
        let inside = onward.repo("lake").branch("main").change().put("t/03", entry(303));
        let mut inside = inside.submit().await.unwrap();
        let mut merging = by_client().submit().await.unwrap();
        drop(ghost);
        assert!(outside.wait(PATIENCE).await.unwrap().commit().is_some());
        assert!(inside.wait(PATIENCE).await.unwrap().commit().is_some());
        let outcome = merging.wait(PATIENCE).await.unwrap();
        let Outcome::LostRace { hint, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(number(&onward, "t/04").await, Some(104), "a lost race changes nothing");

        refuses_what_is_not_its_own(&onward, &hint).await;
        // The same hint serves another try that is overtaken again, then one that is not.
        let ghost = haunt(&deployment).await;
        let inside = onward.repo("lake").branch("main").change().delete("t/05");
        let mut inside = inside.submit().await.unwrap();
        let mut merging = by_client().hint(&hint).submit().await.unwrap();
        drop(ghost);
        assert!(inside.wait(PATIENCE).await.unwrap().commit().is_some());
        let outcome = merging.wait(PATIENCE).await.unwrap();
        let Outcome::LostRace { hint: second, .. } = outcome else { panic!("{outcome:?}") };
        put(&onward, "main", "t/03", 404).await;
        let outcome = by_client().hint(&second).commit().await.unwrap();
        assert!(outcome.commit().is_some(), "{outcome:?}");
        for n in 0..20u64 {
            let expected = match n {
                3 => Some(404),
                5 => None,
                n => Some(200 + n),
            };
            assert_eq!(number(&onward, &format!("t/{n:02}")).await, expected, "t/{n:02}");
        }
    }
}

async fn refuses_what_is_not_its_own(onward: &Onward, hint: &str) {
    let refused = async |hint: &str, from: &str, into: &str| {
        let branch = onward.repo("lake").branch(into);
        let merge = branch.merge(RefExpr::plain(from)).strategy(Strategy::DestWins);
        let error = merge.hint(hint).commit().await.unwrap_err();
        assert_eq!(error.kind(), onward::ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("the hint is refused"), "{error}");
    };
    // Any changed character makes it somebody else's.
    for at in [5, hint.len() / 2, hint.len() - 40] {
        let mut forged = hint.to_owned().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        refused(&String::from_utf8(forged).unwrap(), "dev", "main").await;
    }
    for text in ["", "v1.", "v1.x.y", &"A".repeat(100_000)] {
        refused(text, "dev", "main").await;
    }
    fork(onward, "other", "dev").await;
    put(onward, "other", "t/99", 1).await;
    refused(hint, "other", "main").await;
    fork(onward, "elsewhere", "main").await;
    refused(hint, "dev", "elsewhere").await;
    for branch in ["other", "elsewhere"] {
        onward.repo("lake").branch(branch).delete().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_submitted_again_under_its_id_is_the_same_merge() {
    let (deployment, onward) = lake_with(MergeLimits::default()).await;
    fork(&onward, "dev", "main").await;
    put(&onward, "dev", "path", 2).await;
    let first = merge(&onward, "dev").op_id(op_id(7)).commit().await.unwrap();
    let again = merge(&onward, "dev").op_id(op_id(7)).commit().await.unwrap();
    assert!(first.commit().is_some());
    assert_eq!((again.commit(), again.ticket()), (first.commit(), first.ticket()));
    let later = merge(&onward, "dev").commit().await.unwrap();
    assert!(matches!(later, Outcome::NoChanges { ticket: None, .. }), "{later:?}");
    drop(deployment);
}

#[tokio::test(flavor = "multi_thread")]
async fn put_if_absent_has_one_winner_however_many_try() {
    use onward::Condition;
    let (deployment, onward) = Deployment::lake().await;
    let others = [onward, deployment.connect().await, deployment.connect().await];
    let tries = (0..200).map(|n| {
        let main = others[n % 3].repo("lake").branch("main");
        // As Delta and Iceberg commit: the name of the next version, if nobody has it.
        let change = main.change().op_id(op_id(n));
        let path = format!("_log/{:020}", n % 10);
        tokio::spawn(change.put_if(path, entry(n), Condition::Absent).commit())
    });
    let tries: Vec<_> = tries.collect();
    let mut won = [0; 10];
    for (n, outcome) in tries.into_iter().enumerate() {
        match outcome.await.unwrap().unwrap() {
            Outcome::Committed { .. } => won[n % 10] += 1,
            Outcome::Conflict { total: 1, .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(won, [1; 10]);
    let audit = Audit::of(&deployment.objects, "main").await;
    assert_eq!(audit.ops.len(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_worked_out_too_long_ago_is_not_committed() {
    use onward::internals::commit::op::merge::MergePlan;
    use onward::internals::commit::op::queued::{Body, QueuedOp};
    use onward::internals::commit::op::request::{PREPARED_MAX, Request};
    let (deployment, onward) = lake_with(AS_IF_LARGE).await;
    fork(&onward, "dev", "main").await;
    put(&onward, "dev", "path", 2).await;
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let handle = merge(&onward, "dev").op_id(op_id(1)).submit().await.unwrap();
    // The same op as if it had lain somewhere for a day.
    let element: Vec<u8> = deployment.redis.command(&["LPOP", &keys.queue]);
    let Body::Op(mut op) = QueuedOp::decode(&element).unwrap().body else { panic!() };
    let Request::Merge(request) = &mut op.request else { panic!() };
    assert!(matches!(&request.merge.plan, MergePlan::Survivors(s) if s.run.is_some()));
    request.merge.prepared_ms -= PREPARED_MAX.as_millis() as i64 + 60_000;
    let old = op.encode(op_id(1)).unwrap();
    let mut push = redis::cmd("RPUSH");
    let _: i64 = push.arg(&keys.queue).arg(&*old).query(&mut deployment.redis.connect()).unwrap();
    drop(ghost);
    drop(handle);
    let outcome = onward.repo("lake").branch("main").ticket_wait(op_id(1), PATIENCE).await.unwrap();
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    assert_eq!(number(&onward, "path").await, None);
    put(&onward, "main", "other", 1).await;
}
