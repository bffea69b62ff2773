//! Boards: random calls on a server and on a list in memory give the same replies and leave the same.

use std::cell::RefCell;

use onward::internals::coord::script::{self, Script};
use onward::internals::coord::{BranchKeys, ScriptCall};
use onward::internals::model::ids::BranchUid;
use proptest::collection::vec;
use proptest::prelude::*;
use redis::{ConnectionLike, Value};

use super::steps::op;
use crate::support::redis::RedisServer;
use crate::support::seed::campaign;

const CASES: u32 = 300;
/// Far enough away that no key expires while a test looks.
const LIFE_MS: u64 = 3_600_000;

/// One call; times are hours, so that offers grow old.
#[derive(Clone, Debug)]
enum Step {
    Offer { most: usize, offers: Vec<(usize, String)> },
    Offers { taken_back: Vec<usize> },
    Pass { minutes: u64 },
}

fn any_step() -> impl Strategy<Value = Step> {
    let offer = (0..12usize, "[a-c]{0,3}");
    prop_oneof![
        (0..8usize, vec(offer, 0..5)).prop_map(|(most, offers)| Step::Offer { most, offers }),
        vec(0..12usize, 0..4).prop_map(|taken_back| Step::Offers { taken_back }),
        (1..40u64).prop_map(|minutes| Step::Pass { minutes }),
    ]
}

/// What a board has: until when, and the offer.
#[derive(Default, Debug)]
struct Board(Vec<(u64, String)>);

impl Board {
    fn offer(&mut self, now_ms: u64, most: usize, offers: &[String]) -> Vec<i64> {
        self.0.retain(|(until, _)| *until > now_ms);
        let mut told = Vec::new();
        for offer in offers {
            let is_there =
                |board: &Self| board.0.iter().any(|(_, there)| there[..36] == offer[..36]);
            if !is_there(self) && self.0.len() < most {
                self.0.push((now_ms + LIFE_MS, offer.clone()));
            }
            told.push(i64::from(is_there(self)));
        }
        told
    }

    fn offers(&mut self, now_ms: u64, taken_back: &[String]) -> Vec<String> {
        let stays = |until: u64, id: &str| until > now_ms && taken_back.iter().all(|one| one != id);
        self.0.retain(|(until, offer)| stays(*until, &offer[..36]));
        self.0.iter().map(|(_, offer)| offer.clone()).collect()
    }
}

fn run(
    on: &mut impl ConnectionLike,
    script: &'static Script,
    keys: &[&str],
    args: &[String],
) -> Value {
    let mut call = ScriptCall::on(script, keys);
    for arg in args {
        call.bytes(arg);
    }
    call.teaching().query(on).unwrap()
}

fn texts(reply: &Value) -> Vec<String> {
    redis::from_redis_value(reply.clone()).unwrap()
}

#[test]
fn offers_are_found_until_they_are_old_or_taken_back() {
    let redis = RedisServer::forgetful();
    holds_on(redis.connect());
}

#[cfg(feature = "simulation")]
#[test]
fn offers_are_found_the_same_on_a_simulated_server() {
    holds_on(crate::simulation::Direct::new());
}

fn holds_on(connection: impl ConnectionLike) {
    let connection = RefCell::new(connection);
    let uid = RefCell::new(0);
    campaign(&vec(any_step(), 1..30), CASES, |steps| {
        let mut connection = connection.borrow_mut();
        *uid.borrow_mut() += 1;
        let keys = BranchKeys::new(&"lake".parse().unwrap(), BranchUid(*uid.borrow()));
        let key = keys.board("iceberg/a/t.table");
        let (mut board, mut now_ms) = (Board::default(), 1_790_000_000_000);
        for step in steps {
            match step {
                Step::Pass { minutes } => now_ms += minutes * 60_000,
                Step::Offer { most, offers } => {
                    let offers: Vec<String> =
                        offers.iter().map(|(id, what)| op(*id) + what).collect();
                    let mut args: Vec<String> = [now_ms, LIFE_MS, most as u64, offers.len() as u64]
                        .map(|n| n.to_string())
                        .into();
                    args.extend(offers.iter().cloned());
                    let found = run(&mut *connection, &script::OFFER, &[&key, &keys.absent], &args);
                    let expected = board.offer(now_ms, most, &offers);
                    let found: Vec<i64> = redis::from_redis_value(found).unwrap();
                    prop_assert_eq!(found, expected, "{:?}", board);
                }
                Step::Offers { taken_back } => {
                    let ids: Vec<String> = taken_back.iter().map(|id| op(*id)).collect();
                    let mut args = vec![now_ms.to_string(), ids.len().to_string()];
                    args.extend(ids.iter().cloned());
                    let found =
                        run(&mut *connection, &script::OFFERS, &[&key, &keys.absent], &args);
                    prop_assert_eq!(texts(&found), board.offers(now_ms, &ids));
                }
            }
            let all: Value =
                redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).query(&mut *connection).unwrap();
            let expected: Vec<String> =
                board.0.iter().map(|(until, offer)| format!("{until:016}{offer}")).collect();
            prop_assert_eq!(texts(&all), expected);
        }
        Ok(())
    });
}

#[test]
fn a_board_that_nobody_looks_at_is_gone_after_a_minute() {
    let redis = RedisServer::forgetful();
    let mut connection = redis.connect();
    let keys = BranchKeys::new(&"lake".parse().unwrap(), BranchUid(1));
    let key = keys.board("t");
    let args = ["-", "60000", "64", "1", &op(1)].map(str::to_owned);
    run(&mut connection, &script::OFFER, &[&key, &keys.absent], &args);
    let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap();
    assert!((1..=60_000).contains(&left), "{left}");
}

#[test]
fn what_is_on_a_full_board_is_told_behind_a_lost_reply() {
    let redis = RedisServer::forgetful();
    let mut connection = redis.connect();
    let keys = BranchKeys::new(&"lake".parse().unwrap(), BranchUid(1));
    let key = keys.board("t");
    let mut offer = |most: &str, ids: &[usize]| -> Vec<i64> {
        let mut args: Vec<String> =
            ["-", "60000", most, &ids.len().to_string()].map(str::to_owned).into();
        args.extend(ids.iter().map(|id| op(*id)));
        let told = run(&mut connection, &script::OFFER, &[&key, &keys.absent], &args);
        redis::from_redis_value(told).unwrap()
    };
    assert_eq!(offer("3", &[1, 2, 3]), [1, 1, 1]);
    // One of them is landed by another, whose own takes its place before the call is made again.
    let mut other = redis.connect();
    let args = ["-".to_owned(), "1".to_owned(), op(1)];
    run(&mut other, &script::OFFERS, &[&key, &keys.absent], &args);
    assert_eq!(offer("3", &[4]), [1]);
    assert_eq!(offer("3", &[1, 2, 3]), [0, 1, 1]);
}
