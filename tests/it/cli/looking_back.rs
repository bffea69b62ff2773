//! The log of a ref and of a path, and the refs that can be typed.

use super::{Desk, Said};

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

#[test]
fn a_ref_is_typed_alone_or_with_its_repository_wherever_one_is_asked_for() {
    let desk = Desk::lake();
    let first = link(&desk, "lake/main/t/a", "one");
    link(&desk, "lake/main/t/a", "two");
    desk.done("branch create lake/dev --from lake/main~1");
    desk.done("branch create lake/try --from main~1");
    desk.done("tag create lake v1 --from lake/main~1");
    desk.done("tag create lake v2 --from main~1");
    for reference in ["dev", "try", "v1", "v2"] {
        assert!(desk.done(&format!("show lake/{reference}")).stdout.contains(&first));
    }
    desk.file(
        "c.jsonl",
        r#"{"put": {"path": "t/b", "address": "s3://b/b", "checksum": "b", "size": 1}}"#,
    );
    desk.done("commit lake/main -m x --changes c.jsonl --base lake/v1");
    desk.done("commit lake/dev -m x --changes c.jsonl --base v1");
    assert_eq!(desk.done("diff lake/dev/t/ lake/main/t/").stdout, "~ t/a\n");
    for line in [
        "branch create lake/new --from other/main",
        "tag create lake v3 --from other/main",
        "commit lake/main -m x --changes c.jsonl --base other/main",
        "branch create lake/new --from lake/main/t",
    ] {
        let said = desk.fails(2, line);
        assert!(said.stderr.contains("is expected") || said.stderr.contains("'other'"));
    }
}

/// A line on a terminal of its own, as `script` has one, with this pager; what the terminal showed.
fn on_a_terminal(desk: &Desk, line: &str, pager: &str) -> Said {
    let mut script = std::process::Command::new("script");
    let line = format!("{} {line}", env!("CARGO_BIN_EXE_onward"));
    script.args(["-qec", line.as_str(), "/dev/null"]).current_dir(desk.path());
    script.env("PAGER", pager).env("USER", "tester").stdin(std::process::Stdio::null());
    Said::of(script.output().unwrap())
}

#[test]
fn the_log_is_paged_on_a_terminal_and_nowhere_else() {
    let desk = Desk::lake();
    for number in 0..3 {
        desk.done(&format!("commit lake/main -m number-{number} --allow-empty"));
    }
    let paged = |said: &Said| said.stdout.lines().filter(|l| l.starts_with("paged:")).count();
    let sed = "sed s/^/paged:/";
    let shown = on_a_terminal(&desk, "log lake/main", sed);
    // The columns' names, and the first commit of the repository.
    assert_eq!((shown.code, paged(&shown)), (0, 5), "{}", shown.stdout);
    assert!(shown.stdout.contains("number-2"), "{}", shown.stdout);
    for (line, pager) in
        [("log lake/main", "cat"), ("log lake/main", " "), ("log lake/main --json", sed)]
    {
        let shown = on_a_terminal(&desk, line, pager);
        assert_eq!((shown.code, paged(&shown)), (0, 0), "{}", shown.stdout);
        assert!(shown.stdout.contains("number-0"), "{}", shown.stdout);
    }
    // A pager that nobody looks into any more ends the command.
    assert_eq!(on_a_terminal(&desk, "log lake/main", "true").code, 0);
    let wrong = on_a_terminal(&desk, "log lake/nowhere", sed);
    assert_eq!((wrong.code, paged(&wrong)), (4, 0), "{}", wrong.stdout);
    let piped = Said::of(desk.command(&["log", "lake/main"]).env("PAGER", sed).output().unwrap());
    assert_eq!((paged(&piped), piped.stdout.lines().count()), (0, 4), "{}", piped.stdout);
}
