//! Many commands at once on one data directory; starting, stopping, and the demo.

use std::process::Stdio;

use super::Desk;
use crate::support::until::until;

#[test]
fn commands_at_once_share_one_instance_and_lose_nothing() {
    let desk = Desk::lake();
    desk.done("down");
    let line = r#"{"put": {"path": "PATH", "address": "s3://b/x", "checksum": "c", "size": 1}}"#;
    let children: Vec<_> = (0..8)
        .map(|n| {
            let name = format!("c{n}.jsonl");
            desk.file(&name, line.replace("PATH", &format!("t/{n}")));
            desk.command(&["commit", "lake/main", "-m", "x", "--changes", &name])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(desk.done("ls -r lake/main").stdout.lines().count(), 8);
    assert_eq!(desk.done("log lake/main").stdout.lines().count(), 9);
}

#[test]
fn status_and_down_start_nothing_and_the_data_stays() {
    let desk = Desk::new();
    assert_eq!(desk.done("status --json").json()["state"], "absent");
    assert_eq!(desk.done("down --json").json()["stopped"], false);
    desk.done("repo create lake");
    assert_eq!(desk.done("status --json").json()["state"], "running");
    assert_eq!(desk.done("down --json").json()["stopped"], true);
    assert_eq!(desk.done("status --json").json()["state"], "stopped");
    assert!(desk.done("log lake/main").stdout.contains("Repository created"));
}

#[test]
fn up_runs_until_it_is_told_to_stop() {
    let desk = Desk::new();
    let mut up = desk
        .command(&["up", "-q", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the instance runs", || desk.done("status --json").json()["state"] == "running");
    let pid = nix::unistd::Pid::from_raw(up.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(up.wait().unwrap().success());
    assert_eq!(desk.done("status --json").json()["state"], "stopped");
}

#[test]
fn up_starts_its_redis_again_when_that_has_died_and_not_when_it_was_stopped() {
    let desk = Desk::new();
    let mut up = desk
        .command(&["up", "-q", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Starts nothing, unlike other commands.
    let status = || desk.done("status --json").json();
    let runs = || status()["state"] == "running";
    let pid = |json: &serde_json::Value| json.as_u64().unwrap() as i32;
    until("the instance runs", runs);
    let first = pid(&status()["pid"]);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    until("another one runs", || {
        let status = status();
        status["state"] == "running" && pid(&status["pid"]) != first
    });
    desk.done("repo create lake");
    desk.done("down");
    assert!(!onward::internals::local::revive(desk.path().join(".onward")).unwrap());
    assert_eq!(status()["state"], "stopped");
    let up_pid = nix::unistd::Pid::from_raw(up.id().try_into().unwrap());
    nix::sys::signal::kill(up_pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(up.wait().unwrap().success());
    assert_eq!(status()["state"], "stopped");
}

#[test]
fn of_two_who_create_and_delete_one_repository_at_once_each_gets_a_clear_answer() {
    let desk = Desk::new();
    desk.done("repo create other");
    let all = std::thread::scope(|scope| {
        let go = || {
            let mut all = Vec::new();
            for _ in 0..12 {
                all.push(desk.run("repo create lake"));
                all.push(desk.run("--yes repo delete lake"));
            }
            all
        };
        let both = [scope.spawn(go), scope.spawn(go)];
        both.into_iter().flat_map(|each| each.join().unwrap()).collect::<Vec<_>>()
    });
    for said in &all {
        let clear = match said.code {
            0 => true,
            3 => ["exists", "being deleted"].iter().any(|text| said.stderr.contains(text)),
            4 => ["there is no", "deleted"].iter().any(|text| said.stderr.contains(text)),
            _ => false,
        };
        assert!(clear, "exit {}: {}", said.code, said.stderr);
    }
    assert!(all.iter().filter(|said| said.code == 0).count() >= 24, "they get on");
    desk.done("verify other");
}

#[test]
fn a_reader_that_leaves_early_ends_a_listing_quietly() {
    let desk = Desk::lake();
    let mut child = desk
        .command(&["log", "lake/main", "--quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn completions_and_help_need_no_server() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(desk.done(&format!("completions {shell}")).stdout.contains("onward"));
    }
    assert!(desk.done("--help").stdout.contains("ingest"));
    assert!(desk.done("commit --help").stdout.contains("Examples:"));
    assert!(!desk.path().join(".onward").exists());
}

#[test]
fn the_demo_proves_its_result() {
    let desk = Desk::new();
    for n in 0..240 {
        desk.file(&format!("tree/{}/{n}", n % 7), format!("content {n}"));
    }
    let rows = desk.done("demo tree --json").lines();
    assert!(rows.len() >= 7);
    for row in &rows {
        assert_eq!(row["holds"], true, "{row}");
    }
    let words = desk.done("demo tree --files 100").stderr;
    for told in ["reads 100 files", "nothing is copied", "half of them within p50"] {
        assert!(words.contains(told), "{told:?} is not in {words}");
    }
    desk.fails(2, "demo tree --files 10");
}
