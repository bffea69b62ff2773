//! A small form of the trial of merges: 12 branches, merged from 12 processes at once, held against
//! a plain three-way merge.

#[path = "../trials/merge_trial/trial/mod.rs"]
mod trial;

use tokio::process::Command;
use trial::{Options, Place};

use crate::support::redis::RedisServer;
use crate::support::seed::seed;

/// Files of the small trial.
const FILES: usize = 2400;

/// What a process of the trial does. Without a job this is a test of nothing.
#[test]
fn worker() {
    if let Ok(job) = std::env::var(trial::JOB) {
        trial::in_runtime(trial::worker(&job)).unwrap();
    }
}

fn worker_command() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "merge_trial::worker", "--nocapture", "--test-threads", "1"]);
    command
}

#[test]
fn merges_at_once_come_to_what_they_come_to_one_after_another() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..FILES {
        let file = dir.path().join(format!("tree/{:02}/{}/f{n}", n % 23, n % 7));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, format!("content {n}")).unwrap();
    }
    let redis = RedisServer::new();
    let store = dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let storage = format!("file://{}", store.display());
    let place = Place { redis: redis.url(), storage };
    let seed = seed();
    let dirs = vec![dir.path().join("tree")];
    let options = Options { dirs, branches: 12, seed, large: 900, files: FILES };
    let report = trial::in_runtime(trial::run(&place, &options, &worker_command)).unwrap();
    assert!(report.holds(), "ONWARD_TEST_SEED={seed} repeats the plan of this: {report:#?}");
    assert_eq!(report.committed + report.conflicts + report.nothing, 12, "{report:#?}");
    // Branches that let one side win cannot be conflicts.
    assert!(report.committed >= 6 && report.largest > 900, "{report:#?}");
    assert_eq!(report.compared, report.committed + report.plain, "{report:#?}");
}
