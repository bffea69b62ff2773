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
fn a_reader_that_leaves_early_ends_a_listing_quietly() {
    let desk = Desk::lake();
    let mut child = desk
        .command(&["log", "lake/main"])
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
    desk.fails(2, "demo tree --files 10");
}
