//! The load tool, in small.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onward_server::auth::Role;
use serde_json::{Value, json};

use super::{Desk, Said};
use crate::support::sidecar::{ADMIN, Sidecar};
use crate::support::until::until;

/// What scripts read of every point.
const KEYS: &[&str] = &[
    "scenario",
    "strategy",
    "writers",
    "processes",
    "branches",
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

/// What in the desk's Redis is of benchmarks: whatever stands in braces, which tells branches apart.
fn left(desk: &Desk) -> BTreeSet<String> {
    let url = desk.done("status --json").json()["redis"].as_str().unwrap().to_owned();
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("onward:{bench*").query(&mut connection).unwrap();
    keys.iter().map(|key| key.split('}').next().unwrap().to_owned()).collect()
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
    // Nothing of it stays, but for a while what tells others that a repository's branch is deleted.
    assert_eq!(desk.done(&format!("{} --json", "repo list")).lines().len(), 1);
    assert_eq!(left(&desk).len(), points.len(), "{:?}", left(&desk));
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
fn writers_are_spread_over_branches() {
    let desk = Desk::lake();
    let line = "bench contend --writers 6 --branches 3 --count 30 --strategy onward,lock,floor";
    for point in desk.done(&format!("{line} --json")).lines() {
        check(&point, 30);
        assert_eq!((&point["branches"], &point["processes"]), (&3.into(), &1.into()), "{point}");
    }
    let spread = desk.done(&format!("{line} --processes 3 --json")).lines();
    assert_eq!(spread[0]["branches"], 3, "{spread:?}");
    check(&spread[0], 30);
}

#[test]
fn processes_that_wait_are_measured_by_their_connections() {
    let desk = Desk::lake();
    let found = desk.done("bench waiting --processes 5 --json").json();
    // Who publishes knows, and is not told.
    assert_eq!((&found["connections"], &found["told"]), (&10.into(), &4.into()), "{found}");
    // What is freed meanwhile may be more than what ten connections take.
    assert!(found["redis_bytes_per_connection"].is_number(), "{found}");
    for cost in ["redis_accept_us", "redis_decide_us"] {
        assert!(found[cost].as_f64() > Some(0.0), "{cost} of {found}");
    }
    assert!(left(&desk).is_empty(), "{:?}", left(&desk));
}

#[test]
fn merges_reads_and_stalls_can_be_spread_over_processes() {
    let desk = Desk::lake();
    let merges = desk.done("bench merge --writers 4 --processes 3 --count 7 --json").json();
    check(&merges, 7);
    assert_eq!(merges["processes"], 3);
    let reads = "bench read --entries 500 --tasks 4 --processes 2 --what get --duration 100ms";
    for point in desk.done(&format!("{reads} --json")).lines() {
        assert!(point["commits"].as_u64() > Some(0), "{point}");
        assert_eq!((&point["errors"], &point["processes"]), (&0.into(), &2.into()), "{point}");
    }
    let stall = "bench stall --rate 40 --before 300ms --stall 300ms --after 1s --processes 2";
    for part in ["storage", "redis"] {
        let point = desk.done(&format!("{stall} --part {part} --json")).json();
        // 1.6 seconds of them, whoever makes them.
        assert_eq!((&point["arrived"], &point["commits"]), (&64.into(), &64.into()), "{point}");
    }
}

#[test]
fn what_people_see_fits_a_terminal_under_a_header() {
    let desk = Desk::lake();
    for (line, words, rows) in [
        (
            "bench contend --writers 4,16 --count 32 --processes 16 --branches 16 --strategy onward,optimistic",
            "strategy",
            4,
        ),
        ("bench grow --entries 0,1000 --count 2", "strategy", 2),
        ("bench read --entries 300 --tasks 2 --duration 50ms", "reading", 8),
        ("bench drain --count 20,40", "queued", 2),
        ("bench bulk --changes 600 --by file,staging", "by", 2),
        ("bench stall --rate 20 --before 300ms --stall 100ms --after 300ms", "strategy", 1),
        ("bench cycle --clients 1,3 --count 6", "clients", 2),
        ("bench iceberg --scenes grow --appends 12 --in-flight 3", "scene", 6),
    ] {
        let said = desk.done(line).stdout;
        assert!(said.lines().all(|row| row.chars().count() <= 80), "{line}: {said}");
        let headers = said.lines().filter(|row| row.trim_start().starts_with(words)).count();
        assert!(headers >= 1 && said.lines().count() > rows, "{line}: {said}");
        assert!(said.trim_start().starts_with(words), "{line}: {said}");
    }
}

/// What a point of `bench cycle` has.
fn check_cycles(point: &Value, clients: u64, cycles: u64) {
    assert_eq!((&point["clients"], &point["cycles"]), (&clients.into(), &cycles.into()), "{point}");
    assert_eq!((&point["errors"], &point["errors_by_status"]), (&0.into(), &json!({})), "{point}");
    for name in ["branch", "upload", "commit", "merge"] {
        let step = &point["steps"][name];
        assert!(step["p99_ms"].as_f64() >= step["p50_ms"].as_f64(), "{name} of {point}");
        assert!(step["p50_ms"].as_f64() > Some(0.0), "{name} of {point}");
    }
    assert!(point["cycles_per_second"].as_f64() > Some(0.0), "{point}");
}

#[test]
fn the_cycle_of_an_ingestion_job_is_measured_over_http_and_leaves_nothing() {
    let desk = Desk::lake();
    let points = desk.done("bench cycle --clients 1,4 --count 8 --json").lines();
    assert_eq!(points.len(), 2);
    for (point, clients) in points.iter().zip([1, 4]) {
        check_cycles(point, clients, 8);
        // What it counts of the sidecar is about these cycles: at least what they cannot do without.
        assert!(point["redis_calls_per_cycle"].as_f64() >= Some(4.0), "{point}");
        assert!(point["object_requests_per_cycle"].as_f64() >= Some(3.0), "{point}");
    }
    assert_eq!(desk.done("repo list --json").lines().len(), 1);
    assert_eq!(desk.done("key list --json").lines().len(), 0);
}

#[test]
fn a_table_of_iceberg_is_measured_while_it_grows_and_is_trimmed_over_two_sidecars() {
    let desk = Desk::lake();
    let scenes = "--scenes grow,trimmed,overwriter,optimistic --appends 36 --trimmed 60";
    let line = format!("bench iceberg {scenes} --in-flight 6 --sidecars 2 --duration 500ms --json");
    let points = desk.done(&line).lines();
    for (scene, windows, commits) in
        [("grow", 6, Some(36)), ("trimmed", 6, Some(60)), ("overwriter", 1, None)]
    {
        let of: Vec<&Value> = points.iter().filter(|point| point["strategy"] == scene).collect();
        assert_eq!(of.len(), windows, "{points:?}");
        let sum: u64 = of.iter().map(|point| point["commits"].as_u64().unwrap()).sum();
        assert!(commits.map_or(sum > 0, |commits| sum == commits), "{of:?}");
        for point in of {
            assert_eq!(point["errors"], 0, "{point}");
            for key in ["commits_per_s", "bytes_per_commit", "memory_peak"] {
                assert!(point[key].as_f64() > Some(0.0), "{key} of {point}");
            }
        }
    }
    assert_eq!(desk.done("repo list --json").lines().len(), 1);
    assert_eq!(desk.done("key list --json").lines().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_server_that_speaks_lakefs_can_be_measured() {
    let sidecar = Sidecar::start().await;
    let desk = Desk::new();
    let cycle = async |words: &str, secret: &str| {
        let line = format!("bench cycle --json --server {} {words}", sidecar.url);
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = desk.command(&words);
        command.env("ONWARD_ACCESS_KEY_ID", ADMIN.0).env("ONWARD_SECRET_ACCESS_KEY", secret);
        Said::of(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
    };
    let said = cycle("--clients 3 --count 9 --bytes 0", ADMIN.1).await;
    assert_eq!(said.code, 0, "{}", said.stderr);
    check_cycles(&said.json(), 3, 9);
    let (_, repos) = sidecar.get("/api/v1/repositories").await;
    assert_eq!(
        repos["results"].as_array().unwrap().len(),
        1,
        "its own repository is gone: {repos}"
    );
    let said = cycle("--clients 2 --count 4 --repository lake", ADMIN.1).await;
    check_cycles(&said.json(), 2, 4);
    let (_, log) = sidecar.get("/api/v1/repositories/lake/refs/main/commits").await;
    assert!(log["results"].as_array().unwrap().len() > 4, "it was merged into this one: {log}");
    let said = cycle("--count 1", "a secret that is not the right one").await;
    assert_eq!(
        (said.code, said.error()["kind"].as_str()),
        (3, Some("forbidden")),
        "{}",
        said.stderr
    );
    let said = cycle("--count 1 --repository nowhere", ADMIN.1).await;
    assert_eq!(said.code, 4, "{}", said.stderr);
    // Nothing of a deployment of ours was needed, or started.
    assert!(!desk.path().join(".onward").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_is_told_by_status() {
    let sidecar = Sidecar::start().await;
    let desk = Desk::new();
    // Of one who may only read.
    let line = format!(
        "bench cycle --json --count 3 --clients 1 --repository lake --server {}",
        sidecar.url
    );
    let words: Vec<&str> = line.split_whitespace().collect();
    let (reader, secret) = sidecar.key(Role::Read).await;
    let mut command = desk.command(&words);
    command.env("ONWARD_ACCESS_KEY_ID", reader).env("ONWARD_SECRET_ACCESS_KEY", secret);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = Said::of(output);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let point = said.json();
    assert_eq!((&point["cycles"], &point["errors"]), (&0.into(), &3.into()), "{point}");
    assert_eq!(point["errors_by_status"], json!({"403": 3}), "{point}");
}

#[test]
fn two_programs_are_compared_in_turns() {
    let desk = Desk::new();
    let program = env!("CARGO_BIN_EXE_onward");
    let folder = desk.path().to_str().unwrap();
    let compared = format!("bench compare --json --old {program} --runs 2 --in {folder}");
    let points = desk.done(&format!("{compared} -- contend --writers 1,3 --count 12")).lines();
    let labels: Vec<&str> = points.iter().filter_map(|point| point["point"].as_str()).collect();
    assert_eq!(labels, ["contend onward", "contend onward 3 writers"]);
    for point in &points {
        let [old, new, ratio] =
            ["old", "new", "ratios"].map(|key| point[key]["commits_per_second"].as_f64().unwrap());
        assert!((ratio - new / old).abs() < 0.01, "{point}");
    }
    let cycle = desk.done(&format!("{compared} -- cycle --clients 2 --count 4")).json();
    assert_eq!(cycle["point"], "cycle 2 clients");
    assert!(cycle["ratios"]["cycles_per_second"].as_f64() > Some(0.0), "{cycle}");
    // Nothing of it stays.
    assert_eq!(std::fs::read_dir(desk.path()).unwrap().count(), 0);
    let said = desk.fails(2, "bench compare --old /nowhere/onward -- contend --count 1");
    assert!(said.stderr.contains("/nowhere/onward"), "{}", said.stderr);
}

/// A program that does something before it is this one: `ALIVE` is the lock of its Redis under another name, so
/// that it can be asked for when the folder is gone.
fn program(desk: &Desk, first: &str) -> String {
    let this = env!("CARGO_BIN_EXE_onward");
    let folder = desk.path().display();
    let first = first.replace("ALIVE", &format!("{folder}/alive")).replace("THIS", this);
    let file = desk.file("program", format!("#!/bin/sh\n{first}\nexec {this} \"$@\"\n"));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o700)).unwrap();
    format!("bench compare --json --old {} --runs 1 --in {folder}", file.display())
}

/// Starts the local instance first, so that it runs before anything is measured.
const STARTS: &str = r#"THIS repo create first >&2 && ln "$ONWARD_DATA_DIR/alive" ALIVE || exit 1"#;

#[test]
fn a_sidecar_that_is_compared_may_write_as_long_a_log_as_it_likes() {
    let desk = Desk::new();
    // More than a pipe takes while nobody reads it; refused then, and not waited for.
    let log = "case $1 in up) dd if=/dev/zero bs=1000000 count=1 oflag=nonblock 1>&2 2>/dev/null || exit 1;; esac";
    let compared = program(&desk, log);
    let cycle = desk.done(&format!("{compared} -- cycle --clients 2 --count 2")).json();
    assert_eq!(cycle["point"], "cycle 2 clients");
}

#[test]
fn a_comparison_that_fails_or_is_interrupted_leaves_no_server() {
    let desk = Desk::new();
    let alive = desk.path().join("alive");
    let is_over = || File::open(&alive).unwrap().try_lock().is_ok();
    // A sidecar that says something else than where it listens.
    let compared = program(&desk, &format!("{STARTS}; echo '{{}}'; exit"));
    let said = desk.fails(5, &format!("{compared} -- cycle --clients 1 --count 1"));
    assert!(said.stderr.contains("did not start"), "{}", said.stderr);
    assert!(is_over());
    std::fs::remove_file(&alive).unwrap();

    let line = format!("{} -- contend --writers 1 --duration 1h", program(&desk, STARTS));
    let mut comparing = desk
        .command(&line.split_whitespace().collect::<Vec<_>>())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("a server runs", || alive.exists());
    kill(Pid::from_raw(comparing.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(comparing.wait().unwrap().code(), Some(130));
    assert!(is_over());
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
fn a_stall_of_every_way_to_commit_leaves_nothing() {
    let desk = Desk::lake();
    let times = "--rate 20 --before 200ms --stall 100ms --after 1s --processes 2";
    let ways = "onward,optimistic,bag,lock,floor";
    let points = desk.done(&format!("bench stall {times} --strategy {ways} --json")).lines();
    // The floor has no log that another process could follow.
    let processes: Vec<_> = points.iter().filter_map(|point| point["processes"].as_u64()).collect();
    assert_eq!(processes, [2, 2, 2, 2, 1]);
    for point in &points {
        // 1.3 seconds of them.
        assert_eq!((&point["arrived"], &point["errors"]), (&26.into(), &0.into()), "{point}");
    }
    // One branch of each repository, as everywhere.
    assert_eq!(left(&desk).len(), points.len(), "{:?}", left(&desk));
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
