//! The trial: files, branches, processes that merge, and the comparison.

mod check;
mod naive;
mod plan;
mod process;
mod setup;

use std::path::PathBuf;

use onward::{Config, Error, Onward, Result};
use serde_json::{Value, json};
use tokio::process::Command;

pub use process::{JOB, worker};

/// The repository of a trial.
const REPO: &str = "trial";

/// The branch that everything is merged into.
const MAIN: &str = "main";

/// What is tried.
#[derive(Debug, Clone)]
pub struct Options {
    /// Trees of files.
    pub dirs: Vec<PathBuf>,
    /// Branches, and processes that merge them.
    pub branches: usize,
    /// Where all chance comes from.
    pub seed: u64,
    /// Changes of a large branch.
    pub large: usize,
    /// Files, at most.
    pub files: usize,
}

/// Where it happens.
#[derive(Debug, Clone)]
pub struct Place {
    /// Redis.
    pub redis: String,
    /// The object store.
    pub storage: String,
}

impl Place {
    fn config(&self) -> Config {
        Config::new(&self.redis, &self.storage).committer("trial")
    }
}

/// What came out.
#[derive(Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Files linked.
    pub files: usize,
    /// Merges that were asked for.
    pub merges: usize,
    /// Those that became commits.
    pub committed: usize,
    /// Those that were conflicts, found at once or in their turn.
    pub conflicts: usize,
    /// Conflicts that were found in their turn.
    pub conflicts_queued: usize,
    /// Merges that had nothing to bring.
    pub nothing: usize,
    /// Other commits in between.
    pub plain: usize,
    /// Changes of all branches.
    pub changes: usize,
    /// Changes of the largest branch.
    pub largest: usize,
    /// From the start of the merges to the last outcome, in seconds.
    pub seconds: f64,
    /// Bytes written for merges and of no use, in all processes.
    pub bytes_wasted: u64,
    /// Most rounds of one op, and the bound of that op.
    pub rounds: (u64, u64),
    /// Ops that took more rounds than their bound.
    pub beyond: usize,
    /// Commits whose content was compared.
    pub compared: usize,
    /// What was not as it should be; the first of them.
    pub differences: Vec<String>,
}

impl Report {
    /// Whether everything was equal.
    pub fn holds(&self) -> bool {
        self.differences.is_empty() && self.beyond == 0
    }

    /// Commits of all kinds per second.
    pub fn rate(&self) -> f64 {
        (self.committed + self.plain) as f64 / self.seconds.max(0.001)
    }

    /// The table.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let (rounds, bound) = self.rounds;
        vec![
            ("files linked", self.files.to_string()),
            ("changes on all branches", self.changes.to_string()),
            ("changes on the largest branch", self.largest.to_string()),
            ("merges, a process each", self.merges.to_string()),
            ("  committed", self.committed.to_string()),
            (
                "  conflicts",
                format!("{} ({} found in their turn)", self.conflicts, self.conflicts_queued),
            ),
            ("  nothing to bring", self.nothing.to_string()),
            ("other commits in between", self.plain.to_string()),
            ("commits per second", format!("{:.1} ({:.2} s)", self.rate(), self.seconds)),
            ("bytes wasted", self.bytes_wasted.to_string()),
            ("most rounds of one op", format!("{rounds} (its bound: {bound})")),
            ("ops beyond their bound", self.beyond.to_string()),
            ("commits compared, path by path", self.compared.to_string()),
        ]
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        json!({
            "seed": self.seed, "files": self.files, "changes": self.changes,
            "largest": self.largest, "merges": self.merges, "committed": self.committed,
            "conflicts": self.conflicts, "conflicts_queued": self.conflicts_queued,
            "nothing": self.nothing, "plain": self.plain, "seconds": self.seconds,
            "commits_per_s": self.rate(), "bytes_wasted": self.bytes_wasted,
            "rounds": self.rounds.0, "rounds_bound": self.rounds.1, "beyond": self.beyond,
            "compared": self.compared, "differences": self.differences, "holds": self.holds(),
        })
    }
}

/// Runs `work` to its end.
pub fn in_runtime<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::internal("no threads can be started").with_source(error))?;
    runtime.block_on(work)
}

/// Tries it. `command` gives a command that ends up in [`worker`] with the value of [`JOB`].
pub async fn run(
    place: &Place,
    options: &Options,
    command: &dyn Fn() -> Command,
) -> Result<Report> {
    let files = plan::inventory(&options.dirs, options.files)?;
    let onward = Onward::connect(place.config()).await?;
    let plan = plan::Plan::new(options, files)?;
    let prepared = setup::prepare(&onward, &plan).await?;
    let (told, seconds) = process::all_at_once(place, &plan, command).await?;
    let mut report = Report {
        seed: options.seed,
        files: plan.files.len(),
        merges: plan.branches.len(),
        changes: plan.branches.iter().map(plan::BranchPlan::changes).sum(),
        largest: plan.branches.iter().map(plan::BranchPlan::changes).max().unwrap_or_default(),
        seconds,
        bytes_wasted: onward.counters().bytes_wasted,
        ..Report::default()
    };
    check::compare(&onward, &plan, prepared, &told, &mut report).await?;
    onward.close().await;
    Ok(report)
}
