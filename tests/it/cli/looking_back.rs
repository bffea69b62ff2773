//! The log of a ref and of a path, and the refs that can be typed.

use super::Desk;

/// Commits a link at a path.
fn link(desk: &Desk, path: &str, checksum: &str) -> String {
    desk.done(&format!("link {path} --address s3://b/x --checksum {checksum} --size 1"));
    let branch = path.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
    desk.done(&format!("commit {branch} -m {checksum}")).stdout.trim().to_owned()
}

#[test]
fn the_log_of_a_path_tells_the_commits_that_touched_it() {
    let desk = Desk::lake();
    let first = link(&desk, "lake/main/t/a", "one");
    let second = link(&desk, "lake/main/t/b", "two");
    let third = link(&desk, "lake/main/u/a", "three");
    let told = |line: &str| -> Vec<String> {
        let lines = desk.done(line).lines();
        lines.iter().map(|line| line["commit"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(told("log lake/main/t/a --json"), [first.as_str()]);
    assert_eq!(told("log lake/main/t/ --json"), [second.as_str(), first.as_str()]);
    assert_eq!(told("log lake/main/t/ --limit 1 --json"), [second.as_str()]);
    assert_eq!(told("log lake/main/t --json"), [] as [&str; 0]);
    assert_eq!(told("log lake/main~1/u/ --json"), [] as [&str; 0]);
    assert_eq!(told("log lake/main --since 1h --first-parent --json").len(), 4);
    assert_eq!(told("log lake/main --since 2999-01-01 --json"), [] as [&str; 0]);
    assert_eq!(told("log lake/main/ --limit 1 --json"), [third.as_str()]);
    assert!(desk.fails(2, "log lake/main --since soon").stderr.contains("2026-11-21"));
}
