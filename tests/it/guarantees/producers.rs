//! Producers that number their ops: a repetition, an op that comes behind, and a producer that was
//! replaced are told apart, at once and in turn; and a producer that starts again learns where.

use std::time::Duration;

use onward::internals::repo::{ChangeBuilder, TicketHandle};
use onward::{CommitId, ErrorKind, LastDecided, Onward, OpId, Outcome, Standing};

use crate::support::branch::{Audit, Ghost, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::until::PATIENCE;

/// What producer `p` writes as its `sequence` under `epoch`, under the op id that follows from that.
fn produced(onward: &Onward, epoch: u64, sequence: u64) -> ChangeBuilder {
    let path = format!("p/{epoch}/{sequence}");
    let builder = onward.repo("lake").branch("main").change();
    builder.put(path, entry(sequence as usize)).producer("p", epoch, sequence)
}

async fn commit(onward: &Onward, epoch: u64, sequence: u64) -> Outcome {
    produced(onward, epoch, sequence).commit().await.unwrap()
}

/// The same place in the sequence under another op id.
async fn other(onward: &Onward, epoch: u64, sequence: u64, n: usize) -> Outcome {
    produced(onward, epoch, sequence).op_id(op_id(n)).commit().await.unwrap()
}

/// Why an op is behind, how far its producer was, and which op had its sequence.
fn behind(outcome: &Outcome) -> (&str, &Standing, Option<OpId>, Option<CommitId>) {
    let Outcome::Behind { reason, standing: Some(standing), earlier_op, earlier, .. } = outcome
    else {
        panic!("{outcome:?}")
    };
    (reason, standing, *earlier_op, *earlier)
}

async fn last(onward: &Onward) -> Option<(u64, u64, Option<CommitId>)> {
    let found = onward.repo("lake").branch("main").producer("p").await.unwrap();
    found.map(|LastDecided { epoch, sequence, commit, .. }| (epoch, sequence, commit))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_damaged_in_redis_is_taken_from_the_log_and_holds_nobody_up() {
    // One that comes before all numbers, and one behind them.
    for garbage in ["!", "garbage"] {
        let (deployment, onward) = Deployment::lake().await;
        let keys = keys(&deployment.objects, "main").await;
        let main = onward.repo("lake").branch("main");
        let produce = |name: &str, epoch: u64, sequence: u64| {
            let path = format!("{name}/{epoch}/{sequence}");
            main.change().put(path, entry(1)).producer(name, epoch, sequence).commit()
        };
        let first = produce("p", 2, 5).await.unwrap();
        produce("q", 1, 1).await.unwrap();
        let damage = || {
            let row = ["HSET", &keys.producers, "p", garbage];
            assert_eq!(deployment.redis.command::<i64>(&row), 0, "it had a row");
        };
        damage();
        let other = produce("q", 1, 2).await.unwrap();
        assert!(other.commit().is_some(), "{other:?}");
        let last = main.producer("p").await.unwrap().unwrap();
        assert_eq!((last.epoch, last.sequence, last.commit), (2, 5, first.commit()));
        for (epoch, sequence, name) in [(2, 4, "behind"), (1, 9, "fenced"), (2, 6, "committed")] {
            damage();
            let outcome = produce("p", epoch, sequence).await.unwrap();
            assert_eq!(outcome.name(), name, "{garbage} {epoch} {sequence}: {outcome:?}");
        }
        // The op that was decided last has put it right.
        let row: String = deployment.redis.command(&["HGET", &keys.producers, "p"]);
        assert_ne!(row, garbage);
        assert_eq!(main.producer("p").await.unwrap().unwrap().sequence, 6);
        assert_eq!(onward.counters().failed_rounds, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_op_again_has_its_outcome_and_says_that_it_is_a_repetition() {
    let (deployment, onward) = Deployment::lake().await;
    let first = commit(&onward, 1, 1).await;
    let named = other(&onward, 1, 2, 2).await;
    assert!(!first.details().repeated && !named.details().repeated);
    for again in [commit(&onward, 1, 1).await, other(&onward, 1, 2, 2).await] {
        assert!(again.commit().is_some() && again.details().repeated, "{again:?}");
    }
    // Without the window of op ids the last one is known by its producer's row, and by the log.
    let keys = keys(&deployment.objects, "main").await;
    let _: i64 = deployment.redis.command(&["DEL", &keys.ops]);
    let again = other(&onward, 1, 2, 2).await;
    assert_eq!((again.commit(), again.ticket()), (named.commit(), named.ticket()));
    assert!(again.details().repeated);
    let another = other(&onward, 1, 2, 3).await;
    assert_eq!(behind(&another).2, Some(op_id(2)));
    assert_eq!(behind(&another).3, named.commit());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_redis_no_longer_keeps_is_found_in_the_log() {
    let (deployment, onward) = Deployment::lake().await;
    let first = commit(&onward, 1, 1).await;
    let keys = keys(&deployment.objects, "main").await;
    let _: i64 = deployment.redis.command(&["XTRIM", &keys.outcomes, "MAXLEN", "0"]);
    let again = commit(&onward, 1, 1).await;
    assert_eq!((again.commit(), again.ticket()), (first.commit(), first.ticket()));
    assert!(again.details().repeated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_that_another_op_had_and_one_that_nobody_had_are_told_apart() {
    let (_deployment, onward) = Deployment::lake().await;
    let mut commits = Vec::new();
    for sequence in [1, 2, 3, 5] {
        commits.push(commit(&onward, 1, sequence).await.commit());
    }
    let (never, taken) = (commit(&onward, 1, 4).await, other(&onward, 1, 3, 3).await);
    let (reason, standing, earlier_op, earlier) = behind(&never);
    assert_eq!((standing.asked.sequence, standing.epoch, standing.sequence), (4, 1, 5));
    assert_eq!((earlier_op, earlier), (None, None));
    assert!(reason.contains("out of order"), "{reason}");
    let (reason, standing, earlier_op, earlier) = behind(&taken);
    assert_eq!((standing.asked.sequence, standing.epoch, standing.sequence), (3, 1, 5));
    assert_eq!((earlier_op, earlier), (Some(OpId::of_producer("p", 1, 3)), commits[2]));
    assert!(reason.contains("another one"), "{reason}");
    // Only the next ones go on.
    assert!(commit(&onward, 1, 6).await.commit().is_some());
}

/// Submits ops that wait together, and lets them be decided one behind the other.
async fn together(deployment: &Deployment, changes: Vec<ChangeBuilder>) -> Vec<Outcome> {
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    let mut handles: Vec<TicketHandle> = Vec::new();
    for change in changes {
        handles.push(change.submit().await.unwrap());
    }
    drop(ghost);
    let mut outcomes = Vec::new();
    for handle in &mut handles {
        outcomes.push(handle.wait(PATIENCE).await.unwrap());
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_in_turn_is_what_is_told_at_once() {
    let (deployment, onward) = Deployment::lake().await;
    let make = |epoch, sequence| produced(&onward, epoch, sequence);
    let ops = vec![make(1, 5), make(1, 4), make(1, 5).op_id(op_id(5)), make(2, 1), make(1, 9)];
    let in_turn = together(&deployment, ops).await;
    assert!(in_turn[0].commit().is_some() && in_turn[3].commit().is_some(), "{in_turn:?}");
    let (_, standing, earlier_op, _) = behind(&in_turn[1]);
    assert_eq!((standing.sequence, earlier_op), (5, None));
    let (_, standing, earlier_op, earlier) = behind(&in_turn[2]);
    assert_eq!((standing.sequence, earlier_op), (5, Some(OpId::of_producer("p", 1, 5))));
    assert_eq!(earlier, in_turn[0].commit());
    let Outcome::Fenced { reason, standing: Some(standing), .. } = &in_turn[4] else {
        panic!("{:?}", in_turn[4])
    };
    assert_eq!((standing.asked.epoch, standing.epoch, standing.sequence), (1, 2, 1));
    let Outcome::Fenced { reason: at_once, .. } = other(&onward, 1, 10, 10).await else { panic!() };
    assert_eq!(*reason, at_once);
    // Word by word.
    let ops = vec![make(3, 5), make(3, 4)];
    let in_turn = together(&deployment, ops).await;
    let at_once = other(&onward, 3, 4, 34).await;
    assert_eq!(behind(&in_turn[1]), behind(&at_once));
    // Whoever asks by the ticket hears the same again.
    let main = onward.repo("lake").branch("main");
    let op = OpId::of_producer("p", 3, 4);
    let told = main.ticket_wait(op, PATIENCE).await.unwrap();
    assert_eq!(behind(&told), behind(&in_turn[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_that_was_called_off_has_used_its_sequence_up() {
    let (deployment, onward) = Deployment::lake().await;
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut handle = produced(&onward, 1, 1).submit().await.unwrap();
    handle.cancel().await.unwrap();
    drop(ghost);
    assert_eq!(handle.wait(PATIENCE).await.unwrap().name(), "cancelled");
    let another = other(&onward, 1, 1, 1).await;
    assert_eq!(behind(&another).2, Some(OpId::of_producer("p", 1, 1)));
    assert_eq!(commit(&onward, 1, 1).await.name(), "cancelled");
    // What Redis forgets of a branch that is idle, the log says.
    let _: i64 = deployment.redis.command(&["DEL", &keys.ops, &keys.outcomes]);
    assert_eq!(commit(&onward, 1, 1).await.name(), "cancelled");
    assert_eq!(last(&onward).await, Some((1, 1, None)));
    Audit::of(&deployment.objects, "main").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_starts_again_learns_where_it_was_whatever_redis_has_lost() {
    let (deployment, onward) = Deployment::lake().await;
    assert_eq!(last(&onward).await, None);
    commit(&onward, 1, 7).await;
    let newest = commit(&onward, 2, 3).await.commit();
    assert_eq!(last(&onward).await, Some((2, 3, newest)));
    let _: String = deployment.redis.command(&["FLUSHALL"]);
    let there = deployment.connect().await;
    for onward in [&onward, &there] {
        assert_eq!(last(onward).await, Some((2, 3, newest)));
    }
    let main = onward.repo("lake").branch("main");
    assert_eq!(main.producer("q").await.unwrap(), None);
    assert_eq!(main.producer("").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let nowhere = onward.repo("lake").branch("nope").producer("p").await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_run_of_a_producer_left_in_the_queue_is_decided_before_it_is_told() {
    let (deployment, onward) = Deployment::lake().await;
    let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
    for sequence in 1..4 {
        produced(&onward, 1, sequence).submit().await.unwrap();
    }
    onward.close().await;
    let mut config = deployment.config();
    config.timeout = Duration::from_millis(50);
    let hasty = Onward::with_objects(config, deployment.objects.clone()).await.unwrap();
    let early = hasty.repo("lake").branch("main").producer("p").await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Unavailable);
    assert!(early.message().contains("still queued"), "{early}");
    drop(ghost);
    let there = deployment.connect().await;
    let found = last(&there).await.unwrap();
    assert_eq!((found.0, found.1), (1, 3));
    assert!(found.2.is_some());
}
