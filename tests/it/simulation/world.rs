//! What all of one history share: chance from the seed, the clock, the weather, and a record of
//! what happened.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

/// Lines of the record that are kept, at most.
const RECORD_MAX: usize = 400_000;

/// Per mille of requests that something happens to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// The connection breaks before a request is carried out.
    pub cut_before: u32,
    /// The connection breaks after it was.
    pub cut_after: u32,
    /// A reply never comes.
    pub lost: u32,
    /// A request or reply takes a hundred times as long.
    pub slow: u32,
    /// A request to the object store fails without effect.
    pub store_fails: u32,
    /// It takes effect, and its reply is lost.
    pub store_lost: u32,
    /// A create is told that the object exists, though nothing was written.
    pub store_false_conflict: u32,
}

/// How a request and its reply travel.
#[derive(Clone, Copy, Debug)]
pub enum Travel {
    Through { there: Duration, back: Duration },
    CutBefore,
    CutAfter { there: Duration },
    Lost { there: Duration },
}

/// What becomes of a request to the object store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StoreFate {
    Fine,
    Fails,
    Lost,
    FalseConflict,
}

/// One history. Clones are the same one.
#[derive(Clone)]
pub struct World {
    inner: Arc<Mutex<Inner>>,
    start: Instant,
    recorded: bool,
    printed: bool,
}

struct Inner {
    chance: StdRng,
    weather: Weather,
    /// Counts events, so that what came first can be told even within one millisecond.
    events: u64,
    fingerprint: DefaultHasher,
    record: Vec<String>,
    notes: u64,
    /// When a reply to a request that took effect was lost last.
    lost: Option<Instant>,
}

impl World {
    /// A world in which everything follows from `seed`. `recorded`: whether to keep the record.
    pub fn new(seed: u64, recorded: bool) -> Self {
        let inner = Inner {
            chance: StdRng::seed_from_u64(seed),
            weather: Weather::default(),
            events: 0,
            fingerprint: DefaultHasher::new(),
            record: Vec::new(),
            notes: 0,
            lost: None,
        };
        let printed = std::env::var_os("ONWARD_TEST_RECORD").is_some();
        Self { inner: Arc::new(Mutex::new(inner)), start: Instant::now(), recorded, printed }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn set_weather(&self, weather: Weather) {
        self.inner().weather = weather;
    }

    /// Draws from `0..bound`.
    pub fn pick(&self, bound: usize) -> usize {
        self.inner().chance.random_range(0..bound)
    }

    pub fn one_in(&self, count: u32) -> bool {
        self.inner().chance.random_ratio(1, count)
    }

    /// A time of up to `ms` milliseconds, in whole ones: the clock has no others.
    pub fn moment(&self, ms: u64) -> Duration {
        Duration::from_millis(self.inner().chance.random_range(0..=ms))
    }

    /// Milliseconds since the Unix epoch, by the clock of a server that is right.
    pub fn now_ms(&self) -> u64 {
        1_767_225_600_000 + self.start.elapsed().as_millis() as u64
    }

    /// The next moment of the order in which things happened.
    pub fn event(&self) -> u64 {
        let mut inner = self.inner();
        inner.events += 1;
        inner.events
    }

    /// How the next request to Redis travels.
    pub fn travel(&self) -> Travel {
        let mut inner = self.inner();
        let weather = inner.weather;
        let leg = |inner: &mut Inner| {
            let slow = inner.chance.random_ratio(weather.slow.min(1000), 1000);
            let ms = inner.chance.random_range(0..=4);
            Duration::from_millis(if slow { ms * 100 } else { ms })
        };
        let (there, back) = (leg(&mut inner), leg(&mut inner));
        let drawn = inner.chance.random_range(0..1000);
        let cut = weather.cut_before;
        let cut_after = cut + weather.cut_after;
        let lost = cut_after + weather.lost;
        if (cut..lost).contains(&drawn) {
            inner.lost = Some(Instant::now());
        }
        match drawn {
            drawn if drawn < cut => Travel::CutBefore,
            drawn if drawn < cut_after => Travel::CutAfter { there },
            drawn if drawn < lost => Travel::Lost { there },
            _ => Travel::Through { there, back },
        }
    }

    /// Notes that replies on their way do not arrive.
    pub fn loses_replies(&self) {
        self.inner().lost = Some(Instant::now());
    }

    /// Whether any reply to a request that took effect was lost so short a while ago.
    pub fn has_lost_replies(&self, within: Duration) -> bool {
        self.inner().lost.is_some_and(|at| at.elapsed() < within)
    }

    /// What becomes of the next request to the object store, and how long each way takes.
    pub fn store_fate(&self, creates: bool) -> (StoreFate, Duration, Duration) {
        let mut inner = self.inner();
        let weather = inner.weather;
        let slow = inner.chance.random_ratio(weather.slow.min(1000), 1000);
        let factor = if slow { 100 } else { 1 };
        let there = Duration::from_millis(inner.chance.random_range(0..=8) * factor);
        let back = Duration::from_millis(inner.chance.random_range(0..=4));
        let drawn = inner.chance.random_range(0..1000);
        let fails = weather.store_fails;
        let lost = fails + weather.store_lost;
        let conflict = lost + if creates { weather.store_false_conflict } else { 0 };
        let fate = match drawn {
            drawn if drawn < fails => StoreFate::Fails,
            drawn if drawn < lost => StoreFate::Lost,
            drawn if drawn < conflict => StoreFate::FalseConflict,
            _ => StoreFate::Fine,
        };
        (fate, there, back)
    }

    /// Notes something that happened. Two runs of one seed must come to the same notes.
    pub fn note(&self, what: impl FnOnce() -> String) {
        let elapsed = self.start.elapsed();
        let mut inner = self.inner();
        let what = what();
        (elapsed, &what).hash(&mut inner.fingerprint);
        inner.notes += 1;
        if self.printed {
            println!("{:>8} ms  {what}", elapsed.as_millis());
        }
        if self.recorded && inner.record.len() < RECORD_MAX {
            inner.record.push(format!("{:>8} ms  {what}", elapsed.as_millis()));
        }
    }

    /// What distinguishes this run from any other.
    pub fn fingerprint(&self) -> u64 {
        self.inner().fingerprint.finish()
    }

    /// Things that happened.
    pub fn notes(&self) -> u64 {
        self.inner().notes
    }

    /// The record, where one was kept.
    pub fn record(&self) -> Vec<String> {
        std::mem::take(&mut self.inner().record)
    }
}
