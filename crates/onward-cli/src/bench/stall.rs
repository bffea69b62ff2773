//! Commits arrive at a rate, whether or not earlier ones are done; for a while Redis or the
//! storage does not answer. What matters is what happens afterwards.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use onward::Result;
use onward::internals::clock;
use onward::internals::clock::Deadline;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::args::duration;
use super::plot::Chart;
use super::processes::{Place, Start, Work, spread};
use super::rig::{Rig, Spread, Strategy};
use super::run::{Bench, processes};
use super::sample::Latencies;
use super::table::Cell;
use super::weather::Stalled;

/// Length of a slot of the series, in seconds.
const SLOT: f64 = 0.25;

/// How often arrivals are made up for.
const TICK: Duration = Duration::from_millis(2);

/// What does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
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
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "5s")]
    before: Duration,
    /// How long nothing answers
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "10s")]
    stall: Duration,
    /// How long commits go on arriving afterwards
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "15s")]
    after: Duration,
    /// What does not answer
    #[arg(long, value_name = "PART", default_value = "storage")]
    part: Part,
    /// Spread the commits over so many processes, which take turns
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = processes)]
    processes: usize,
    /// How commits are made; several are compared
    #[arg(long, value_name = "S[,S…]", value_delimiter = ',', default_value = "onward")]
    strategy: Vec<Strategy>,
    /// Draw a picture (SVG) into this file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// What happened, by slots of time.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Series {
    slots: Vec<Slot>,
    errors: u64,
    error: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Slot {
    arrived: u64,
    done: u64,
    latencies: Latencies,
}

impl Series {
    /// The slot of a moment, in seconds.
    fn slot(&mut self, seconds: f64) -> Option<&mut Slot> {
        let number = (seconds / SLOT) as usize;
        while self.slots.len() <= number {
            self.slots.push(Slot { arrived: 0, done: 0, latencies: Latencies::new() });
        }
        self.slots.get_mut(number)
    }

    /// Adds what happened in another process at the same time.
    fn add(&mut self, other: Self) {
        for (number, slot) in other.slots.into_iter().enumerate() {
            if let Some(sum) = self.slot((number as f64 + 0.5) * SLOT) {
                sum.arrived += slot.arrived;
                sum.done += slot.done;
                sum.latencies.add(&slot.latencies);
            }
        }
        self.errors += other.errors;
        self.error = self.error.take().or(other.error);
    }
}

/// How one strategy came through it.
#[derive(Debug)]
struct Course {
    strategy: Strategy,
    processes: usize,
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
        bench.teller.tell(|| json(args, &course), || row(args, &course))?;
        if let Some(error) = &course.series.error {
            let errors = course.series.errors;
            bench.teller.note(&format!("{errors} commits failed, the first: {error}"));
        }
    }
    bench.teller.draw(args.plot.as_deref(), &charts)?;
    Ok(sound)
}

async fn course(bench: &Bench<'_>, args: &StallArgs, strategy: Strategy) -> Result<Course> {
    bench.teller.begin(|| format!("{}, {} commits a second", strategy.name(), args.rate));
    let repo = bench.repo().await?;
    let processes = strategy.processes(args.processes);
    let shares = (0..processes).map(|process| Arriving {
        strategy,
        rate: args.rate,
        times: [args.before, args.stall, args.after],
        part: args.part,
        first: process,
        step: processes,
    });
    let mut series = Series::default();
    for found in spread(bench, &repo, shares.collect()).await? {
        series.add(found);
    }
    Rig::clean_up(bench.onward, &repo, strategy, Spread::ONE).await?;
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
    Ok(Course { strategy, processes, series, depths, recovered })
}

/// Making some of the commits that arrive: each `step`th from the `first` on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Arriving {
    strategy: Strategy,
    /// Of all processes together.
    rate: u32,
    /// Before, during and after the stall.
    times: [Duration; 3],
    part: Part,
    first: usize,
    step: usize,
}

impl Work for Arriving {
    const NAME: &'static str = "stall";
    type Found = Series;

    async fn run(self, place: Place<'_>, start: Start) -> Result<Series> {
        let rig = Rig::open(place.onward, place.repo, self.strategy).await?;
        start.given("ready").await?;
        let series: Arc<Mutex<Series>> = Arc::default();
        let watch = clock::Stopwatch::start();
        let (tasks, stalled) =
            tokio::join!(self.arrivals(&rig, &series, watch), self.stalls(&place));
        place.weather.stall(Stalled::Nothing);
        stalled?;
        // Those that are still under way get as long again; then they are left.
        let [_, _, after] = self.times;
        let deadline = Deadline::after(after);
        for task in &tasks {
            while !task.is_finished() && !deadline.is_over() {
                tokio::time::sleep(TICK).await;
            }
            task.abort();
        }
        rig.finish_own().await?;
        Ok(std::mem::take(&mut *series.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Arriving {
    async fn stalls(&self, place: &Place<'_>) -> Result<()> {
        let [before, stall, _] = self.times;
        tokio::time::sleep(before).await;
        match self.part {
            Part::Storage => {
                place.weather.stall(Stalled::All);
                tokio::time::sleep(stall).await;
                place.weather.stall(Stalled::Nothing);
                Ok(())
            }
            // One for all: others have no such call under way when Redis is told.
            Part::Redis if self.first > 0 => Ok(()),
            Part::Redis => {
                let mut pause = redis::cmd("CLIENT");
                pause.arg("PAUSE").arg(stall.as_millis() as u64).arg("ALL");
                place.onward.coordinator().lanes().call("client", &pause).await.map(drop)
            }
        }
    }

    /// Begins commits at the rate, each in a task of its own.
    async fn arrivals(
        &self,
        rig: &Rig,
        series: &Arc<Mutex<Series>>,
        watch: clock::Stopwatch,
    ) -> Vec<tokio::task::JoinHandle<()>> {
        let end = self.times.iter().sum::<Duration>().as_secs_f64();
        let rate = f64::from(self.rate);
        let mut tasks = Vec::new();
        loop {
            let now = watch.elapsed().as_secs_f64();
            let due = (now.min(end) * rate) as usize;
            while self.first + tasks.len() * self.step < due {
                let number = self.first + tasks.len() * self.step;
                // The moment at which it should have begun, however late this task is.
                let begun = number as f64 / rate;
                note(series, begun, |slot| slot.arrived += 1);
                tasks.push(tokio::spawn(arrive(
                    rig.clone(),
                    Arc::clone(series),
                    number,
                    (begun, watch),
                )));
            }
            if now >= end {
                return tasks;
            }
            tokio::time::sleep(TICK).await;
        }
    }
}

/// One of them: it should have `begun` at that moment of the watch.
async fn arrive(
    rig: Rig,
    series: Arc<Mutex<Series>>,
    number: usize,
    (begun, watch): (f64, clock::Stopwatch),
) {
    let made = rig.commit(number, 0).await;
    let now = watch.elapsed().as_secs_f64();
    note(&series, now, |slot| {
        slot.done += 1;
        if made.is_ok() {
            slot.latencies.record(Duration::from_secs_f64((now - begun).max(0.0)));
        }
    });
    if let Err(error) = made {
        let mut series = series.lock().unwrap_or_else(PoisonError::into_inner);
        series.errors += 1;
        series.error.get_or_insert_with(|| error.to_string());
    }
}

fn note(series: &Mutex<Series>, seconds: f64, change: impl FnOnce(&mut Slot)) {
    let mut series = series.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(slot) = series.slot(seconds) {
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
        "processes": course.processes,
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

fn row(args: &StallArgs, course: &Course) -> Vec<Cell> {
    let slots = &course.series.slots;
    let unfinished = slots.iter().map(|slot| slot.arrived).sum::<u64>()
        - slots.iter().map(|slot| slot.done).sum::<u64>();
    vec![
        Cell::words("strategy", 10, course.strategy.name()),
        Cell::number("arriving/s", 10, args.rate),
        Cell::number("stall s", 7, format!("{:.1}", args.stall.as_secs_f64())),
        // The most that were under way at once.
        Cell::number("waiting", 7, course.depths.iter().max().unwrap_or(&0)),
        // How long after the stall it took until no more waited than before it.
        match course.recovered {
            Some(seconds) => Cell::number("recovered s", 11, format!("{seconds:.2}")),
            None => Cell::number("recovered s", 11, "never"),
        },
        Cell::number("unfinished", 10, unfinished),
        Cell::number("failed", 7, course.series.errors),
    ]
}
