//! One run of a scenario: what it is connected to, where its results go, and what it leaves behind.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use onward::internals::clock;
use onward::internals::objects::Objects;
use onward::{Config, Onward, Result};
use serde_json::Value;

use super::super::out::{Out, Unsaid, human_bytes};
use super::plot::{self, Chart};
use super::sample::Point;
use super::weather::Weather;

/// Writers at the same time, at most.
const WRITERS_MAX: usize = 100_000;

/// A number of writers, as users type it.
pub fn writers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=WRITERS_MAX) => Ok(count),
        _ => Err(format!("a number from 1 to {WRITERS_MAX}")),
    }
}

/// Changes or entries, at most.
const ENTRIES_MAX: u64 = 100_000_000;

/// A number of changes or entries, as users type it.
pub fn entries(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(count @ 0..=ENTRIES_MAX) => Ok(count),
        _ => Err(format!("a number from 0 to {ENTRIES_MAX}")),
    }
}

/// One run of a scenario.
pub struct Bench<'a> {
    /// The deployment.
    pub onward: &'a Onward,
    /// How others connect to it.
    pub config: &'a Config,
    /// What its storage is like.
    pub weather: &'a Weather,
    /// Where results go.
    pub out: &'a Out,
    /// The repositories made for it.
    pub repos: Mutex<Vec<String>>,
}

impl Bench<'_> {
    /// A repository of its own for one point.
    pub async fn repo(&self) -> Result<String> {
        let name = format!("bench-{:016x}", clock::random_u64());
        self.onward.repo(&name).create(&"main".parse()?).await?;
        self.repos.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        Ok(name)
    }

    /// Removes all of them. Only in the end: file systems may take longer to create files when many
    /// were deleted a moment ago, and one point would be measured under what another left behind.
    pub async fn clean(&self) -> Result<()> {
        let repos = std::mem::take(&mut *self.repos.lock().unwrap_or_else(PoisonError::into_inner));
        for repo in repos {
            self.onward.repo(repo).delete().await?;
        }
        Ok(())
    }

    /// Another connection, which has read nothing yet, with so much room for decoded blocks.
    pub async fn connect_anew(&self, block_cache_bytes: u64) -> Result<Onward> {
        let mut config = self.config.clone();
        config.coordinator.lake.tree.block_cache_bytes = block_cache_bytes;
        connect(&config, self.weather).await
    }

    /// Tells one result as soon as it is there.
    pub fn tell(&self, json: impl FnOnce() -> Value, line: impl FnOnce() -> String) -> Result<()> {
        // A reader that has gone ends the run when the next command writes.
        self.out.data(json, line).or_else(|unsaid| match unsaid {
            Unsaid::Error(error) => Err(error),
            Unsaid::Unheard => Ok(()),
        })
    }

    /// Tells one point, and whether all of it went well.
    pub fn tell_point(&self, point: &Point) -> Result<bool> {
        let sample = &point.sample;
        self.tell(|| point.json(), || line(point))?;
        if let Some(error) = &sample.error {
            self.out.note(&format!("{} commits failed, the first: {error}", sample.errors));
        }
        Ok(sample.errors == 0 && sample.beyond_bound == 0)
    }

    /// Draws charts beside each other, if a picture is wanted.
    pub fn draw(&self, file: Option<&Path>, charts: &[Chart]) -> Result<()> {
        let Some(file) = file else { return Ok(()) };
        plot::draw(file, charts)?;
        self.out.note(&format!("drawn into {}", file.display()));
        Ok(())
    }
}

/// Connects through the weather of a storage.
pub async fn connect(config: &Config, weather: &Weather) -> Result<Onward> {
    let objects = weather.over(Objects::open(&config.storage)?);
    Onward::with_objects(config.clone(), objects).await
}

fn line(point: &Point) -> String {
    let sample = &point.sample;
    let latencies = sample.latencies.corrected();
    let rounds = match sample.rounds_bound {
        0 => format!("{} tries", sample.rounds_max),
        bound => format!("rounds {} of {bound}", sample.rounds_max),
    };
    let size = match point.entries {
        0 => String::new(),
        entries => format!(" {entries:>9} entries"),
    };
    format!(
        "{:<8} {:<10} {:>4} writers{size} {:>9.0}/s  p50 {:>8.2} ms  p99 {:>8.2} ms  max {:>8.1} ms  fair {:.3}  {rounds}  wasted {}",
        point.scenario,
        point.strategy,
        point.writers,
        point.per_second(),
        latencies.quantile_ms(0.5),
        latencies.quantile_ms(0.99),
        latencies.max_ms(),
        sample.jain(),
        human_bytes(sample.asked.bytes_wasted),
    )
}
