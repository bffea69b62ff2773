//! The simulation: the real commit path and the real scripts, over simulated servers, under a clock
//! and a chance that follow from a seed.
//!
//! A history is a few processes with clients, and whatever goes wrong meanwhile: messages that are
//! cut, lost or late; processes that are killed or paused at any moment; servers that come back with
//! less than they had, or believe in two places to be the primary; an object store that fails, with
//! and without effect; clocks that jump; queues that are full, and areas that are given back until they have to make
//! room. At its end everything works again, and whatever was begun
//! has to come to its end. Then the log is audited (`audit.rs`).
//!
//! `ONWARD_TEST_SEED=… ONWARD_TEST_CASES=1` runs one history again, with its record printed where it
//! goes wrong, or as it happens with `ONWARD_TEST_RECORD=1`;
//! `make simulate CASES=…` runs as many as one likes.

mod audit;
mod client;
mod history;
mod plan;
mod process;
mod redis;
mod storage;
mod watched;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::history::{Report, Shape, run};
pub use self::redis::Direct;
use self::redis::{Change, unchanged};
use crate::support::seed::{cases, seed};

/// Threads that run histories side by side.
const THREADS: usize = 2;

/// Lines of the record that are printed when a history goes wrong.
const LINES: usize = 2000;

/// Runs histories from seed `first` on until `count` are done or one goes wrong.
fn histories(first: u64, count: u64, change: Change) -> (Shape, Option<Report>) {
    let next = AtomicU64::new(0);
    let found: Mutex<(Shape, Option<Report>)> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || found.lock().unwrap().1.is_some() {
                        return;
                    }
                    let report = run(first.wrapping_add(number), change, false);
                    let mut found = found.lock().unwrap();
                    found.0 += report.shape;
                    if !report.wrong.is_empty() && found.1.is_none() {
                        found.1 = Some(report);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// Runs `count` histories from seed `first` on; tells what they were, and fails with the record of
/// the first that goes wrong.
pub fn campaign(first: u64, count: u64) {
    let (shape, wrong) = histories(first, count, unchanged);
    println!("{count} histories from seed {first}: {shape}");
    if let Some(report) = wrong {
        let again = run(report.seed, unchanged, true);
        let from = again.record.len().saturating_sub(LINES);
        panic!(
            "{}\n{}\nONWARD_TEST_SEED={} ONWARD_TEST_CASES=1 repeats this",
            again.record[from..].join("\n"),
            report.wrong.join("\n"),
            report.seed
        );
    }
}

#[test]
fn every_history_keeps_the_promises() {
    campaign(seed(), cases(2000).into());
}

#[test]
fn a_seed_always_gives_the_same_history() {
    let first = seed();
    for seed in first..first + 20 {
        let (one, other) = (run(seed, unchanged, true), run(seed, unchanged, true));
        if one.fingerprint != other.fingerprint {
            let differs = one.record.iter().zip(&other.record).position(|(a, b)| a != b);
            let at = differs.unwrap_or(0);
            panic!("seed {seed}, line {at}:\n{:?}\n{:?}", one.record.get(at), other.record.get(at));
        }
    }
}

/// The scripts, one of them broken so that the text it has no longer holds.
fn without(script: &str, name: &str, text: &str, from: &str, to: &str) -> String {
    if name != script {
        return text.to_owned();
    }
    assert!(text.contains(from), "{script}.lua no longer has '{from}'");
    text.replace(from, to)
}

/// Histories until one goes wrong, at most.
const HISTORIES_TO_FIND: u64 = 2000;

fn is_found(change: Change) {
    let first = seed();
    let (shape, wrong) = histories(first, HISTORIES_TO_FIND, change);
    let wrong = wrong.unwrap_or_else(|| panic!("not found from seed {first}: {shape}"));
    println!("seed {}: {}", wrong.seed, wrong.wrong.join("; "));
}

/// Scripts as of before there were inboxes, or whose letters all go astray.
fn silent(name: &str, text: &str) -> String {
    let put = "redis.call('RPUSH', key, text)";
    match name {
        "submit" | "publish" => without(name, name, text, put, "redis.call('LLEN', key)"),
        _ => text.to_owned(),
    }
}

#[test]
fn nobody_relies_on_being_told() {
    let (shape, wrong) = histories(seed(), u64::from(cases(2000)) / 4, silent);
    println!("{shape}");
    if let Some(report) = wrong {
        panic!("{}: {}", report.seed, report.wrong.join("\n"));
    }
}

#[test]
fn a_publish_that_does_not_compare_is_found() {
    is_found(|name, text| {
        without("publish", name, text, "if done_now ~= done_before then", "if false then")
    });
}

#[test]
fn a_publish_that_takes_whatever_is_in_front_is_found() {
    is_found(|name, text| {
        let text = without(
            "publish",
            name,
            text,
            "  if not adopt() then\n    return {5}\n  end",
            "  redis.call('LTRIM', queue_key, count, -1)",
        );
        without("publish", name, &text, "local function adopt()", "local function unused()")
    });
}

#[test]
fn a_publish_that_moves_on_before_the_queue_is_counted_is_found() {
    is_found(|name, text| {
        without(
            "publish",
            name,
            text,
            "  if not adopt() then\n    return {5}",
            "  if adopt() == 7 then\n    return {5}",
        )
    });
}

#[test]
fn a_submit_that_knows_no_op_again_is_found() {
    is_found(|name, text| {
        without("submit", name, text, "or known_tickets[number]", "or (false and known_tickets)")
    });
}

#[test]
fn a_submit_that_takes_what_it_forgot_for_new_is_found() {
    is_found(|name, text| {
        without("submit", name, text, "ARGV[at + 6] == '1' and forgetful", "ARGV[at + 6] == '2'")
    });
}

#[test]
fn a_publish_that_tells_the_first_of_several_producers_only_is_found() {
    is_found(|name, text| {
        without("publish", name, text, "#rows > 0 and i == producer_count", "#rows > 0 and i == 1")
    });
}
