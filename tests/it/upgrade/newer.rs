//! A newer program works on the same branch. What only it can read is refused clearly and left as it
//! is, other branches do not notice, and everything goes on when it has done its part.

use onward::internals::commit::log::entry::{DecidedOp, LogEntry};
use onward::internals::commit::log::format::Encoded;
use onward::internals::commit::log::lake::Lake;
use onward::internals::commit::log::levels::SpanLevel;
use onward::internals::commit::op::queued::VERSION;
use onward::internals::commit::op::verdict::Verdict;
use onward::internals::coord::{BranchKeys, HeadView};
use onward::internals::model::address::RefExpr;
use onward::internals::model::ids::{BranchUid, OpId, Ticket};
use onward::internals::repo::gc::GcOptions;
use onward::internals::repo::verify::VerifyOptions;
use onward::{ErrorKind, Onward, Outcome};

use crate::support::branch::{Audit, Ghost, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::RedisServer;
use crate::support::until::{PATIENCE, until_async};
use crate::support::verify::sound;

/// The change that op `n` makes.
fn change(onward: &Onward, branch: &str, n: usize) -> onward::internals::repo::ChangeBuilder {
    let builder = onward.repo("lake").branch(branch).change().op_id(op_id(n));
    builder.put(format!("t/{n:06}"), entry(n)).message(format!("message {n}"))
}

async fn other_branches_go_on(onward: &Onward) {
    let outcome = change(onward, "other", 900).commit().await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
}

/// A deployment with a second branch, and the keys and the uid of `main`.
async fn deployment() -> (Deployment, Onward, BranchKeys, BranchUid) {
    let (deployment, onward) = Deployment::lake().await;
    onward.repo("lake").branch("other").create(&RefExpr::plain("main")).await.unwrap();
    let keys = keys(&deployment.objects, "main").await;
    let uid = keys.head.split(['/', '}']).nth(1).unwrap().parse().unwrap();
    (deployment, onward, keys, uid)
}

fn queue(redis: &RedisServer, keys: &BranchKeys) -> Vec<Vec<u8>> {
    redis::cmd("LRANGE").arg(&keys.queue).arg(0).arg(-1).query(&mut redis.connect()).unwrap()
}

fn set_element(redis: &RedisServer, keys: &BranchKeys, index: usize, element: &[u8]) {
    let mut call = redis::cmd("LSET");
    call.arg(&keys.queue).arg(index).arg(element).exec(&mut redis.connect()).unwrap();
}

/// Why an op is still queued.
async fn stuck(handle: &mut onward::internals::repo::TicketHandle) -> String {
    let outcome = handle.wait(PATIENCE).await.unwrap();
    let Outcome::StillQueued { cause: Some(cause), .. } = outcome else { panic!("{outcome:?}") };
    cause
}

async fn committed(handle: &mut onward::internals::repo::TicketHandle) {
    loop {
        match handle.wait(PATIENCE).await.unwrap() {
            Outcome::Committed { .. } => return,
            Outcome::StillQueued { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_of_a_newer_program_stays_in_the_queue_for_it() {
    let (deployment, onward, keys, _) = deployment().await;
    // Three ops in the queue; the second is of the newer program.
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut handles = Vec::new();
    for n in 1..=3 {
        handles.push(change(&onward, "main", n).submit().await.unwrap());
    }
    let mut newer = queue(&deployment.redis, &keys).remove(1);
    let known = std::mem::replace(&mut newer[37], VERSION + 1);
    // Even where this program could not read a byte of it.
    let newer = [&newer[..38], b"\xff\xff\xff no MessagePack \xff", &newer[38..]].concat();
    set_element(&deployment.redis, &keys, 1, &newer);
    drop(ghost);

    committed(&mut handles[0]).await;
    let cause = stuck(&mut handles[2]).await;
    let says = format!("op {}", op_id(2));
    assert!(cause.contains("use a newer program") && cause.contains(&says), "{cause}");
    assert_eq!(queue(&deployment.redis, &keys)[0], newer, "it is left as it is");
    other_branches_go_on(&onward).await;
    // A process that comes later leaves it alone, too; nothing is collected meanwhile.
    let fresh = deployment.connect().await;
    let cause = stuck(&mut change(&fresh, "main", 4).submit().await.unwrap()).await;
    assert!(cause.contains("use a newer program"), "{cause}");
    let options = GcOptions { exclusive: true, ..GcOptions::default() };
    let error = fresh.repo("lake").gc(&options, &mut |_| ()).await.unwrap_err();
    assert!(error.message().contains("newer program"), "{error}");
    assert_eq!(queue(&deployment.redis, &keys)[0], newer);

    // The newer program does its part: it knows what it wrote.
    let mut done =
        [&newer[..38], &newer[38 + b"\xff\xff\xff no MessagePack \xff".len()..]].concat();
    done[37] = known;
    set_element(&deployment.redis, &keys, 0, &done);
    committed(&mut handles[2]).await;
    let audit = Audit::of(&deployment.objects, "main").await;
    audit.has_all(1..=3);
    let tickets: Vec<u64> = (1..=3).map(|n| audit.ops[&op_id(n)].ticket.0).collect();
    assert_eq!(tickets, [2, 3, 4], "in the order in which they were accepted");
    sound(&onward).await;
}

/// The log entry behind the newest one: `ops` end as failed, by a newer program.
async fn next_entry(lake: &Lake, uid: BranchUid, ops: &[OpId]) -> LogEntry {
    let newest = *lake.log_tickets(uid, Ticket(0)).await.unwrap().last().unwrap();
    let before = lake.known_entry(uid, newest).await.unwrap();
    let (parent, parent_generation) = before.head_after().unwrap();
    let level = |level| SpanLevel { level, from: 0, until: u16::MAX, written: false, whole: false };
    let reason = "a newer program says so".to_owned();
    let failed = |op_id: &OpId| DecidedOp {
        op_id: *op_id,
        verdict: Verdict::Failed { reason: reason.clone() },
        commit: None,
        areas: None,
        reset: None,
        fingerprint: None,
        id: None.into(),
    };
    LogEntry {
        uid,
        first: before.last().next(),
        sequence: before.sequence + 1,
        before: Some(newest),
        parent,
        parent_generation,
        ops: ops.iter().map(failed).collect(),
        levels: before.metarange_after().levels.into_iter().map(level).collect(),
        runs: Vec::new(),
        producers: Default::default(),
        forgotten: Default::default(),
        closes: false,
    }
}

/// The bytes of a log entry, as of another version.
fn as_version(bytes: &[u8], version: u8) -> Vec<u8> {
    let mut bytes = bytes[..bytes.len() - 4].to_vec();
    bytes[4] = version;
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_entry_of_a_newer_program_is_the_end_of_what_this_one_does_on_the_branch() {
    let (deployment, onward, keys, uid) = deployment().await;
    let context =
        onward.coordinator().context(&"lake".parse().unwrap(), &"main".parse().unwrap(), uid);
    // A newer program has decided the next batch, and did not live to publish it.
    let entry = next_entry(&context.lake, uid, &[op_id(50)]).await;
    let key = format!("lake/log/{uid}/{:020}", entry.first.0);
    let newer = as_version(&entry.encode().unwrap(), 3);
    deployment.objects.create(&key, newer.clone().into()).await.unwrap();

    let mut handle = change(&onward, "main", 1).submit().await.unwrap();
    let cause = stuck(&mut handle).await;
    assert!(cause.contains(&key) && cause.contains("use a newer program"), "{cause}");
    assert_eq!(*deployment.objects.get(&key).await.unwrap().unwrap(), newer[..]);
    assert_eq!(queue(&deployment.redis, &keys).len(), 1, "nothing is lost");
    other_branches_go_on(&onward).await;
    // Where Redis has been told of it, reading says the same; so do verification and collection.
    let publication = entry.publication().unwrap();
    let _ = context.redis.publish(&publication, 0).await.unwrap();
    let fresh = deployment.connect().await;
    let lake = fresh.repo("lake");
    let path = "t/000001".parse().unwrap();
    let error = lake.stat(&RefExpr::plain("main"), &path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NewerVersion, "{error}");
    let error = lake.verify(VerifyOptions { data: false }, &mut |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NewerVersion, "{error}");
    let options = GcOptions { exclusive: true, timeout: Some(PATIENCE), ..GcOptions::default() };
    let error = lake.gc(&options, &mut |_| ()).await.unwrap_err();
    assert!(error.message().contains("newer program"), "{error}");
    // A Redis that has lost the branch is not given half of it.
    let _: () = deployment.redis.command(&["FLUSHALL"]);
    let error = fresh.repo("lake").branch("main").show().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NewerVersion, "{error}");
    assert_eq!(deployment.redis.command::<i64>(&["EXISTS", &keys.head]), 0);

    // The program is replaced by one that reads it.
    deployment.objects.put(&key, entry.encode().unwrap()).await.unwrap();
    committed(&mut handle).await;
    Audit::of(&deployment.objects, "main").await.has_all([1]);
    sound(&deployment.connect().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_of_a_newer_program_is_looked_up_in_the_log_and_holds_nobody_up() {
    let (deployment, onward, keys, uid) = deployment().await;
    let (repo, name) = ("lake".parse().unwrap(), "main".parse().unwrap());
    let context = onward.coordinator().context(&repo, &name, uid);
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut handles = Vec::new();
    for n in 1..=2 {
        handles.push(change(&onward, "main", n).submit().await.unwrap());
    }
    // A newer helper decides both, and says of the first in a way that only it understands.
    let entry = next_entry(&context.lake, uid, &[op_id(1), op_id(2)]).await;
    let (entry, mine) = context.lake.decide(&Encoded::of(entry).unwrap()).await.unwrap();
    assert!(mine);
    let mut publication = entry.publication().unwrap();
    publication.outcomes[0].1 = vec![2, 0xff, 0xff].into();
    let _ = context.redis.publish(&publication, 0).await.unwrap();
    for handle in &mut handles {
        let outcome = handle.wait(PATIENCE).await.unwrap();
        let Outcome::Failed { reason, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(reason, "a newer program says so");
    }
    drop(ghost);
    // Asked in Redis alone, the answer is that a newer program is needed.
    let error = onward.repo("lake").branch("main").ticket_status(op_id(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NewerVersion, "{error}");
    let outcome = change(&onward, "main", 3).commit().await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staged_value_of_a_newer_program_stays_staged() {
    let (deployment, onward, keys, _) = deployment().await;
    let lake = onward.repo("lake");
    let main = lake.branch("main");
    main.stage_put("t/mine".parse().unwrap(), entry(1), None).await.unwrap();
    let mut connection = deployment.redis.connect();
    let value: &[u8] = b"\x11 what it means, only the newer program knows";
    redis::cmd("HSET").arg(&keys.staged).arg("t/newer").arg(value).exec(&mut connection).unwrap();
    redis::cmd("ZADD").arg(&keys.paths).arg(0).arg("t/newer").exec(&mut connection).unwrap();
    let error = lake.stat(&RefExpr::plain("main"), &"t/newer".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NewerVersion, "{error}");

    let id = op_id(7);
    let mut handle = main.commit_staged().op_id(id).message("all of it").submit().await.unwrap();
    let cause = stuck(&mut handle).await;
    assert!(cause.contains("use a newer program"), "{cause}");
    let areas: Vec<String> = deployment.redis.command(&["LRANGE", &keys.sealed, "0", "-1"]);
    let (values, _) = keys.area(areas[0][..36].parse().unwrap());
    let kept: Vec<u8> =
        redis::cmd("HGET").arg(&values).arg("t/newer").query(&mut connection).unwrap();
    assert_eq!(kept, value);
    other_branches_go_on(&onward).await;

    // Called off, it gives back what it has taken, and the branch goes on.
    handle.cancel().await.unwrap();
    let outcome = change(&onward, "main", 8).commit().await.unwrap();
    assert!(outcome.commit().is_some(), "{outcome:?}");
    let kept: Vec<u8> =
        redis::cmd("HGET").arg(&values).arg("t/newer").query(&mut connection).unwrap();
    assert_eq!(kept, value);
    assert_eq!(
        lake.stat(&RefExpr::plain("main"), &"t/mine".parse().unwrap()).await.unwrap(),
        entry(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_a_newer_program_holds_its_producer_alone() {
    let (deployment, onward, keys, _) = deployment().await;
    let row = format!("{:020}{:020}v2 more", 1, 5);
    let _: i64 = deployment.redis.command(&["HSET", &keys.producers, "orders", &row]);
    let produced = change(&onward, "main", 1).producer("orders", 1, 9).submit().await;
    let cause = stuck(&mut produced.unwrap()).await;
    assert!(cause.contains("row") && cause.contains("use a newer program"), "{cause}");
    let kept: String = deployment.redis.command(&["HGET", &keys.producers, "orders"]);
    assert_eq!(kept, row);
    // An early answer would need it as well.
    let error = change(&onward, "main", 2).producer("orders", 1, 4).submit().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NewerVersion, "{error}");
    other_branches_go_on(&onward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_taken_where_the_newer_program_left_it() {
    // What the two share: the head in Redis, whoever wrote it.
    let (deployment, onward, keys, _) = deployment().await;
    let _: i64 = deployment.redis.command(&["HSET", &keys.head, "newer_field", "?"]);
    change(&onward, "main", 1).commit().await.unwrap();
    let kept: String = deployment.redis.command(&["HGET", &keys.head, "newer_field"]);
    assert_eq!(kept, "?");
    let uid = keys.head.split(['/', '}']).nth(1).unwrap().parse().unwrap();
    let (repo, name) = ("lake".parse().unwrap(), "main".parse().unwrap());
    let context = onward.coordinator().context(&repo, &name, uid);
    until_async("it is published", || async {
        let view = context.look(0).await.unwrap().given().unwrap();
        let HeadView { done, .. } = view.head;
        done == 2
    })
    .await;
}
