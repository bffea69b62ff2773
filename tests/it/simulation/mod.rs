//! The simulation: the real commit path and the real scripts, over simulated servers, under a clock
//! and a chance that follow from a seed.
//!
//! A history is a few processes with clients, and whatever goes wrong meanwhile: messages that are
//! cut, lost or late; processes that are killed or paused at any moment; servers that come back with
//! less than they had, or believe in two places to be the primary; an object store that fails, with
//! and without effect; clocks that jump. At its end everything works again, and whatever was begun
//! has to come to its end. Then the log is audited (`audit.rs`).
//!
//! `ONWARD_TEST_SEED=… ONWARD_TEST_CASES=1` runs one history again, with its record printed;
//! `make simulate CASES=…` runs as many as one likes.

mod audit;
mod client;
mod history;
mod plan;
mod process;
mod redis;
mod storage;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::history::{Report, Shape, run};
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

#[test]
fn every_history_keeps_the_promises() {
    let (shape, wrong) = histories(seed(), cases(2000).into(), unchanged);
    println!("{shape}");
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
pub fn main() {
    every_history_keeps_the_promises();
}
