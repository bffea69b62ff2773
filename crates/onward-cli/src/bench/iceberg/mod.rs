//! Writers of one Iceberg table: how many appends land in a second while the table grows, what they cost, and what
//! optimistic retry makes of the same.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use futures::future::try_join_all;
use onward::Result;
use onward::internals::clock::Deadline;
use serde_json::{Value, json};

use super::super::args::duration;
use super::run::{Bench, processes, writers as writers_of};
use super::sample::rounded;
use super::sidecar::Sidecars;
use super::table::Cell;
use api::Catalog;
use writers::{Found, Shared, Way, ended};

mod api;
mod writers;

/// Windows that growth is told in.
const WINDOWS: u64 = 6;
/// Appends of one table, at most: the files of all are written before.
const APPENDS_MAX: u64 = 100_000;

#[derive(Debug, clap::Args)]
pub struct IcebergArgs {
    /// What is measured, one after the other
    #[arg(long, value_name = "SCENE[,SCENE…]", value_delimiter = ',', default_values_t = [Scene::Grow, Scene::Rebase, Scene::Optimistic, Scene::Overwriter, Scene::Trimmed])]
    scenes: Vec<Scene>,
    /// Snapshots that the table grows to from nothing
    #[arg(long, value_name = "N", default_value_t = 1_500, value_parser = clap::value_parser!(u64).range(WINDOWS..=APPENDS_MAX))]
    appends: u64,
    /// Appends to the table whose snapshots are trimmed
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(WINDOWS..=APPENDS_MAX))]
    trimmed: u64,
    /// Requests at the same time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = writers_of)]
    in_flight: usize,
    /// Sidecars that they are spread over
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = processes)]
    sidecars: usize,
    /// How long the scenes that do not grow to a size are measured
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "5s")]
    duration: Duration,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scene {
    /// A table that grows from nothing, every append prepared
    Grow,
    /// The same, with metadata that is compressed
    Packed,
    /// Appends whose writers write their files themselves
    Rebase,
    /// The same by optimistic retry
    Optimistic,
    /// One who overwrites among appenders
    Overwriter,
    /// A table whose snapshots are trimmed
    Trimmed,
}

impl std::fmt::Display for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Scene {
    fn name(self) -> &'static str {
        match self {
            Self::Grow => "grow",
            Self::Packed => "packed",
            Self::Rebase => "rebase",
            Self::Optimistic => "optimistic",
            Self::Overwriter => "overwriter",
            Self::Trimmed => "trimmed",
        }
    }

    fn properties(self) -> Value {
        match self {
            Self::Trimmed => json!({
                "onward.appends": "commute", "onward.expire-snapshots": "true",
                "history.expire.max-snapshot-age-ms": "1", "history.expire.min-snapshots-to-keep": "100",
            }),
            Self::Packed => json!({
                "onward.appends": "commute", "write.metadata.compression-codec": "gzip",
            }),
            _ => json!({"onward.appends": "commute"}),
        }
    }
}

/// A part of a scene.
struct Window {
    scene: Scene,
    /// Snapshots of the table at its end.
    snapshots: u64,
    commits: u64,
    seconds: f64,
    bytes: u64,
    processor_ms: u64,
    memory: u64,
    found: Found,
}

/// Measures.
pub async fn run(bench: &Bench<'_>, args: &IcebergArgs) -> Result<bool> {
    let mut sound = true;
    let (mut rebase, mut optimistic) = (None, None);
    for scene in &args.scenes {
        bench.teller.begin(|| format!("preparing {scene}"));
        let windows = match scene {
            Scene::Grow | Scene::Packed => grow(bench, args, *scene, args.appends).await?,
            Scene::Trimmed => grow(bench, args, *scene, args.trimmed).await?,
            Scene::Rebase | Scene::Optimistic | Scene::Overwriter => {
                vec![for_a_while(bench, args, *scene).await?]
            }
        };
        let least = windows.iter().map(Window::per_second).reduce(f64::min).unwrap_or_default();
        match scene {
            Scene::Rebase => rebase = Some(least),
            Scene::Optimistic => optimistic = Some(least),
            _ => {}
        }
        for window in &windows {
            bench.teller.tell(|| window.json(), || window.row())?;
        }
        if let Some(Found { failed, stale, error, .. }) = windows.last().map(|last| &last.found) {
            let error = error.as_deref().unwrap_or("nothing failed");
            let what =
                format!("{stale} were told that others were first, {failed} failed: {error}");
            bench.teller.note(&format!("{scene}: at least {least:.0} commits/s; {what}"));
            sound &= *failed == 0 || *scene == Scene::Optimistic;
        }
    }
    if let Some((rebase, optimistic)) = rebase.zip(optimistic) {
        let ratio = rebase / optimistic.max(f64::MIN_POSITIVE);
        bench.teller.note(&format!("{ratio:.1} times as many as by optimistic retry"));
    }
    Ok(sound)
}

/// Sidecars, and the writers of a new table there.
async fn start(
    bench: &Bench<'_>,
    args: &IcebergArgs,
    scene: Scene,
    looks: u32,
) -> Result<(Sidecars, Arc<Shared>)> {
    let repo = bench.repo().await?;
    let key = bench.access_key().await?;
    let sidecars = Sidecars::start(bench, &repo, args.sidecars, looks).await?;
    let catalogs: Vec<Catalog> = sidecars
        .urls
        .iter()
        .map(|url| Catalog::new(url, &repo, key.clone()))
        .collect::<Result<_>>()?;
    let objects = bench.onward.coordinator().objects();
    let mut table = None;
    if let Some(first) = catalogs.first() {
        first.create_namespace().await?;
        table = Some(first.create_table(scene.name(), scene.properties()).await?);
    }
    let table = table.ok_or_else(|| onward::Error::internal("there is no sidecar"))?;
    Ok((sidecars, Shared::new(catalogs, objects, table).await?))
}

/// A table that grows, in windows.
async fn grow(
    bench: &Bench<'_>,
    args: &IcebergArgs,
    scene: Scene,
    appends: u64,
) -> Result<Vec<Window>> {
    let looks = u32::try_from(WINDOWS + 1).unwrap_or(u32::MAX);
    let (mut sidecars, shared) = start(bench, args, scene, looks).await?;
    let ids = Arc::new(shared.prepare(appends, args.in_flight).await?);
    bench.teller.begin(|| format!("{scene}: {appends} appends"));
    let mut before = sidecars.look().await?;
    let began = shared.elapsed();
    let tasks: Vec<_> = (0..args.in_flight)
        .map(|writer| tokio::spawn(Arc::clone(&shared).commit_prepared(Arc::clone(&ids), writer)))
        .collect();
    let mut windows = Vec::new();
    let working = try_join_all(tasks);
    tokio::pin!(working);
    let mut over = false;
    for nth in 1..=WINDOWS {
        let until = appends * nth / WINDOWS;
        while !over {
            tokio::select! {
                () = shared.until(until) => break,
                ended_with = &mut working => {
                    ended_with.map_err(ended)?.into_iter().collect::<Result<Vec<()>>>()?;
                    over = true;
                }
            }
        }
        let look = sidecars.look().await?;
        let commits = until - appends * (nth - 1) / WINDOWS;
        windows.push(Window {
            scene,
            snapshots: until + 1,
            commits,
            seconds: 0.0,
            bytes: look.bytes_written - before.bytes_written,
            processor_ms: look.processor_ms - before.processor_ms,
            memory: look.memory_peak,
            found: shared.found(),
        });
        before = look;
    }
    if !over {
        working.await.map_err(ended)?.into_iter().collect::<Result<Vec<()>>>()?;
    }
    sidecars.end().await?;
    // By the commits themselves: looks come when they can.
    let landed_at = shared.found().landed_at;
    let mut since = began;
    for window in &mut windows {
        let last = usize::try_from(window.snapshots - 1).unwrap_or(usize::MAX).min(landed_at.len());
        let at = last.checked_sub(1).and_then(|last| landed_at.get(last)).copied().unwrap_or(since);
        window.seconds = at.saturating_sub(since).as_secs_f64();
        since = at;
    }
    if let Some(last) = windows.last_mut() {
        last.found = shared.found();
    }
    Ok(windows)
}

/// Writers that work for a while.
async fn for_a_while(bench: &Bench<'_>, args: &IcebergArgs, scene: Scene) -> Result<Window> {
    let (mut sidecars, shared) = start(bench, args, scene, 2).await?;
    bench.teller.begin(|| scene.to_string());
    let before = sidecars.look().await?;
    let began = shared.elapsed();
    let until = Deadline::after(args.duration);
    // Of the writers of an overwriter's table it is one, and 31 append.
    let writers = if scene == Scene::Overwriter { 32 } else { args.in_flight };
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let way = match (scene, writer) {
                (Scene::Optimistic, _) => Way::Optimistic,
                (Scene::Overwriter, 0) => Way::Overwrite,
                _ => Way::Rebase,
            };
            tokio::spawn(Arc::clone(&shared).work(way, writer, until))
        })
        .collect();
    let landed = try_join_all(tasks).await.map_err(ended)?;
    let landed = landed.into_iter().collect::<Result<Vec<u64>>>()?;
    let seconds = (shared.elapsed() - began).as_secs_f64();
    let look = sidecars.look().await?;
    sidecars.end().await?;
    if scene == Scene::Overwriter {
        let each = landed.first().copied().unwrap_or_default() as f64 / seconds;
        bench.teller.note(&format!("the one who overwrites: {each:.1} commits/s"));
    }
    let all: u64 = landed.iter().sum();
    Ok(Window {
        scene,
        snapshots: all + 1,
        commits: all,
        seconds,
        bytes: look.bytes_written - before.bytes_written,
        processor_ms: look.processor_ms - before.processor_ms,
        memory: look.memory_peak,
        found: shared.found(),
    })
}

impl Window {
    fn per_second(&self) -> f64 {
        self.commits as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    fn each(&self, of: u64) -> f64 {
        of as f64 / self.commits.max(1) as f64
    }

    fn json(&self) -> Value {
        let latencies = &self.found.latencies;
        json!({
            "scenario": "iceberg", "strategy": self.scene.name(), "snapshots": self.snapshots,
            "commits": self.commits, "seconds": rounded(self.seconds),
            "commits_per_s": rounded(self.per_second()),
            "p50_ms": latencies.quantile_ms(0.5), "p99_ms": latencies.quantile_ms(0.99),
            "bytes_per_commit": rounded(self.each(self.bytes)),
            "processor_ms_per_commit": rounded(self.each(self.processor_ms)),
            "memory_peak": self.memory, "stale": self.found.stale, "errors": self.found.failed,
        })
    }

    fn row(&self) -> Vec<Cell> {
        let latencies = &self.found.latencies;
        vec![
            Cell::words("scene", 10, self.scene.name()),
            Cell::number("snapshots", 9, self.snapshots),
            Cell::number("commits/s", 9, format!("{:.0}", self.per_second())),
            Cell::ms("p50 ms", latencies.quantile_ms(0.5)),
            Cell::ms("p99 ms", latencies.quantile_ms(0.99)),
            Cell::number("KB each", 7, format!("{:.1}", self.each(self.bytes) / 1e3)),
            Cell::number("cpu ms", 6, format!("{:.2}", self.each(self.processor_ms))),
            Cell::number("MiB", 5, self.memory >> 20),
            Cell::number("failed", 6, self.found.failed),
        ]
    }
}
