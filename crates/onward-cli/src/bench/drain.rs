//! A backlog, decided as fast as it goes: the storage stands still while ops are accepted, then
//! goes on.

use futures::{StreamExt, TryStreamExt};
use onward::internals::clock;
use onward::internals::repo::TicketHandle;
use onward::{Config, Entry, Error, Outcome, Result};
use serde_json::json;

use super::run::Bench;
use super::table::Cell;
use super::weather::Stalled;

/// Ops submitted at the same time.
const SUBMITTED: usize = 512;

#[derive(Debug, clap::Args)]
pub struct DrainArgs {
    /// Queued commits; each number is measured
    #[arg(long, value_name = "N[,N…]", value_delimiter = ',', default_values_t = [25_000u64, 50_000, 100_000], value_parser = clap::value_parser!(u64).range(1..=131_072))]
    count: Vec<u64>,
}

/// Measures every backlog.
pub async fn run(bench: &Bench<'_>, args: &DrainArgs) -> Result<bool> {
    for count in &args.count {
        bench.teller.begin(|| format!("{count} queued commits"));
        let repo = bench.repo().await?;
        let seconds = drain(bench, &repo, *count).await;
        bench.weather.stall(Stalled::Nothing);
        let seconds = seconds?;
        let per_second = *count as f64 / seconds;
        bench.teller.tell(
            || {
                json!({
                    "scenario": "drain",
                    "strategy": "onward",
                    "commits": count,
                    "seconds": seconds,
                    "commits_per_second": per_second,
                })
            },
            || {
                vec![
                    Cell::number("queued", 7, count),
                    Cell::number("seconds", 7, format!("{seconds:.2}")),
                    Cell::number("commits/s", 9, format!("{per_second:.0}")),
                ]
            },
        )?;
    }
    Ok(true)
}

/// Seconds from the moment at which the storage goes on to the last acknowledgement.
async fn drain(bench: &Bench<'_>, repo: &str, count: u64) -> Result<f64> {
    let branch = bench.onward.repo(repo).branch("main");
    bench.weather.stall(Stalled::Writes);
    let submitted = (0..count).map(|number| {
        let path = format!("backlog/part={:03}/{number:09}.parquet", number % 100);
        let entry = Entry::new(format!("s3://bench/{path}"), 1_234, format!("{number:032x}"));
        branch.change().put(path, entry).submit()
    });
    let mut handles: Vec<TicketHandle> =
        futures::stream::iter(submitted).buffer_unordered(SUBMITTED).try_collect().await?;
    let watch = clock::Stopwatch::start();
    bench.weather.stall(Stalled::Nothing);
    for handle in &mut handles {
        match handle.wait(Config::TIMEOUT_MAX).await? {
            Outcome::Committed { .. } => {}
            other => return Err(Error::internal(format!("a commit ended as {}", other.name()))),
        }
    }
    Ok(watch.elapsed().as_secs_f64())
}
