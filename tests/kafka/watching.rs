//! What somebody sees who watches a sink on a terminal.

use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::Desk;
use crate::until::until;

#[test]
fn whoever_watches_on_a_terminal_sees_records_files_commits_rate_and_lag() {
    let desk = Desk::new();
    let topic = desk.topic(1);
    desk.send(&topic, 0, (0..10).map(|n| format!("{{\"n\": {n}}}")));
    let seen = desk.file("seen", "");
    let sink: Vec<&str> = desk.sink(&topic, &["--commit-every", "200ms", "--roll-age", "200ms"]);
    let sink: Vec<&str> = sink.into_iter().filter(|word| *word != "--json").collect();
    let line = format!("echo $$ >pid; exec {} {}", env!("CARGO_BIN_EXE_onward"), sink.join(" "));
    let mut script = Command::new("script");
    script.args(["-qefc", &line]).arg(&seen).current_dir(seen.parent().unwrap());
    script.env("COLUMNS", "200").stdin(Stdio::null()).stdout(Stdio::null());
    let mut script = script.spawn().unwrap();
    let shown = || std::fs::read_to_string(&seen).unwrap();
    let is_all_there = |text: &str| text.contains("10 records in") && text.contains(", 0 to go");
    until("all records are shown", || {
        assert!(script.try_wait().unwrap().is_none(), "it ended: {}", shown());
        is_all_there(&shown())
    });
    let pid = std::fs::read_to_string(seen.with_file_name("pid")).unwrap();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGTERM).unwrap();
    assert!(script.wait().unwrap().success(), "{}", shown());
    let all = shown();
    let moving = all.split(['\r', '\n']).rfind(|line| is_all_there(line)).unwrap();
    for part in ["10 records in ", " files (", " commits, ", " records/s, 0 to go"] {
        assert!(moving.contains(part), "{part} in: {moving}");
    }
    assert!(all.contains(&format!("reading {topic}/0")), "{all}");
}
