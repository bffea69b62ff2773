//! What one call of a script makes the server do, counted: commands that it calls, and bytes of its reply.
//! Each script in its worst case, at the limits that its callers keep, so that no call holds the server
//! for longer than a few thousand commands take.

use std::collections::BTreeMap;

use onward::internals::commit::round::prepare::BATCH_PRODUCERS_MAX;
use onward::internals::coord::board::{OFFER_BYTES_MAX, OFFERS_MAX};
use onward::internals::coord::script::{self, Script};
use onward::internals::coord::{BranchKeys, ScriptCall};
use onward::internals::model::ids::BranchUid;
use redis::{Connection, Value};

use super::accept::row;
use super::model::NOBODY;
use super::steps::op;
use crate::support::redis::RedisServer;

/// Ops in a batch, at the most.
const BATCH: usize = 1024;

/// Elements that one call counts anew.
const ADOPTED: usize = 500;

/// The most areas that may be sealed.
const AREAS: usize = 256;

/// A branch at its limits, on a server of its own.
struct Rig {
    connection: Connection,
    keys: BranchKeys,
    _redis: RedisServer,
}

/// What a call came to, and what it took.
struct Work {
    reply: Value,
    commands: u64,
}

impl Rig {
    fn new() -> Self {
        let redis = RedisServer::forgetful();
        let keys = BranchKeys::new(&"lake".parse().unwrap(), BranchUid(1));
        let mut rig = Self { connection: redis.connect(), keys, _redis: redis };
        let head = rig.keys.head.clone();
        let fields = ["state", "open", "done", "0", "commit", "", "position", "0"];
        let _: i64 =
            rig.plain("HSET", &head, &[&fields[..], &["turn", "", "turn_until", "0"]].concat());
        rig
    }

    fn plain<T: redis::FromRedisValue>(&mut self, name: &str, key: &str, rest: &[&str]) -> T {
        redis::cmd(name).arg(key).arg(rest).query(&mut self.connection).unwrap()
    }

    /// Calls of commands so far, but for those that ask for this.
    fn commands(&mut self) -> u64 {
        let text: String =
            redis::cmd("INFO").arg("commandstats").query(&mut self.connection).unwrap();
        let calls = text.lines().filter_map(|line| {
            let (name, stats) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            (!["eval", "info"].contains(&name))
                .then(|| stats.split(',').next()?.parse::<u64>().ok())?
        });
        calls.sum()
    }

    fn run(&mut self, script: &'static Script, keys: &[String], args: &[String]) -> Work {
        let mut call = ScriptCall::on(script, keys);
        for arg in args {
            call.bytes(arg);
        }
        let before = self.commands();
        let reply = call.teaching().query(&mut self.connection).unwrap();
        Work { reply, commands: self.commands() - before }
    }

    fn queue(&mut self, count: usize, element_len: usize) {
        let key = self.keys.queue.clone();
        for n in 0..count {
            let element = format!("{}P{}", op(n), "x".repeat(element_len - 37));
            let _: i64 = self.plain("RPUSH", &key, &[&element]);
        }
    }

    /// A sealed area of `paths` paths that no other has.
    fn seal(&mut self, n: usize, owner: &str, paths: usize) {
        let (values, set) = self.keys.area(op(n).parse().unwrap());
        for page in (0..paths).collect::<Vec<_>>().chunks(1000) {
            let names: Vec<String> = page.iter().map(|path| format!("{n:03}/{path:08}")).collect();
            let pairs: Vec<&str> = names.iter().flat_map(|name| [name.as_str(), "v"]).collect();
            let _: i64 = self.plain("HSET", &values, &pairs);
            let members: Vec<&str> = names.iter().flat_map(|name| ["0", name.as_str()]).collect();
            let _: i64 = self.plain("ZADD", &set, &members);
        }
        let sealed = self.keys.sealed.clone();
        let _: i64 = self.plain("RPUSH", &sealed, &[&format!("{}{owner}", op(n))]);
    }

    fn publish(&mut self, count: usize, forgotten: usize, budget: usize, wanted: usize) -> Work {
        self.publish_rows(count, forgotten, budget, wanted, 0)
    }

    fn publish_rows(
        &mut self,
        count: usize,
        forgotten: usize,
        budget: usize,
        wanted: usize,
        producers: usize,
    ) -> Work {
        let keys = self.keys.clone();
        let all = [
            keys.head,
            keys.queue,
            keys.outcomes,
            keys.ops,
            keys.producers,
            keys.sealed,
            keys.staged,
            keys.paths,
            keys.pruned,
            keys.absent,
        ];
        let mut args: Vec<String> = ["-", "helper", "250", "0"].map(str::to_owned).to_vec();
        args.push(count.to_string());
        args.extend(["c", "1", "0", "10", "60000", "60000"].map(str::to_owned));
        args.extend([wanted.to_string(), producers.to_string(), "0".into(), "10".into()]);
        let rest = [forgotten.to_string(), budget.to_string(), ADOPTED.to_string(), "20".into()];
        args.extend(rest);
        args.extend((0..count).flat_map(|n| [op(n), format!("record-{n:60}")]));
        args.extend((0..producers).flat_map(|n| [format!("producer-{n:040}"), row(1, n as u64)]));
        self.run(&script::PUBLISH, &all, &args)
    }

    /// Submits ops that take what is staged, or nothing.
    fn submit_sealing(&mut self, count: usize) -> Work {
        let keys = self.keys.clone();
        let areas: Vec<_> = (0..count).map(|n| keys.area(op(AREAS + n).parse().unwrap())).collect();
        let mut all = vec![
            keys.head,
            keys.queue,
            keys.outcomes,
            keys.ops,
            keys.producers,
            keys.staged,
            keys.paths,
            keys.sealed,
        ];
        all.extend(areas.into_iter().flat_map(|(values, paths)| [values, paths]));
        all.push(keys.absent);
        let mut args = ["-", "helper", "250", "100000"].map(str::to_owned).to_vec();
        args.extend([AREAS + 1, count, 0].map(|n| n.to_string()));
        for n in 0..count {
            let element = format!("{}P", op(n));
            args.extend([op(n), element, "0".into(), "2".into(), op(AREAS + n), "0".into()]);
        }
        self.run(&script::SUBMIT, &all, &args)
    }

    fn prune(&mut self, area: &str, budget: usize) -> Work {
        let keys = self.keys.clone();
        let all = [keys.head, keys.sealed, keys.pruned, keys.absent];
        self.run(&script::PRUNE, &all, &["0".into(), area.into(), budget.to_string()])
    }
}

fn code(reply: &Value) -> i64 {
    match reply {
        Value::Int(code) => *code,
        Value::Array(values) => code(&values[0]),
        other => panic!("{other:?}"),
    }
}

fn bytes(reply: &Value) -> usize {
    match reply {
        Value::BulkString(text) => text.len(),
        Value::Array(values) => values.iter().map(bytes).sum(),
        _ => 8,
    }
}

#[test]
fn areas_are_given_back_in_steps_however_much_they_have() {
    const PATHS: usize = 20_000;
    const BUDGET: usize = 500;
    let mut rig = Rig::new();
    rig.queue(1, 100);
    rig.seal(0, &op(0), PATHS);
    rig.seal(1, &op(7), PATHS + 1);
    let area = format!("{0}{0}", op(0));
    let mut calls = 0;
    loop {
        let published = rig.publish(1, 100, 256, 0);
        assert!(published.commands <= 256 + 40, "{} commands", published.commands);
        if code(&published.reply) == 2 {
            break;
        }
        assert_eq!(code(&published.reply), 4, "nothing was published: {:?}", published.reply);
        loop {
            let pruned = rig.prune(&area, BUDGET);
            calls += 1;
            assert!(pruned.commands <= BUDGET as u64 + 20, "{} commands", pruned.commands);
            match code(&pruned.reply) {
                1 => break,
                other => assert_eq!(other, 2),
            }
        }
    }
    assert!((PATHS / BUDGET..PATHS / BUDGET + 3).contains(&calls), "{calls} calls");
    let (values, _) = rig.keys.area(op(0).parse().unwrap());
    assert_eq!(rig.plain::<usize>("HLEN", &values, &[]), PATHS, "none was in both");
    let sealed = rig.keys.sealed.clone();
    let areas: Vec<String> = rig.plain("LRANGE", &sealed, &["0", "-1"]);
    assert_eq!(areas, [format!("{}{NOBODY}", op(0)), format!("{}{}", op(1), op(7))]);
    assert!(!rig.plain::<bool>("EXISTS", &rig.keys.pruned.clone(), &[]), "nothing is left of it");
}

#[test]
fn as_many_areas_as_there_may_be_are_given_back_in_steps() {
    let mut rig = Rig::new();
    rig.queue(AREAS, 100);
    for n in 0..AREAS {
        rig.seal(n, &op(n), 2);
    }
    let mut calls = 0;
    loop {
        let published = rig.publish(AREAS, 100, 256, 0);
        calls += 1;
        // Telling the ops, a mark for each area, and what its budget is for.
        let most = (12 * AREAS + 256 + 40) as u64;
        assert!(published.commands <= most, "{} commands", published.commands);
        let Value::Array(values) = &published.reply else { panic!("{:?}", published.reply) };
        let (4, Value::BulkString(area)) = (code(&published.reply), &values[1]) else { break };
        let area = String::from_utf8(area.clone()).unwrap();
        while code(&rig.prune(&area, 500).reply) == 2 {}
    }
    println!("{calls} calls of publish");
    let sealed = rig.keys.sealed.clone();
    assert_eq!(rig.plain::<usize>("LLEN", &sealed, &[]), AREAS);
}

#[test]
fn a_full_batch_is_published_with_a_few_commands_for_each_op() {
    let mut rig = Rig::new();
    rig.queue(2 * BATCH, 200);
    // As many outcomes as an idle branch keeps, of which this batch may forget some.
    let (outcomes, ops) = (rig.keys.outcomes.clone(), rig.keys.ops.clone());
    for n in 0..4 * BATCH {
        let id = format!("0-{}", n + 1);
        let _: String = rig.plain("XADD", &outcomes, &[&id, "o", &op(100_000 + n), "r", "record"]);
        let _: i64 = rig.plain("HSET", &ops, &[&op(100_000 + n), "0"]);
    }
    let published = rig.publish(BATCH, 256 + BATCH * 3 / 2, 256, BATCH);
    assert_eq!(code(&published.reply), 2);
    // What stands in front, and the batch behind it, in pieces.
    assert!(published.commands <= BATCH as u64 + 100, "{} commands", published.commands);
}

#[test]
fn a_batch_is_adopted_in_steps_however_long_the_queue_is() {
    const DEPTH: usize = 10_000;
    let mut rig = Rig::new();
    // Of the batch only five are in the queue, and those far apart.
    let queue = rig.keys.queue.clone();
    for n in 0..DEPTH {
        let element = format!("{}P{}", op(50_000 + n), "x".repeat(163));
        let _: i64 = rig.plain("RPUSH", &queue, &[&element]);
    }
    for n in 0..5 {
        let at = (n + 1) * (DEPTH / 6);
        let _: String = rig.plain("LSET", &queue, &[&at.to_string(), &format!("{}P", op(n))]);
    }
    let before: Vec<String> = rig.plain("LRANGE", &queue, &["0", "-1"]);
    let mut calls = 0;
    let head = rig.keys.head.clone();
    loop {
        let published = rig.publish(BATCH, 100, 256, 0);
        calls += 1;
        // A page of the queue in pieces, what stands in it of the batch, and a few for all.
        let most = if code(&published.reply) == 5 { 110 } else { BATCH as u64 + 150 };
        assert!(published.commands <= most, "{} commands", published.commands);
        if code(&published.reply) == 3 {
            break;
        }
        assert_eq!(code(&published.reply), 5, "{:?}", published.reply);
        assert_eq!(rig.plain::<String>("HGET", &head, &["done"]), "0");
    }
    assert!((DEPTH / ADOPTED..=DEPTH / ADOPTED + 1).contains(&calls), "{calls} calls");
    let is_decided = |element: &String| (0..BATCH).any(|n| element.starts_with(&op(n)));
    let staying: Vec<&String> = before.iter().filter(|element| !is_decided(element)).collect();
    let after: Vec<String> = rig.plain("LRANGE", &queue, &["0", "-1"]);
    assert!(after.iter().eq(staying), "in their order");
    assert!(!rig.plain::<bool>("HEXISTS", &head, &["adopting"]));
    let ops = rig.keys.ops.clone();
    for index in [0, after.len() / 2, after.len() - 1] {
        let ticket: usize = rig.plain("HGET", &ops, &[&after[index][..36]]);
        assert_eq!(ticket, BATCH + 1 + index);
    }
}

#[test]
fn what_is_staged_is_told_and_moved_a_mebibyte_at_a_time() {
    const PATHS: usize = 1000;
    const VALUE: usize = 6 * 1024;
    let mut rig = Rig::new();
    for n in 0..2 {
        rig.seal(n, NOBODY, 0);
    }
    let (values, set) = rig.keys.area(op(0).parse().unwrap());
    for n in 0..PATHS {
        let path = format!("{n:06}");
        let _: i64 = rig.plain("HSET", &values, &[&path, &"v".repeat(VALUE)]);
        let _: i64 = rig.plain("ZADD", &set, &["0", &path]);
    }
    let most = (1 << 20) + 32 * VALUE;
    let (head, sealed) = (rig.keys.head.clone(), rig.keys.sealed.clone());
    let keys = [head.clone(), values.clone(), set, sealed.clone()];
    let args = ["range", "-", "+", "1000"].map(str::to_owned);
    let staged = rig.run(&script::STAGED, &keys, &args);
    assert!((1 << 20..=most).contains(&bytes(&staged.reply)), "{} bytes", bytes(&staged.reply));
    let Value::Array(told) = &staged.reply else { panic!("{:?}", staged.reply) };
    assert_eq!(code(&told[6]), 1, "there are others behind them");
    let mut left = PATHS;
    while left > 0 {
        let args = [String::new(), "500".into()];
        let united = rig.run(&script::UNITE, &[head.clone(), sealed.clone()], &args);
        let now: usize = rig.plain("HLEN", &values, &[]);
        assert!(left > now && (left - now) * VALUE <= most, "{} moved", left - now);
        assert!(united.commands < 60, "{} commands", united.commands);
        left = now;
    }
    let (newer, _) = rig.keys.area(op(1).parse().unwrap());
    assert_eq!(rig.plain::<usize>("HLEN", &newer, &[]), PATHS);
}

#[test]
fn the_rows_of_as_many_producers_as_a_batch_has_are_published_with_a_few_commands() {
    let mut rig = Rig::new();
    rig.queue(BATCH, 200);
    let published = rig.publish_rows(BATCH, 256 + BATCH * 3 / 2, 256, BATCH, BATCH_PRODUCERS_MAX);
    assert_eq!(code(&published.reply), 2);
    assert!(published.commands <= BATCH as u64 + 60, "{} commands", published.commands);
    let producers = rig.keys.producers.clone();
    assert_eq!(rig.plain::<usize>("HLEN", &producers, &[]), BATCH_PRODUCERS_MAX);
    let last = format!("producer-{:040}", BATCH_PRODUCERS_MAX - 1);
    let told: String = rig.plain("HGET", &producers, &[&last]);
    assert_eq!(told, row(1, BATCH_PRODUCERS_MAX as u64 - 1));
}

#[test]
fn a_reply_carries_no_more_of_a_queue_than_a_mebibyte_and_some() {
    const ELEMENT: usize = 24 * 1024;
    let mut rig = Rig::new();
    rig.queue(200, ELEMENT);
    let most = (1 << 20) + 32 * ELEMENT;
    let keys = [rig.keys.head.clone(), rig.keys.queue.clone(), rig.keys.sealed.clone()];
    let args = ["-", "helper", "250", "1", "1024", "0"].map(str::to_owned);
    let viewed = rig.run(&script::VIEW, &keys, &args);
    assert!((1 << 20..=most).contains(&bytes(&viewed.reply)), "{} bytes", bytes(&viewed.reply));
    let published = rig.publish(1, 100, 256, BATCH);
    assert!((1 << 20..=most).contains(&bytes(&published.reply)));
    let of_all: BTreeMap<&str, u64> =
        [("view", viewed.commands), ("publish", published.commands)].into();
    assert!(of_all.values().all(|commands| *commands < 60), "{of_all:?}");
}

#[test]
fn ops_that_seal_read_the_list_of_areas_once_a_call() {
    const OPS: usize = 512;
    let mut rig = Rig::new();
    for n in 0..AREAS {
        rig.seal(n, if n % 2 == 0 { NOBODY } else { "waits-for-its-turn-in-the-queue-----" }, 1);
    }
    let (staged, paths) = (rig.keys.staged.clone(), rig.keys.paths.clone());
    let _: i64 = rig.plain("HSET", &staged, &["path", "v"]);
    let _: i64 = rig.plain("ZADD", &paths, &["0", "path"]);
    let submitted = rig.submit_sealing(OPS);
    let Value::Array(values) = &submitted.reply else { panic!("{:?}", submitted.reply) };
    let codes: Vec<i64> = values[8..].chunks(3).map(|result| code(&result[0])).collect();
    assert_eq!(codes, [1; OPS]);
    // A mark for each area that was given back, which the first op takes, and a few for all.
    let most = (AREAS / 2 + 30) as u64;
    assert!(submitted.commands <= most, "{} commands", submitted.commands);
    let sealed = rig.keys.sealed.clone();
    let areas: Vec<String> = rig.plain("LRANGE", &sealed, &["0", "-1"]);
    assert_eq!(areas.iter().filter(|area| area.ends_with(&op(0))).count(), AREAS / 2 + 1);
    assert_eq!(areas.len(), AREAS + 1);
    let Value::Array(told) = &values[7] else { panic!("{:?}", values[7]) };
    assert_eq!(bytes(&values[7]), areas.iter().map(String::len).sum::<usize>());
    assert_eq!(told.len(), areas.len());
    let queue = rig.keys.queue.clone();
    let elements: Vec<String> = rig.plain("LRANGE", &queue, &["0", "-1"]);
    assert_eq!(elements, (0..OPS).map(|n| format!("{}P", op(n))).collect::<Vec<_>>());
}

#[test]
fn a_full_board_is_written_read_and_emptied_with_a_command_for_each_offer() {
    let mut rig = Rig::new();
    let key = rig.keys.board("iceberg/a/t.table");
    let what = "x".repeat(OFFER_BYTES_MAX);
    let mut args: Vec<String> = ["-", "60000"].map(str::to_owned).into();
    args.extend([OFFERS_MAX, OFFERS_MAX + 1].map(|n| n.to_string()));
    args.extend((0..=OFFERS_MAX).map(|n| op(n) + &what));
    let keys = [key.clone(), rig.keys.absent.clone()];
    let offered = rig.run(&script::OFFER, &keys, &args);
    let mut there: Vec<i64> = redis::from_redis_value(offered.reply).unwrap();
    assert_eq!(there.pop(), Some(0), "one finds no place");
    assert_eq!(there, [1; OFFERS_MAX]);
    assert!(offered.commands <= OFFERS_MAX as u64 + 4, "{} commands", offered.commands);
    let told = rig.run(&script::OFFERS, &keys, &["-".to_owned(), "0".to_owned()]);
    assert_eq!(bytes(&told.reply), OFFERS_MAX * (36 + OFFER_BYTES_MAX));
    assert!(told.commands <= 2, "{} commands", told.commands);
    let mut args = vec!["-".to_owned(), OFFERS_MAX.to_string()];
    args.extend((0..OFFERS_MAX).map(op));
    let emptied = rig.run(&script::OFFERS, &keys, &args);
    assert!(emptied.commands <= OFFERS_MAX as u64 + 2, "{} commands", emptied.commands);
    assert_eq!(rig.plain::<usize>("EXISTS", &key, &[]), 0);
}
