//! Explores the model of the commit protocol further than the tests do: `make model`.
//!
//! Arguments: how long a scope may take, in seconds (3600), and words that the scope's name must
//! contain. Ends with an error where something does not hold, is never seen, or takes too long.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    dead_code,
    reason = "a tool for developers, which shares its model with the tests"
)]

#[path = "../../it/model/mod.rs"]
mod model;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use model::bugs::Bug;
use model::check::{check, shortest, steps, told};
use model::scopes;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let limit = arguments.next().map_or(3600, |seconds| seconds.parse().expect("seconds"));
    let limit = Duration::from_secs(limit);
    let words: Vec<String> = arguments.collect();
    let wanted = |name: &str| words.iter().all(|word| name.contains(word));
    let mut all_hold = true;
    for scope in scopes::small().into_iter().chain(scopes::large()) {
        if wanted(scope.name) {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let began = Instant::now();
            let report = check(&scope, threads, Some(limit));
            let whole = if began.elapsed() < limit { "all of it" } else { "stopped" };
            all_hold &= report.is_good() && began.elapsed() < limit;
            println!("{report}\n  {whole} in {:.1} s", began.elapsed().as_secs_f64());
        }
    }
    for bug in Bug::ALL.into_iter().filter(|_| words.is_empty()) {
        let scope = scopes::broken(bug);
        match shortest(&scope) {
            None => all_hold = false,
            Some((broken, path)) => {
                println!(
                    "\n{bug:?}: {} does not hold after {} steps",
                    broken.join(", "),
                    steps(&path)
                );
                print!("{}", told(&scope, &path));
            }
        }
    }
    match all_hold {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
