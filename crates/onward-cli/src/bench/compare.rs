//! Two programs measured in turns on the same machine, each run on a fresh folder: what one gives over the
//! other is in the ratios of their medians, whatever else the machine does meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onward::internals::{clock, local};
use onward::{Error, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::super::serve::SECRET_VARIABLE;
use super::sample::rounded;
use super::table::Cell;
use super::teller::Teller;

/// What is compared of each point, where it has it.
const COMPARED: [&str; 5] =
    ["commits_per_second", "cycles_per_second", "seconds", "p50_ms", "p99_ms"];

#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// The program that is compared with
    #[arg(long, value_name = "FILE")]
    old: PathBuf,
    /// The program that is compared [default: this one]
    #[arg(long, value_name = "FILE")]
    new: Option<PathBuf>,
    /// How often each is measured; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=101))]
    runs: u64,
    /// Below which folder the data lies, each time in a fresh one [default: the temporary folder]
    #[arg(long = "in", value_name = "DIR")]
    within: Option<PathBuf>,
    /// What is measured: a scenario and its flags. Of `cycle` the programs serve, and this one asks
    #[arg(last = true, value_name = "SCENARIO", default_values_t = ["contend", "--writers", "1,8,64", "--duration", "3s"].map(str::to_owned))]
    scenario: Vec<String>,
}

/// Where a program's data lies. Its local instance ends with it, however that program has ended.
struct Folder(TempDir);

impl Folder {
    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Usually it was stopped before; and there is nobody to tell.
        let _ = local::stop(self.data());
    }
}

/// What was measured, by its name.
type Measures = BTreeMap<&'static str, f64>;

/// One of the two programs, and what it came to in each run.
struct Side {
    program: PathBuf,
    runs: Vec<Vec<Value>>,
}

/// Measures both in turns, then tells the ratios.
pub async fn run(teller: &Teller, args: &CompareArgs) -> Result<bool> {
    let this = std::env::current_exe()
        .map_err(|error| Error::internal("this program cannot be found").with_source(error))?;
    let side = |program| Side { program, runs: Vec::new() };
    let mut sides = [side(args.old.clone()), side(args.new.clone().unwrap_or(this))];
    // They stay until the end: a folder that was just deleted makes others slow.
    let mut folders = Vec::new();
    for run in 0..args.runs {
        for turn in 0..2 {
            // Whoever comes second has no advantage.
            let index = (run + turn) % 2;
            let Some(side) = sides.get_mut(index as usize) else { continue };
            let (folder, name) = (fresh(args.within.as_deref())?, side.program.display());
            teller.begin(|| format!("run {} of {}, {name}", run + 1, args.runs));
            let points = measure(&side.program, &folder, &args.scenario).await?;
            side.runs.push(points);
            folders.push(folder);
        }
    }
    let [old, new] = &sides;
    for index in 0.. {
        let Some(point) = new.runs.first().and_then(|points| points.get(index)) else { break };
        let (old, new) = (medians(&old.runs, index), medians(&new.runs, index));
        let ratios = ratios(&old, &new);
        let json = || json!({"point": label(point), "old": old, "new": new, "ratios": ratios});
        teller.tell(json, || row(point, &old, &new, &ratios))?;
    }
    Ok(true)
}

fn fresh(within: Option<&Path>) -> Result<Folder> {
    let mut folder = tempfile::Builder::new();
    folder.prefix("onward-compare-");
    let made = match within {
        Some(within) => folder.tempdir_in(within),
        None => folder.tempdir(),
    };
    made.map(Folder).map_err(|error| {
        Error::unavailable("a folder for the data cannot be made: name another by --in")
            .with_source(error)
    })
}

/// One run: the points that were told.
async fn measure(program: &Path, folder: &Folder, scenario: &[String]) -> Result<Vec<Value>> {
    if scenario.first().is_none_or(|first| first != "cycle") {
        let words = scenario.iter().map(String::as_str);
        let points = told(command(program, folder).args(["bench", "--json"]).args(words)).await;
        told(command(program, folder).args(["down", "--json"])).await?;
        return points;
    }
    let (id, secret) =
        ("COMPARED", format!("{:016x}{:016x}", clock::random_u64(), clock::random_u64()));
    let keyed = |command: &mut Command| {
        command.env("ONWARD_ACCESS_KEY_ID", id).env(SECRET_VARIABLE, &secret);
    };
    let mut serve = command(program, folder);
    keyed(serve.args(["up", "--json", "--listen", "127.0.0.1:0"]));
    // Nobody would read its log, and a pipe that is full would stop it.
    serve.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut sidecar = serve.spawn().map_err(|error| failed(program, &error))?;
    let url = address(&mut sidecar).await?;
    let this = std::env::current_exe().map_err(|error| failed(program, &error))?;
    let mut ask = command(&this, folder);
    keyed(ask.args(["bench", "--json"]).args(scenario).args(["--server", &url]));
    let points = told(&mut ask).await;
    if let Some(pid) = sidecar.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It may have ended by itself, and then there is nobody to tell.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    sidecar.wait().await.map_err(|error| failed(program, &error))?;
    points
}

/// The program, on a local instance in the folder and with nothing else set.
fn command(program: &Path, folder: &Folder) -> Command {
    let mut command = Command::new(program);
    for name in ["ONWARD_REDIS", "ONWARD_STORAGE"] {
        command.env_remove(name);
    }
    command.env("ONWARD_DATA_DIR", folder.data()).current_dir(folder.0.path());
    command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn failed(program: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("'{}' cannot be measured: {error}", program.display()))
}

/// The JSON objects that a command tells.
async fn told(command: &mut Command) -> Result<Vec<Value>> {
    let program = PathBuf::from(command.as_std().get_program());
    let output = command.output().await.map_err(|error| failed(&program, &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(&program, &format!("it ended with {}: {}", output.status, said.trim())));
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let parsed = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>();
    parsed.map_err(|error| failed(&program, &format!("it tells no JSON: {error}")))
}

/// Where a sidecar listens, when it does.
async fn address(sidecar: &mut Child) -> Result<String> {
    let silent = || Error::unavailable("the sidecar that is measured did not start");
    let stdout = sidecar.stdout.take().ok_or_else(silent)?;
    let line = BufReader::new(stdout).lines().next_line().await.ok().flatten();
    let place: Value = serde_json::from_str(&line.unwrap_or_default()).unwrap_or_default();
    place.get("listen").and_then(Value::as_str).map(str::to_owned).ok_or_else(silent)
}

/// The median over all runs of what is compared of a point.
fn medians(runs: &[Vec<Value>], index: usize) -> Measures {
    let points: Vec<&Value> = runs.iter().filter_map(|points| points.get(index)).collect();
    let of = |name: &'static str| {
        let mut values: Vec<f64> =
            points.iter().filter_map(|point| point.get(name)?.as_f64()).collect();
        values.sort_by(f64::total_cmp);
        Some((name, *values.get(values.len().checked_sub(1)? / 2)?))
    };
    COMPARED.into_iter().filter_map(of).collect()
}

/// New over old, of what both have.
fn ratios(old: &Measures, new: &Measures) -> Measures {
    let pairs = new.iter().filter_map(|(name, new)| {
        let old = old.get(name).filter(|old| **old > 0.0)?;
        Some((*name, rounded(new / old)))
    });
    pairs.collect()
}

/// What a point is about.
fn label(point: &Value) -> String {
    let name = |key: &str| point.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| {
        let count = point.get(key).and_then(Value::as_u64).filter(|count| *count > 1);
        count.map(|count| format!("{count} {key}"))
    };
    let names = ["scenario", "strategy", "by"].into_iter().filter_map(name);
    let numbers = ["writers", "clients", "processes", "branches", "entries", "changes"];
    names.chain(numbers.into_iter().filter_map(number)).collect::<Vec<_>>().join(" ")
}

fn row(point: &Value, old: &Measures, new: &Measures, ratios: &Measures) -> Vec<Cell> {
    let shown = |value: Option<&f64>| match value {
        None => "-".to_owned(),
        Some(value) if *value < 100.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.0}"),
    };
    let mut row = vec![Cell::words("point", 38, label(point))];
    let rate = ["commits_per_second", "cycles_per_second", "seconds"];
    if let Some(rate) = rate.into_iter().find(|rate| new.contains_key(rate)) {
        let heading = if rate == "seconds" { "s" } else { "/s" };
        row.push(Cell::number("old", 7, shown(old.get(rate))));
        row.push(Cell::number("new", 7, shown(new.get(rate))));
        row.push(Cell::number(heading, 5, shown(ratios.get(rate))));
    }
    for (heading, name) in [("p50", "p50_ms"), ("p99", "p99_ms")] {
        row.push(Cell::number(heading, 5, shown(ratios.get(name))));
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_compared_of_what_both_have() {
        let run = |rate: f64| vec![json!({"commits_per_second": rate, "p50_ms": 2.0})];
        let old = medians(&[run(1.0), run(100.0), run(10.0)], 0);
        assert_eq!(old, BTreeMap::from([("commits_per_second", 10.0), ("p50_ms", 2.0)]));
        let new = medians(&[vec![json!({"commits_per_second": 30.0, "p99_ms": 1.0})]], 0);
        assert_eq!(ratios(&old, &new), BTreeMap::from([("commits_per_second", 3.0)]));
        assert!(medians(&[run(1.0)], 1).is_empty());
    }
}
