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

#[test]
fn a_stall_is_survived_and_drawn() {
    let desk = Desk::lake();
    let times = "--rate 40 --before 500ms --stall 700ms --after 2s";
    for part in ["storage", "redis"] {
        let line = format!("bench stall {times} --part {part} --plot stall.svg --json");
        let points = desk.done(&line).lines();
        let point = &points[0];
        // All that had arrived were committed, and the longest wait was that of the stall.
        let arrived = point["arrived"].as_u64().unwrap();
        assert!(arrived >= 100, "{point}");
        assert_eq!((&point["commits"], &point["errors"]), (&arrived.into(), &0.into()), "{point}");
        assert_eq!(point["unfinished"], 0, "{point}");
        assert!(point["depth_max"].as_u64() >= Some(10), "{point}");
        assert!(point["recovered_seconds"].is_number(), "{point}");
        assert!(point["depths"].as_array().unwrap().len() >= 10);
    }
    let drawn = std::fs::read_to_string(desk.path().join("stall.svg")).unwrap();
    assert!(drawn.contains("commits under way"));
}

#[test]
fn backlogs_bulk_commits_and_reads_are_measured() {
    let desk = Desk::lake();
    for point in desk.done("bench drain --count 300,600 --json").lines() {
        assert!(point["commits_per_second"].as_f64() > Some(0.0), "{point}");
    }
    let bulk = desk.done("bench bulk --changes 3000 --entries 2000 --json").lines();
    let by: Vec<&str> = bulk.iter().filter_map(|point| point["by"].as_str()).collect();
    assert_eq!(by, ["file", "staging", "merge"]);
    for point in &bulk {
        assert!(point["peak_memory"].as_u64() > Some(1_000_000), "{point}");
        assert!(point["bytes_written"].as_u64() > Some(10_000), "{point}");
        assert!(point["redis_longest_ms"].is_number(), "{point}");
    }
    let reads = desk.done("bench read --entries 3000 --tasks 4 --duration 200ms --json").lines();
    assert_eq!(reads.len(), 8);
    for point in &reads {
        assert!(point["commits"].as_u64() > Some(0), "{point}");
        assert_eq!(point["errors"], 0, "{point}");
    }
    // Readers of one branch at the same time share their calls.
    let warm = reads.iter().find(|p| p["scenario"] == "get-head" && p["strategy"] == "warm");
    assert!(warm.unwrap()["redis_calls_per_commit"].as_f64() < Some(0.9), "{warm:?}");
    assert_eq!(desk.done("repo list --json").lines().len(), 1, "nothing of it stays");
}

#[test]
fn storage_can_be_as_slow_as_a_cloud() {
    let desk = Desk::lake();
    let line = "bench contend --writers 4 --count 12 --processes 2 --storage-latency 60ms --json";
    let point = desk.done(line).lines().remove(0);
    check(&point, 12);
    assert!(point["p50_ms"].as_f64() >= Some(40.0), "{point}");
}
