//! Commits arrive at a rate, whether or not earlier ones are done; for a while Redis or the
//! storage does not answer. What matters is what happens afterwards.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use onward::Result;
use onward::internals::clock;
use onward::internals::clock::Deadline;
use serde_json::{Value, json};

use super::plot::Chart;
use super::rig::{Rig, Strategy};
use super::run::Bench;
use super::sample::Latencies;
use super::weather::Stalled;

/// Length of a slot of the series, in seconds.
const SLOT: f64 = 0.25;

/// How often arrivals are made up for.
const TICK: Duration = Duration::from_millis(2);

/// What does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Requests to the storage wait
    Storage,
    /// All clients of this Redis wait (`CLIENT PAUSE`)
    Redis,
}

#[derive(Debug, clap::Args)]
pub struct StallArgs {
    /// Commits that arrive in a second
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How long commits arrive before the stall
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration, default_value = "5s")]
    before: Duration,
    /// How long nothing answers
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration, default_value = "10s")]
    stall: Duration,
    /// How long commits go on arriving afterwards
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration, default_value = "15s")]
    after: Duration,
    /// What does not answer
    #[arg(long, value_name = "PART", default_value = "storage")]
    part: Part,
    /// How commits are made; several are compared
    #[arg(long, value_name = "S[,S…]", value_delimiter = ',', default_value = "onward")]
    strategy: Vec<Strategy>,
    /// Draw a picture (SVG) into this file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// What happened, by slots of time.
#[derive(Debug, Default)]
struct Series {
    slots: Vec<Slot>,
    errors: u64,
    error: Option<String>,
}

#[derive(Debug, Clone)]
struct Slot {
    arrived: u64,
    done: u64,
    latencies: Latencies,
}

/// How one strategy came through it.
#[derive(Debug)]
struct Course {
    strategy: Strategy,
    series: Series,
    /// Commits under way at the end of each slot.
    depths: Vec<u64>,
    /// Seconds from the end of the stall until no more were under way than before it.
    recovered: Option<f64>,
}

/// Measures every strategy.
pub async fn run(bench: &Bench<'_>, args: &StallArgs) -> Result<bool> {
    let shaded = args.before.as_secs_f64()..(args.before + args.stall).as_secs_f64();
    let mut charts = [
        Chart::over_time("commits under way", shaded.clone()),
        Chart::over_time("time to commit, p99 (ms)", shaded),
    ];
    let mut sound = true;
    for strategy in &args.strategy {
        let course = course(bench, args, *strategy).await?;
        sound &= course.series.errors == 0;
        let name = strategy.name();
        for (number, slot) in course.series.slots.iter().enumerate() {
            let [depth, p99] = &mut charts;
            let at = (number + 1) as f64 * SLOT;
            depth.add(name, at, course.depths.get(number).copied().unwrap_or(0) as f64);
            if slot.done > 0 {
                p99.add(name, at, slot.latencies.quantile_ms(0.99));
            }
        }
        bench.tell(|| json(args, &course), || line(args, &course))?;
        if let Some(error) = &course.series.error {
            let errors = course.series.errors;
            bench.out.note(&format!("{errors} commits failed, the first: {error}"));
        }
    }
    bench.draw(args.plot.as_deref(), &charts)?;
    Ok(sound)
}

async fn course(bench: &Bench<'_>, args: &StallArgs, strategy: Strategy) -> Result<Course> {
    let repo = bench.repo().await?;
    let rig = Rig::open(bench.onward, &repo, strategy).await?;
    let series: Arc<Mutex<Series>> = Arc::default();
    let watch = clock::Stopwatch::start();
    let stall = async {
        tokio::time::sleep(args.before).await;
        stall(bench, args).await
    };
    let (tasks, stalled) = tokio::join!(arrivals(&rig, &series, args, watch), stall);
    bench.weather.stall(Stalled::Nothing);
    stalled?;
    // Those that are still under way get as long again; then they are left.
    let deadline = Deadline::after(args.after);
    for task in &tasks {
        while !task.is_finished() && !deadline.is_over() {
            tokio::time::sleep(TICK).await;
        }
        task.abort();
    }
    rig.finish().await?;
    let series = std::mem::take(&mut *series.lock().unwrap_or_else(PoisonError::into_inner));
    let mut under_way = 0u64;
    let depths: Vec<u64> = series
        .slots
        .iter()
        .map(|slot| {
            under_way = (under_way + slot.arrived).saturating_sub(slot.done);
            under_way
        })
        .collect();
    let recovered = recovered(args, &depths);
    Ok(Course { strategy, series, depths, recovered })
}

async fn stall(bench: &Bench<'_>, args: &StallArgs) -> Result<()> {
    match args.part {
        Part::Storage => {
            bench.weather.stall(Stalled::All);
            tokio::time::sleep(args.stall).await;
            bench.weather.stall(Stalled::Nothing);
            Ok(())
        }
        Part::Redis => {
            let mut pause = redis::cmd("CLIENT");
            pause.arg("PAUSE").arg(args.stall.as_millis() as u64).arg("ALL");
            bench.onward.coordinator().lanes().call("client", &pause).await.map(drop)
        }
    }
}

/// Begins commits at the rate, each in a task of its own.
async fn arrivals(
    rig: &Rig,
    series: &Arc<Mutex<Series>>,
    args: &StallArgs,
    watch: clock::Stopwatch,
) -> Vec<tokio::task::JoinHandle<()>> {
    let end = (args.before + args.stall + args.after).as_secs_f64();
    let mut tasks = Vec::new();
    loop {
        let now = watch.elapsed().as_secs_f64();
        let due = (now.min(end) * f64::from(args.rate)) as usize;
        while tasks.len() < due {
            let (rig, series, number) = (rig.clone(), Arc::clone(series), tasks.len());
            // The moment at which it should have begun, however late this task is.
            let begun = number as f64 / f64::from(args.rate);
            note(&series, begun, |slot| slot.arrived += 1);
            tasks.push(tokio::spawn(async move {
                let made = rig.commit(number, 0).await;
                let now = watch.elapsed().as_secs_f64();
                match made {
                    Ok(_) => note(&series, now, |slot| {
                        slot.done += 1;
                        slot.latencies.record(Duration::from_secs_f64((now - begun).max(0.0)));
                    }),
                    Err(error) => {
                        note(&series, now, |slot| slot.done += 1);
                        let mut series = series.lock().unwrap_or_else(PoisonError::into_inner);
                        series.errors += 1;
                        series.error.get_or_insert_with(|| error.to_string());
                    }
                }
            }));
        }
        if now >= end {
            return tasks;
        }
        tokio::time::sleep(TICK).await;
    }
}

fn note(series: &Mutex<Series>, seconds: f64, change: impl FnOnce(&mut Slot)) {
    let mut series = series.lock().unwrap_or_else(PoisonError::into_inner);
    let number = (seconds / SLOT) as usize;
    while series.slots.len() <= number {
        let slot = Slot { arrived: 0, done: 0, latencies: Latencies::new() };
        series.slots.push(slot);
    }
    if let Some(slot) = series.slots.get_mut(number) {
        change(slot);
    }
}

/// When as few were under way again as before; `None` where that was not seen.
fn recovered(args: &StallArgs, depths: &[u64]) -> Option<f64> {
    let slots = |time: Duration| (time.as_secs_f64() / SLOT) as usize;
    let usual = depths.iter().take(slots(args.before)).max().copied().unwrap_or(0);
    let end = slots(args.before + args.stall);
    let arriving = (f64::from(args.rate) * SLOT) as u64;
    let again = depths.iter().skip(end).position(|depth| *depth <= usual.max(arriving))?;
    Some((again + 1) as f64 * SLOT)
}

fn json(args: &StallArgs, course: &Course) -> Value {
    let series = &course.series;
    let done: u64 = series.slots.iter().map(|slot| slot.done).sum();
    let arrived: u64 = series.slots.iter().map(|slot| slot.arrived).sum();
    let p99: Vec<f64> = series.slots.iter().map(|slot| slot.latencies.quantile_ms(0.99)).collect();
    json!({
        "scenario": "stall",
        "strategy": course.strategy.name(),
        "rate": args.rate,
        "stall_seconds": args.stall.as_secs_f64(),
        "arrived": arrived,
        "commits": done - series.errors,
        "unfinished": arrived - done,
        "errors": series.errors,
        "depth_max": course.depths.iter().max(),
        "recovered_seconds": course.recovered,
        "slot_seconds": SLOT,
        "depths": course.depths,
        "p99_ms": p99,
    })
}

fn line(args: &StallArgs, course: &Course) -> String {
    let recovered = match course.recovered {
        Some(seconds) => format!("back to normal {seconds:.2} s after it"),
        None => format!("not back to normal {:.0} s after it", args.after.as_secs_f64()),
    };
    let slots = &course.series.slots;
    let unfinished = slots.iter().map(|slot| slot.arrived).sum::<u64>()
        - slots.iter().map(|slot| slot.done).sum::<u64>();
    format!(
        "stall    {:<10} {}/s, {:.0} s without answers: up to {} under way, {recovered}, {unfinished} unfinished, {} failed",
        course.strategy.name(),
        args.rate,
        args.stall.as_secs_f64(),
        course.depths.iter().max().unwrap_or(&0),
        course.series.errors,
    )
}
