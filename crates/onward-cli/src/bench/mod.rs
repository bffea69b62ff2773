//! `bench`: how fast this deployment is, scenario by scenario, with the ways of others beside it.

use std::sync::Mutex;
use std::time::Duration;

use clap::Subcommand;

use super::args::{Global, duration};
use super::exit::{Done, Exit, Failure};
use super::out::Out;
use super::session::config_or_new;
use super::signals::Signals;
use run::{Bench, connect};
use teller::Teller;
use weather::Weather;

mod bulk;
mod compare;
mod contend;
mod cycle;
mod drain;
mod floor;
mod grow;
mod huge;
#[cfg(feature = "iceberg")]
mod iceberg;
pub mod jobs;
#[cfg(feature = "kafka")]
mod kafka;
mod merges;
mod plot;
mod processes;
mod read;
mod rig;
mod rivals;
mod run;
mod sample;
mod server;
mod sidecar;
mod stall;
mod table;
mod teller;
mod waiting;
mod weather;

/// What to measure, and under what conditions.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    scenario: Scenario,
    /// Let each request to the storage take so much longer (give or take a third, one in a hundred
    /// 500 ms), as those to a cloud store do
    #[arg(long, global = true, value_name = "DUR", value_parser = duration)]
    storage_latency: Option<Duration>,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Scenario {
    /// Many writers commit to one branch: how many commits in a second, how long each, how fair
    #[command(
        after_help = "Examples:\n  onward bench contend --writers 1,8,64\n  onward bench contend --strategy onward,optimistic,bag,lock --plot contend.svg\n  onward bench contend --writers 32 --processes 32 --json"
    )]
    Contend(contend::ContendArgs),
    /// Commits arrive at a rate while Redis or the storage stalls for a while: what it takes to
    /// come back
    #[command(
        after_help = "Example: onward bench stall --rate 200 --strategy onward,optimistic,bag,lock --plot stall.svg"
    )]
    Stall(stall::StallArgs),
    /// A backlog of queued commits, all decided as fast as it goes
    #[command(after_help = "Example: onward bench drain --count 50000,100000")]
    Drain(drain::DrainArgs),
    /// Many branches are merged into one at the same time
    #[command(after_help = "Example: onward bench merge --count 1000 --writers 50")]
    Merge(merges::MergeArgs),
    /// One commit, or one merge, of very many changes, by a process of its own
    #[command(
        after_help = "Example: onward bench bulk --changes 1000000 --by file,staging,merge --entries 10000000"
    )]
    Bulk(bulk::BulkArgs),
    /// Lookups and listings, at the head and in history, by a new process and a warm one
    #[command(after_help = "Example: onward bench read --entries 1000000 --tasks 64")]
    Read(read::ReadArgs),
    /// One-change commits on branches of more and more entries, all measured in turns
    #[command(after_help = "Example: onward bench grow --entries 100,10000,1000000")]
    Grow(grow::GrowArgs),
    /// Connections of many processes that wait on one branch: what they cost Redis
    #[command(after_help = "Example: onward bench waiting --processes 1000,9900")]
    Waiting(waiting::WaitingArgs),
    /// Clients of a lakeFS server each make a branch, upload, commit and merge, over and over: this
    /// deployment's sidecar, or any server that speaks lakeFS's API
    #[command(
        after_help = "Examples:\n  onward bench cycle --clients 1,8,32\n  onward bench cycle --server https://lakefs.example.org --storage-namespace s3://bucket/bench\n\nThe keys for --server: --access-key-id and the variable ONWARD_SECRET_ACCESS_KEY."
    )]
    Cycle(cycle::CycleArgs),
    /// Two programs measured in turns, and the ratios of their medians
    #[command(
        after_help = "Examples:\n  onward bench compare --old ./onward-1.0\n  onward bench compare --old ./onward-1.0 --in /dev/shm -- contend --writers 64 --processes 32\n  onward bench compare --old ./onward-1.0 -- cycle --clients 8,32"
    )]
    Compare(compare::CompareArgs),
    /// Writers of one Iceberg table, by the sidecar's catalog: how many appends in a second while the table
    /// grows, and beside that what optimistic retry makes of it
    #[cfg(feature = "iceberg")]
    #[command(
        after_help = "Examples:\n  onward bench iceberg\n  onward bench iceberg --scenes grow --appends 10000 --sidecars 2"
    )]
    Iceberg(iceberg::IcebergArgs),
    /// Records of a topic to a branch, beside a consumer that only counts them
    #[cfg(feature = "kafka")]
    #[command(
        after_help = "Example: onward bench kafka --brokers localhost:9092 --records 1000000 --formats jsonl,parquet"
    )]
    Kafka(kafka::KafkaArgs),
}

/// Measures.
pub async fn run(global: &Global, out: &Out, args: BenchArgs) -> Done {
    let teller = Teller::new(out);
    let sound = match &args.scenario {
        Scenario::Cycle(cycle) if cycle.server.is_some() => {
            cycle::elsewhere(&teller, out, cycle).await
        }
        Scenario::Compare(args) => unless_told(out, compare::run(&teller, args)).await,
        _ => here(global, out, &teller, &args).await,
    };
    teller.end();
    Ok(if sound? { Exit::Done } else { Exit::Unexpected })
}

/// Measures until it is done, or until it is told to stop.
async fn unless_told(
    out: &Out,
    measure: impl Future<Output = onward::Result<bool>>,
) -> Result<bool, Failure> {
    let mut signals = Signals::listen(*out)?;
    tokio::select! {
        sound = measure => sound.map_err(Failure::from),
        () = signals.caught() => Err(Failure::Interrupted),
    }
}

/// Measures this deployment; whether all went well.
async fn here(
    global: &Global,
    out: &Out,
    teller: &Teller,
    args: &BenchArgs,
) -> Result<bool, Failure> {
    let weather = Weather::new(args.storage_latency);
    let config = config_or_new(global).await?;
    let onward = connect(&config, &weather).await?;
    let made = Mutex::default();
    let bench = Bench { onward: &onward, config: &config, weather: &weather, teller, made };
    let measure = async {
        match &args.scenario {
            Scenario::Contend(args) => contend::run(&bench, args).await,
            Scenario::Stall(args) => stall::run(&bench, args).await,
            Scenario::Drain(args) => drain::run(&bench, args).await,
            Scenario::Merge(args) => merges::run(&bench, args).await,
            Scenario::Bulk(args) => bulk::run(&bench, args).await,
            Scenario::Read(args) => read::run(&bench, args).await,
            Scenario::Grow(args) => grow::run(&bench, args).await,
            Scenario::Waiting(args) => waiting::run(&bench, args).await,
            Scenario::Cycle(args) => cycle::here(&bench, args).await,
            // Is not about this deployment.
            Scenario::Compare(args) => compare::run(teller, args).await,
            #[cfg(feature = "iceberg")]
            Scenario::Iceberg(args) => iceberg::run(&bench, args).await,
            #[cfg(feature = "kafka")]
            Scenario::Kafka(args) => kafka::run(&bench, args).await,
        }
    };
    let sound = unless_told(out, measure).await;
    weather.stall(weather::Stalled::Nothing);
    bench.clean().await?;
    let sound = sound?;
    onward.close().await;
    Ok(sound)
}
