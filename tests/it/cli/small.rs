//! Small things that users meet: what is asked before it is done, what is told, and being stopped.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::Desk;
use crate::support::until::until;

#[test]
fn the_default_branch_is_deleted_by_force_only_and_the_last_head_is_told() {
    let desk = Desk::lake();
    let said = desk.fails(2, "branch delete lake/main --yes");
    assert!(said.stderr.contains("default branch") && said.stderr.contains("--force"));
    let head = desk.done("branch show lake/main --json").json()["commit"].clone();
    desk.done("branch create lake/dev --from main");
    desk.done("commit lake/dev -m x --allow-empty");
    let dev = desk.done("branch show lake/dev --json").json()["commit"].clone();
    let told = desk.done("branch delete lake/dev --yes --json").json();
    assert_eq!(told, json!({"branch": "lake/dev", "deleted": true, "commit": dev}));
    let told = desk.done("branch delete lake/main --force --yes").stderr;
    assert!(told.contains(head.as_str().unwrap()), "{told}");
    desk.fails(4, "branch show lake/main");
    desk.done(&format!("branch create lake/main --from {}", head.as_str().unwrap()));
}

#[test]
fn removing_everything_is_confirmed_first() {
    let desk = Desk::lake();
    desk.done("link lake/main/t/a --address s3://b/x --checksum c --size 1");
    for address in ["lake/main", "lake/main/"] {
        assert!(desk.fails(2, &format!("rm -r {address}")).stderr.contains("--yes"));
    }
    assert_eq!(desk.done("ls -r lake/main").stdout.lines().count(), 1);
    desk.done("rm -r lake/main/t/");
    desk.done("link lake/main/t/a --address s3://b/x --checksum c --size 1");
    desk.done("rm -r lake/main --yes");
    assert_eq!(desk.done("ls -r lake/main").stdout, "");
}

#[test]
fn removing_a_folder_leaves_its_neighbours_alone() {
    let desk = Desk::lake();
    let stage = || {
        for path in ["logs", "logs.json", "logs/a", "logs/b/c", "logs_b/x", "logsx"] {
            desk.done(&format!("link lake/main/{path} --address s3://b/x --checksum c --size 1"));
        }
    };
    for (line, removed, left) in [
        ("rm -r lake/main/logs", 3, "logs.json logs_b/x logsx"),
        ("rm -r lake/main/logs/", 2, "logs logs.json logs_b/x logsx"),
        ("rm --prefix lake/main/logs", 6, ""),
        ("rm --prefix lake/main/logs_", 1, "logs logs.json logs/a logs/b/c logsx"),
        ("rm lake/main/logs", 1, "logs.json logs/a logs/b/c logs_b/x logsx"),
    ] {
        stage();
        assert_eq!(desk.done(&format!("{line} --json")).json()["removed"], removed, "{line}");
        let listed = desk.done("ls -r lake/main --json").lines();
        let paths: Vec<&str> = listed.iter().map(|item| item["path"].as_str().unwrap()).collect();
        assert_eq!(paths.join(" "), left, "{line}");
    }
    desk.fails(4, "rm -r lake/main/log");
    desk.fails(2, "rm -r --prefix lake/main/log");
    assert!(desk.fails(2, "rm --prefix lake/main").stderr.contains("--yes"));
}

#[test]
fn names_of_others_do_not_drive_the_terminal() {
    let desk = Desk::lake();
    desk.file("f", "x");
    let said = desk.words(&["put", "f", "lake/main/a\u{1b}[2Jb"]);
    assert_eq!(said.code, 0);
    assert!(said.stderr.contains("a\u{fffd}[2Jb") && !said.stderr.contains('\u{1b}'));
    let said = desk.words(&["stat", "lake/main/none\u{1b}[2J"]);
    assert_eq!(said.code, 4);
    assert!(!said.stderr.contains('\u{1b}'), "{}", said.stderr);
}

#[test]
fn help_of_a_verb_is_found_both_ways() {
    let desk = Desk::new();
    for verb in ["log", "branch", "branch create", "import"] {
        let said = desk.done(&format!("help {verb}")).stdout;
        assert!(said.contains("Example"), "{said}");
        assert_eq!(said, desk.done(&format!("{verb} --help")).stdout);
    }
    assert!(desk.done("help").stdout.contains("First steps"));
    desk.fails(2, "help nonsense");
}

fn put(path: &str, checksum: &str) -> String {
    let put = json!({"path": path, "address": "s3://b/x", "checksum": checksum, "size": 2048});
    json!({"put": put}).to_string()
}

#[test]
fn a_conflict_says_of_each_path_why() {
    let desk = Desk::lake();
    desk.file("one.jsonl", put("a", "first") + "\n" + &put("b", "first"));
    desk.done("commit lake/main -m one --changes one.jsonl");
    desk.file("two.jsonl", put("a", "second"));
    desk.done("commit lake/main -m two --changes two.jsonl");
    let conditional = put("b", "third").replace("}}", "}, \"if\": {\"absent\": true}}");
    desk.file("three.jsonl", put("a", "third") + "\n" + &conditional);
    let said = desk.fails(3, "commit lake/main -m three --changes three.jsonl --base main~1");
    let both = "  a  base first (2.00 KiB)  source third (2.00 KiB)  dest second (2.00 KiB)";
    let condition = "dest first (2.00 KiB)  (its condition did not hold)";
    assert!(said.stderr.lines().any(|line| line == both), "{}", said.stderr);
    assert!(said.stderr.lines().any(|line| line.ends_with(condition)), "{}", said.stderr);
    desk.file("three.jsonl", conditional);
    let said = desk.fails(3, "commit lake/main -m three --changes three.jsonl");
    assert!(said.stderr.contains(condition), "{}", said.stderr);
}

fn tell(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

#[test]
fn a_watch_ends_in_good_order_when_it_is_told_to() {
    let desk = Desk::lake();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut watch = desk
            .command(&["queue", "lake/main", "--watch", "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(watch.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("depth"), "{line}");
        tell(&watch, signal);
        assert_eq!(watch.wait().unwrap().code(), Some(0), "{signal}");
    }
}

/// The first signal lets the commit under way finish, which here takes ten minutes.
#[cfg(feature = "failpoints")]
#[test]
fn an_ingestion_ends_at_once_when_it_is_told_twice() {
    let desk = Desk::lake();
    for signals in [[Signal::SIGINT, Signal::SIGINT], [Signal::SIGTERM, Signal::SIGINT]] {
        // What the branch has already is not committed again.
        desk.file("tree/a", format!("{signals:?}"));
        let mut ingest = desk
            .command(&["ingest", "tree", "lake/main/in", "--writers", "1"])
            .env("ONWARD_FAILPOINTS", "prepare=pause:600000")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("the commit waits", || {
            desk.done("queue lake/main --json").json()["depth"].as_u64().unwrap() > 0
        });
        let mut stderr = BufReader::new(ingest.stderr.take().unwrap());
        tell(&ingest, signals[0]);
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert!(line.contains("stopping after"), "{line}");
        assert!(ingest.try_wait().unwrap().is_none());
        tell(&ingest, signals[1]);
        assert_eq!(ingest.wait().unwrap().code(), Some(130));
        stderr.read_to_string(&mut line).unwrap();
        assert!(line.contains("interrupted"), "{line}");
        // What it left queued is decided by the next who comes.
        desk.done("commit lake/main -m next --allow-empty");
    }
}

#[test]
fn branches_are_listed_beside_one_that_cannot_be_read_and_the_exit_code_says_so() {
    let desk = Desk::lake();
    desk.done("branch create lake/dev --from main");
    desk.file(".onward/store/lake/branches/dev/0000000001", b"\x01garbage");
    let said = desk.fails(1, "branch list lake");
    assert!(said.stderr.contains("onward verify lake"), "{}", said.stderr);
    let rows: Vec<&str> = said.stdout.lines().collect();
    assert!(rows[0].starts_with("dev\t-\tdamaged: ") && rows[1].starts_with("main\t"), "{rows:?}");
    let rows = desk.run("branch list lake --json").lines();
    assert!(rows[0]["damage"].as_str().unwrap().contains("branches/dev"), "{rows:?}");
    assert_eq!((&rows[0]["commit"], &rows[1]["damage"]), (&json!(null), &json!(null)));
}
