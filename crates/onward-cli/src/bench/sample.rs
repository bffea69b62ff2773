//! What one process measured, and what many of them come to.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::table::Cell;

/// Latencies up to an hour, in microseconds, to three digits.
const LONGEST_US: u64 = 3_600_000_000;

/// Latencies, in microseconds.
#[derive(Debug, Clone)]
pub struct Latencies(Option<Histogram<u64>>);

impl Latencies {
    /// None yet.
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_US, 3).ok())
    }

    /// Adds one.
    pub fn record(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(us.max(1));
        }
    }

    /// Adds all of another.
    pub fn add(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // Both have the same bounds: nothing can be refused.
            let _ = histogram.add(other);
        }
    }

    /// Corrected for coordinated omission: a writer that waits does not begin the commits that it
    /// would have begun meanwhile, so each long latency stands for those too, one for each
    /// typical latency that fits into it.
    pub fn corrected(&self) -> Self {
        self.corrected_by(self)
    }

    /// The same for a part of what is repeated, such as one request of several: as many stand for a
    /// long one as would have begun meanwhile, and those begin as often as the `whole` does.
    pub fn corrected_by(&self, whole: &Self) -> Self {
        let typical = whole.0.as_ref().map_or(1, |whole| whole.value_at_quantile(0.5)).max(1);
        Self(self.0.as_ref().map(|histogram| histogram.clone_correct(typical)))
    }

    /// The latency below which a share of all are, in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.as_ref().map_or(0.0, |histogram| histogram.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The longest, in milliseconds.
    pub fn max_ms(&self) -> f64 {
        self.0.as_ref().map_or(0.0, |histogram| histogram.max() as f64 / 1e3)
    }

    fn pairs(&self) -> Vec<(u64, u64)> {
        let recorded = self.0.iter().flat_map(|histogram| histogram.iter_recorded());
        recorded.map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
    }

    fn of_pairs(pairs: &[(u64, u64)]) -> Self {
        let mut latencies = Self::new();
        if let Some(histogram) = &mut latencies.0 {
            for (value, count) in pairs {
                histogram.saturating_record_n(*value, *count);
            }
        }
        latencies
    }
}

impl Serialize for Latencies {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pairs().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|pairs: Vec<(u64, u64)>| Self::of_pairs(&pairs))
    }
}

/// What was asked of Redis and the object store.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Asked {
    /// Calls to Redis.
    pub redis: u64,
    /// Requests to the object store.
    pub objects: u64,
    /// Bytes written there.
    pub bytes_written: u64,
    /// Bytes written that no commit names.
    pub bytes_wasted: u64,
    /// Times that a process, waiting for others, was woken.
    pub woken: u64,
}

/// What one process measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// From begin to acknowledgement.
    pub latencies: Latencies,
    /// Commits of each writer.
    pub commits: Vec<u64>,
    /// What failed.
    pub errors: u64,
    /// The first of it.
    pub error: Option<String>,
    /// The most rounds, or attempts, of any commit.
    pub rounds_max: u64,
    /// The bound on them where it is the tightest for that number; 0 where there is none.
    pub rounds_bound: u64,
    /// Commits over their bound.
    pub beyond_bound: u64,
    /// The sizes of the batches that commits were in, summed over commits.
    pub batches: u64,
    /// What it cost.
    pub asked: Asked,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Sample {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            latencies: Latencies::new(),
            commits: Vec::new(),
            errors: 0,
            error: None,
            rounds_max: 0,
            rounds_bound: 0,
            beyond_bound: 0,
            batches: 0,
            asked: Asked::default(),
            seconds: 0.0,
        }
    }

    /// One commit.
    pub fn note(&mut self, made: &Made, latency: Duration) {
        self.latencies.record(latency);
        self.batches += u64::from(made.batch);
        self.beyond_bound += u64::from(made.bound > 0 && made.rounds > made.bound);
        if made.rounds >= self.rounds_max {
            self.rounds_max = made.rounds;
            self.rounds_bound = made.bound;
        }
    }

    /// One failure.
    pub fn fail(&mut self, error: String) {
        self.errors += 1;
        self.error.get_or_insert(error);
    }

    /// Adds what another process, or another writer, measured at the same time.
    pub fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies);
        self.commits.extend(&other.commits);
        self.errors += other.errors;
        if self.error.is_none() {
            self.error.clone_from(&other.error);
        }
        if other.rounds_max >= self.rounds_max {
            self.rounds_max = other.rounds_max;
            self.rounds_bound = other.rounds_bound;
        }
        self.beyond_bound += other.beyond_bound;
        self.batches += other.batches;
        self.asked.redis += other.asked.redis;
        self.asked.objects += other.asked.objects;
        self.asked.bytes_written += other.asked.bytes_written;
        self.asked.bytes_wasted += other.asked.bytes_wasted;
        self.asked.woken += other.asked.woken;
        self.seconds = self.seconds.max(other.seconds);
    }

    /// Adds what the same writers measured afterwards.
    pub fn go_on(&mut self, later: &Self) {
        let (seconds, commits) = (self.seconds, std::mem::take(&mut self.commits));
        self.add(later);
        self.seconds = seconds + later.seconds;
        for (now, before) in self.commits.iter_mut().zip(commits) {
            *now += before;
        }
    }

    /// All commits.
    pub fn total(&self) -> u64 {
        self.commits.iter().sum()
    }

    /// Jain's index of fairness over the writers: 1 where all made the same number of commits,
    /// 1/n where one made them all.
    pub fn jain(&self) -> f64 {
        let sum: f64 = self.commits.iter().map(|n| *n as f64).sum();
        let squares: f64 = self.commits.iter().map(|n| (*n as f64).powi(2)).sum();
        if squares == 0.0 { 1.0 } else { sum * sum / (self.commits.len() as f64 * squares) }
    }
}

/// How one commit went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Made {
    /// Rounds this process ran for it, or attempts it made.
    pub rounds: u64,
    /// The most it could have been; 0 where nothing limits it.
    pub bound: u64,
    /// Commits decided together with it.
    pub batch: u32,
}

/// One measured point, with the names that scripts rely on.
#[derive(Debug, Clone)]
pub struct Point {
    /// What was measured.
    pub scenario: &'static str,
    /// How commits were made.
    pub strategy: &'static str,
    /// Writers.
    pub writers: usize,
    /// Processes they were in.
    pub processes: usize,
    /// Branches they were on.
    pub branches: usize,
    /// Entries on the branch beforehand.
    pub entries: u64,
    /// The result.
    pub sample: Sample,
}

impl Point {
    /// Of writers in one process and on one branch, which was empty.
    pub fn new(
        scenario: &'static str,
        strategy: &'static str,
        writers: usize,
        sample: Sample,
    ) -> Self {
        Self { scenario, strategy, writers, processes: 1, branches: 1, entries: 0, sample }
    }

    /// Commits, or what else was counted, in a second.
    pub fn per_second(&self) -> f64 {
        if self.sample.seconds > 0.0 {
            self.sample.total() as f64 / self.sample.seconds
        } else {
            0.0
        }
    }

    fn each(&self, count: u64) -> f64 {
        rounded(count as f64 / self.sample.total().max(1) as f64)
    }

    /// The JSON object.
    pub fn json(&self) -> Value {
        let sample = &self.sample;
        let latencies = sample.latencies.corrected();
        json!({
            "scenario": self.scenario,
            "strategy": self.strategy,
            "writers": self.writers,
            "processes": self.processes,
            "branches": self.branches,
            "entries": self.entries,
            "commits": sample.total(),
            "seconds": rounded(sample.seconds),
            "commits_per_second": rounded(self.per_second()),
            "p50_ms": latencies.quantile_ms(0.5),
            "p99_ms": latencies.quantile_ms(0.99),
            "p999_ms": latencies.quantile_ms(0.999),
            "max_ms": latencies.max_ms(),
            "jain": rounded(sample.jain()),
            "rounds_max": sample.rounds_max,
            "rounds_bound": sample.rounds_bound,
            "beyond_bound": sample.beyond_bound,
            "batch_mean": self.each(sample.batches),
            "redis_calls_per_commit": self.each(sample.asked.redis),
            "wakeups_per_commit": self.each(sample.asked.woken),
            "objects_per_commit": self.each(sample.asked.objects),
            "bytes_written": sample.asked.bytes_written,
            "bytes_wasted": sample.asked.bytes_wasted,
            "errors": sample.errors,
        })
    }

    /// The row.
    pub fn row(&self) -> Vec<Cell> {
        let sample = &self.sample;
        let latencies = sample.latencies.corrected();
        let writers = match (self.processes, self.branches) {
            (1, 1) => self.writers.to_string(),
            (processes, 1) => format!("{} in {processes}", self.writers),
            (processes, branches) => format!("{} in {processes} on {branches}", self.writers),
        };
        let rounds = match sample.rounds_bound {
            0 => sample.rounds_max.to_string(),
            bound => format!("{}/{bound}", sample.rounds_max),
        };
        let mut row = vec![match self.scenario {
            // Those that read tell several apart.
            what if what.contains('-') => {
                Cell::words("reading", 17, format!("{what} {}", self.strategy))
            }
            _ => Cell::words("strategy", 10, self.strategy),
        }];
        if self.entries > 0 {
            row.push(Cell::number("entries", 8, self.entries));
        }
        row.extend([
            Cell::words("writers", 7, writers),
            Cell::number("a second", 8, format!("{:.0}", self.per_second())),
            Cell::ms("p50 ms", latencies.quantile_ms(0.5)),
            Cell::ms("p99 ms", latencies.quantile_ms(0.99)),
            Cell::ms("max ms", latencies.max_ms()),
            Cell::number("fair", 4, format!("{:.2}", sample.jain())),
        ]);
        if sample.rounds_max > 0 {
            row.push(Cell::number("rounds", 6, rounds));
        }
        row.push(Cell::number("calls", 5, format!("{:.2}", self.each(sample.asked.redis))));
        if self.processes > 1 {
            row.push(Cell::number("wakes", 5, format!("{:.2}", self.each(sample.asked.woken))));
        }
        row
    }
}

/// To four digits behind the point.
pub fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fairness_index_is_jains() {
        let mut sample = Sample::new();
        sample.commits = vec![5, 5, 5, 5];
        assert!((sample.jain() - 1.0).abs() < 1e-9);
        sample.commits = vec![20, 0, 0, 0];
        assert!((sample.jain() - 0.25).abs() < 1e-9);
    }

    #[test]
    fn a_long_wait_stands_for_the_commits_that_it_kept_from_beginning() {
        let mut latencies = Latencies::new();
        for _ in 0..100 {
            latencies.record(Duration::from_millis(1));
        }
        latencies.record(Duration::from_millis(1000));
        let read = serde_json::to_string(&latencies).unwrap();
        let read: Latencies = serde_json::from_str(&read).unwrap();
        for latencies in [latencies, read] {
            assert!(latencies.quantile_ms(0.9) < 2.0);
            assert!(latencies.corrected().quantile_ms(0.9) > 800.0);
            assert!((latencies.max_ms() - 1000.0).abs() < 2.0);
        }
    }
}
