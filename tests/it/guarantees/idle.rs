//! A branch on which nothing was done for days: what Redis kept of its ops is gone, and the log knows.

use futures::StreamExt;
use onward::internals::repo::events::Event;
use onward::internals::repo::ticket::TicketStatus;
use onward::{Onward, Outcome, Ticket};

use super::commit;
use crate::support::branch::{Audit, Ghost, Snapshot, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::until::PATIENCE;

/// Days go by: what Redis keeps of an idle branch for a day expires.
async fn days_pass(deployment: &Deployment) {
    let keys = keys(&deployment.objects, "main").await;
    for key in [&keys.outcomes, &keys.ops] {
        let life: i64 = deployment.redis.command(&["PTTL", key]);
        assert!(life > 0, "{key} is kept for a while: {life}");
        let _: i64 = deployment.redis.command(&["DEL", key]);
    }
}

async fn status(onward: &Onward, n: usize) -> onward::Result<TicketStatus> {
    onward.repo("lake").branch("main").ticket_status(op_id(n)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_that_is_repeated_after_days_has_its_first_outcome() {
    let (deployment, onward) = Deployment::lake().await;
    let mut first = Vec::new();
    for n in 1..6 {
        first.push(commit(&onward, "main", n).await);
    }
    let main = onward.repo("lake").branch("main");
    // By processes that knew the branch, and by new ones; also when others have come first.
    for round in 0..3 {
        days_pass(&deployment).await;
        let onward = if round == 1 { deployment.connect().await } else { onward.clone() };
        if round == 2 {
            let own = main.change().put("own", entry(9)).message("no id").commit().await.unwrap();
            assert!(own.commit().is_some());
        }
        for (n, first) in (1..).zip(&first) {
            let again = commit(&onward, "main", n).await;
            assert_eq!((again.commit(), again.ticket()), (first.commit(), first.ticket()));
            assert!(again.details().repeated, "{again:?}");
        }
        // One that is new is new.
        assert!(commit(&onward, "main", 10 + round).await.commit().is_some());
    }
    // What the log said is in Redis from then on.
    let remembered = || onward.coordinator().lanes().calls()["remember"];
    let before = remembered();
    assert!(commit(&onward, "main", 20).await.commit().is_some());
    assert_eq!(remembered(), before);
    Audit::of(&deployment.objects, "main").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_told_from_the_log_where_redis_does_not_know_it() {
    let (deployment, onward) = Deployment::lake().await;
    commit(&onward, "main", 1).await;
    let before = Snapshot::take(&deployment.redis);
    let second = commit(&onward, "main", 2).await;
    days_pass(&deployment).await;
    let told = |status| match status {
        TicketStatus::Decided(outcome) => outcome.commit(),
        pending => panic!("{pending:?}"),
    };
    assert_eq!(told(status(&onward, 2).await.unwrap()), second.commit());
    // A Redis that went back while the connection stayed.
    before.put_back(&deployment.redis);
    assert_eq!(told(status(&onward, 2).await.unwrap()), second.commit());
    before.put_back(&deployment.redis);
    let main = onward.repo("lake").branch("main");
    assert_eq!(main.ticket_wait(op_id(2), PATIENCE).await.unwrap().commit(), second.commit());
    let unknown = status(&onward, 3).await.unwrap_err();
    assert_eq!(unknown.kind(), onward::ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_is_told_what_it_missed_or_that_it_did() {
    let (deployment, onward) = Deployment::lake().await;
    for n in 1..4 {
        commit(&onward, "main", n).await;
    }
    days_pass(&deployment).await;
    let main = onward.repo("lake").branch("main");
    let done = Ticket(main.show().await.unwrap().done);
    let mut events = main.events(Some(Ticket(1))).await.unwrap();
    let first = events.next().await.unwrap().unwrap();
    assert_eq!(first, Event::Gap { from: Ticket(2), to: done });
    commit(&onward, "main", 4).await;
    let next = loop {
        match events.next().await.unwrap().unwrap() {
            Event::Quiet => {}
            event => break event,
        }
    };
    assert!(matches!(next, Event::Outcome { ticket, .. } if ticket == done.next()), "{next:?}");
    // One who has missed nothing waits.
    let mut events = main.events(None).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap(), Event::Quiet);
}

/// How an op of a producer ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Committed,
    Conflict,
    Cancelled,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_has_one_outcome_under_its_op_id_and_none_under_another() {
    for end in [End::Committed, End::Conflict, End::Cancelled] {
        let (deployment, onward) = Deployment::lake().await;
        commit(&onward, "main", 9).await;
        let before = Snapshot::take(&deployment.redis);
        let main = onward.repo("lake").branch("main");
        // The op id follows from the sequence, or is given.
        let sequence = |sequence: u64| {
            let absent = onward::Condition::Absent;
            let change = main.change().producer("p", 1, sequence).message("m");
            match end {
                End::Conflict => change.put_if("t/000009", entry(1), absent),
                _ => change.put("w", entry(1)),
            }
        };
        let ghost = Ghost::haunt(&deployment.redis, &keys(&deployment.objects, "main").await);
        let mut handle = sequence(1).submit().await.unwrap();
        if end == End::Cancelled {
            handle.cancel().await.unwrap();
        }
        drop(ghost);
        let first = handle.wait(PATIENCE).await.unwrap();
        let named = |end: &End| format!("{end:?}").to_lowercase();
        assert_eq!(first.name(), named(&end));
        for trouble in ["none", "days", "back", "lost"] {
            match trouble {
                "days" => days_pass(&deployment).await,
                "back" => before.put_back(&deployment.redis),
                "lost" => drop(deployment.redis.command::<String>(&["FLUSHALL"])),
                _ => {}
            }
            let other = sequence(1).op_id(op_id(1)).commit().await.unwrap();
            let is_late = matches!(&other, Outcome::Behind { .. });
            assert!(is_late, "{end:?}, {trouble}: under another id {other:?}");
            let again = sequence(1).commit().await.unwrap();
            assert_eq!(again.name(), first.name(), "{end:?}, {trouble}: {again:?}");
            assert_eq!(again.commit(), first.commit(), "{end:?}, {trouble}");
        }
    }
}
