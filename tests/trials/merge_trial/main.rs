//! Merges of many branches at once on real files, held against a plain three-way merge.
//!
//! ```text
//! cargo run --release --example merge_trial -- /usr/share/doc /usr/include
//! ```
//!
//! All files of the trees are linked into a repository, branches change them, and as many
//! processes merge the branches back at the same moment while others commit. Then every commit and
//! every outcome is compared with what the same merges, one after another over hash maps, come to.
//! Exit code 1 means that something differs.

mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use onward::internals::clock;
use onward::internals::local::{self, LocalInstance};
use onward::{Error, Result};
use trial::{Options, Place, Report};

/// Merge many branches at once and hold the result against a plain three-way merge.
#[derive(Debug, Parser)]
struct Args {
    /// Trees of files [default: /usr/share/doc and /usr/include, where they exist]
    dirs: Vec<PathBuf>,
    /// Branches, and processes that merge them
    #[arg(long, default_value_t = 50, value_name = "N")]
    branches: usize,
    /// Repeats a trial [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Changes of a large branch
    #[arg(long, default_value_t = 5500, value_name = "N")]
    large: usize,
    /// At most so many files of all trees together
    #[arg(long, default_value_t = 40_000, value_name = "N")]
    files: usize,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let done = match std::env::var(trial::JOB) {
        Ok(job) => trial::in_runtime(trial::worker(&job)).map(|()| true),
        Err(_) => begin(Args::parse()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(args: Args) -> Result<bool> {
    let mut dirs = args.dirs;
    if dirs.is_empty() {
        dirs = ["/usr/share/doc", "/usr/include"].map(PathBuf::from).to_vec();
        dirs.retain(|dir| dir.is_dir());
    }
    let seed = args.seed.unwrap_or_else(|| clock::random_u64() >> 32);
    let (branches, large, files) = (args.branches, args.large, args.files);
    let options = Options { dirs, branches, seed, large, files };
    eprintln!("seed {seed} (--seed {seed} repeats it)");
    let failed = |error| Error::unavailable("no place to work in: check /tmp").with_source(error);
    let dir = tempfile::Builder::new().prefix("onward-trial-").tempdir().map_err(failed)?;
    let instance = LocalInstance::ensure(dir.path())?;
    let place = Place { redis: instance.redis_url, storage: instance.storage_url };
    let program = std::env::current_exe().map_err(failed)?;
    let command = move || tokio::process::Command::new(&program);
    let report = trial::in_runtime(trial::run(&place, &options, &command));
    local::stop(dir.path())?;
    let report = report?;
    match args.json {
        true => println!("{}", report.json()),
        false => print(&report),
    }
    Ok(report.holds())
}

fn print(report: &Report) {
    for (what, value) in report.rows() {
        println!("{what:<34} {value}");
    }
    for difference in &report.differences {
        println!("DIFFERENCE  {difference}");
    }
    println!("{}", if report.holds() { "All of it is equal." } else { "Not all of it is equal." });
}
