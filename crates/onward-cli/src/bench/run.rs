//! One run of a scenario: what it is connected to, and what it leaves behind.

use std::sync::{Mutex, MutexGuard, PoisonError};

use onward::internals::clock;
use onward::internals::objects::Objects;
use onward::{Config, Onward, Result};
use onward_server::auth::{Keys, NewKey, Role};

use super::sample::Point;
use super::teller::Teller;
use super::weather::Weather;

/// Writers at the same time, at most.
const WRITERS_MAX: usize = 100_000;

/// Processes of a benchmark, at most.
const PROCESSES_MAX: usize = 1_024;

/// Branches that are committed to at the same time, at most.
const BRANCHES_MAX: usize = 10_000;

/// Changes or entries, at most.
const ENTRIES_MAX: u64 = 100_000_000;

fn count(text: &str, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=max).contains(&count) => Ok(count),
        _ => Err(format!("a number from 1 to {max}")),
    }
}

/// A number of writers, as users type it.
pub fn writers(text: &str) -> Result<usize, String> {
    count(text, WRITERS_MAX)
}

/// A number of processes.
pub fn processes(text: &str) -> Result<usize, String> {
    count(text, PROCESSES_MAX)
}

/// A number of branches.
pub fn branches(text: &str) -> Result<usize, String> {
    count(text, BRANCHES_MAX)
}

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
    pub teller: &'a Teller,
    /// What was made for it.
    pub made: Mutex<Made>,
}

/// What is removed in the end.
#[derive(Debug, Default)]
pub struct Made {
    repos: Vec<String>,
    keys: Vec<String>,
}

impl Bench<'_> {
    /// A repository of its own for one point.
    pub async fn repo(&self) -> Result<String> {
        let name = format!("bench-{:016x}", clock::random_u64());
        self.onward.repo(&name).create(&"main".parse()?).await?;
        self.made().repos.push(name.clone());
        Ok(name)
    }

    /// An access key of an administrator: id and secret.
    pub async fn access_key(&self) -> Result<(String, String)> {
        let NewKey { key, secret } = self.keys().create(Role::Admin, "bench", None).await?;
        self.made().keys.push(key.id.clone());
        Ok((key.id, secret))
    }

    fn keys(&self) -> Keys {
        Keys::new(self.onward.coordinator().objects().clone())
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all that was made. Only in the end: file systems may take longer to create files when
    /// many were deleted a moment ago, and one point would be measured under what another left behind.
    pub async fn clean(&self) -> Result<()> {
        let Made { repos, keys } = std::mem::take(&mut *self.made());
        self.teller.begin(|| format!("removing {} repositories", repos.len()));
        for key in keys {
            self.keys().delete(&key).await?;
        }
        for repo in repos {
            self.onward.repo(repo).delete().await?;
        }
        Ok(())
    }

    /// Tells one point, and whether all of it went well.
    pub fn tell_point(&self, point: &Point) -> Result<bool> {
        let sample = &point.sample;
        self.teller.tell(|| point.json(), || point.row())?;
        if let Some(error) = &sample.error {
            self.teller.note(&format!("{} commits failed, the first: {error}", sample.errors));
        }
        Ok(sample.errors == 0 && sample.beyond_bound == 0)
    }
}

/// Connects through the weather of a storage.
pub async fn connect(config: &Config, weather: &Weather) -> Result<Onward> {
    let objects = weather.over(Objects::open(&config.storage)?);
    Onward::with_objects(config.clone(), objects).await
}
