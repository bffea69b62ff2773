//! The load tool, in small.

use serde_json::Value;

use super::Desk;

/// What scripts read of every point.
const KEYS: &[&str] = &[
    "scenario",
    "strategy",
    "writers",
    "processes",
    "commits",
    "seconds",
    "commits_per_second",
    "p50_ms",
    "p99_ms",
    "p999_ms",
    "max_ms",
    "jain",
    "rounds_max",
    "rounds_bound",
    "batch_mean",
    "redis_calls_per_commit",
    "objects_per_commit",
    "bytes_written",
    "bytes_wasted",
    "errors",
];

fn check(point: &Value, commits: u64) {
    for key in KEYS {
        assert!(!point[key].is_null(), "{key} of {point}");
    }
    assert_eq!((&point["errors"], &point["commits"]), (&0.into(), &commits.into()), "{point}");
}

#[test]
fn every_way_to_commit_is_measured_and_drawn() {
    let desk = Desk::lake();
    let line = "bench contend --writers 2,4 --count 24 --strategy onward,optimistic,bag,lock,floor --plot bench.svg";
    let points = desk.done(&format!("{} --json", line)).lines();
    assert_eq!(points.len(), 10);
    for point in &points {
        check(point, 24);
        let onward = point["strategy"] == "onward";
        assert!(!onward || point["rounds_max"].as_u64() <= point["rounds_bound"].as_u64());
    }
    let drawn = std::fs::read_to_string(desk.path().join("bench.svg")).unwrap();
    assert!(drawn.contains("<svg") && drawn.contains("optimistic"));
    // Nothing of it stays.
    assert_eq!(desk.done(&format!("{} --json", "repo list")).lines().len(), 1);
}

#[test]
fn writers_can_be_processes() {
    let desk = Desk::lake();
    let line = "bench contend --writers 3 --processes 3 --count 30 --strategy onward,optimistic";
    for point in desk.done(&format!("{} --json", line)).lines() {
        check(&point, 30);
        assert_eq!(point["processes"], 3);
    }
}

#[test]
fn merges_and_growth_are_measured() {
    let desk = Desk::lake();
    let merges = desk
        .done(&format!(
            "{} --json",
            "bench merge --writers 3 --count 6 --changes 700 --entries 1000"
        ))
        .lines();
    check(&merges[0], 6);
    assert_eq!(merges[0]["bytes_wasted"], 0);
    for point in desk.done(&format!("{} --json", "bench grow --entries 10,1000 --count 5")).lines()
    {
        check(&point, 5);
    }
}
