//! What an ingestion has done so far, and how that is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use onward::internals::clock::Stopwatch;
use serde_json::json;

use super::super::exit::Failure;
use super::super::out::{Out, human_bytes};
use super::walk::{Found, Skipped};

/// Counted by all writers.
#[derive(Debug)]
pub struct Report {
    pub skipped: Skipped,
    since: Stopwatch,
    /// Files that there are to take; 0 for as long as they are not counted.
    total: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    unchanged: AtomicU64,
    commits: Mutex<Commits>,
}

#[derive(Debug, Default)]
struct Commits {
    /// Time-to-commit of each, in microseconds: 4 bytes for each of at most some millions.
    waits_us: Vec<u32>,
    rounds_max: u64,
    rounds_bound: u64,
    beyond_bound: u64,
}

/// The value below which `part` of `sorted` lies.
pub fn quantile(sorted: &[u32], part: f64) -> f64 {
    let at = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(at.saturating_sub(1)).map_or(0.0, |us| f64::from(*us) / 1000.0)
}

impl Report {
    pub fn new() -> Self {
        Self {
            skipped: Skipped::default(),
            since: Stopwatch::start(),
            total: AtomicU64::new(0),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            unchanged: AtomicU64::new(0),
            commits: Mutex::default(),
        }
    }

    /// Notes a commit.
    pub fn committed(&self, files: u64, bytes: u64, waited: Duration, rounds: u64, bound: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        commits.waits_us.push(u32::try_from(waited.as_micros()).unwrap_or(u32::MAX));
        commits.rounds_max = commits.rounds_max.max(rounds);
        commits.rounds_bound = commits.rounds_bound.max(bound);
        commits.beyond_bound += u64::from(rounds > bound);
    }

    /// Notes how many files there are to take.
    pub fn counted(&self, files: u64) {
        self.total.store(files, Ordering::Relaxed);
    }

    /// Notes files that the branch had already.
    pub fn unchanged(&self, files: u64) {
        self.unchanged.fetch_add(files, Ordering::Relaxed);
    }

    /// Notes a file that could not be read.
    pub fn unreadable(&self, found: &Found, error: &std::io::Error) {
        let reason = format!("{}: {error}", found.file.display());
        self.skipped.add(&self.skipped.unreadable, reason);
    }

    /// The progress in one line.
    pub fn line(&self) -> String {
        let commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner).waits_us.len();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let files = load(&self.files) + load(&self.unchanged);
        let of = match load(&self.total) {
            0 => String::new(),
            total => format!(" of {total}"),
        };
        let seconds = self.since.elapsed().as_secs_f64().max(0.001);
        format!(
            "{files}{of} files, {} in {commits} commits, {:.0} commits/s",
            human_bytes(self.bytes.load(Ordering::Relaxed)),
            commits as f64 / seconds
        )
    }

    /// The summary.
    pub fn tell(&self, out: &Out, stopped: bool) -> Result<(), Failure> {
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        commits.waits_us.sort_unstable();
        let seconds = self.since.elapsed().as_secs_f64().max(0.001);
        let count = commits.waits_us.len();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (files, bytes) = (load(&self.files), load(&self.bytes));
        let per_second = count as f64 / seconds;
        let (p50, p99) = (quantile(&commits.waits_us, 0.5), quantile(&commits.waits_us, 0.99));
        let skipped = &self.skipped;
        out.data(
            || {
                json!({
                    "files": files, "bytes": bytes, "commits": count,
                    "files_unchanged": load(&self.unchanged), "seconds": seconds,
                    "commits_per_second": per_second, "p50_ms": p50, "p99_ms": p99,
                    "rounds_max": commits.rounds_max, "rounds_bound": commits.rounds_bound,
                    "beyond_bound": commits.beyond_bound, "stopped": stopped,
                    "skipped": {
                        "symlinks": load(&skipped.symlinks), "special": load(&skipped.special),
                        "names": load(&skipped.names), "unreadable": load(&skipped.unreadable),
                        "reasons": skipped.reasons(),
                    },
                })
            },
            || {
                let mut text = format!(
                    "files           {files} ({})\ncommits         {count} in {seconds:.1} s, {per_second:.0}/s\ntime-to-commit  p50 {p50:.1} ms, p99 {p99:.1} ms\nrounds          at most {} for any commit, bound {}",
                    human_bytes(bytes), commits.rounds_max, commits.rounds_bound
                );
                for (what, counter) in [
                    ("unchanged", &self.unchanged),
                    ("symbolic links skipped", &skipped.symlinks),
                    ("special files skipped", &skipped.special),
                    ("names out of rule skipped", &skipped.names),
                    ("unreadable skipped", &skipped.unreadable),
                ] {
                    if load(counter) > 0 {
                        text += &format!("\n{:<15} {what}", load(counter));
                    }
                }
                text
            },
        )?;
        out.left_out(skipped.missed(), &skipped.reasons());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_says_how_many_files_there_are() {
        let report = Report::new();
        report.committed(3, 9, Duration::ZERO, 1, 2);
        assert!(report.line().starts_with("3 files, 9 B in 1 commits"), "{}", report.line());
        report.unchanged(2);
        report.counted(12);
        assert!(report.line().starts_with("5 of 12 files, 9 B"), "{}", report.line());
    }
}
