//! Bad input and absent servers: one clear message, the documented code, nothing lost.

use super::Desk;

#[test]
fn names_and_paths_out_of_rule_are_2_and_say_the_rule() {
    let desk = Desk::lake();
    let long = format!("stat lake/main/{}", "x".repeat(1025));
    for (line, why) in [
        ("repo create La_ke", "lower-case"),
        ("branch create lake/a.b --from main", "branch name"),
        ("tag create lake a..b", "tag name"),
        ("tag create lake main~1 --from main", "ancestor"),
        ("ls lake", "lake/main"),
        ("stat lake/main", "names no object"),
        ("stat lake/main/", "names no object"),
        (long.as_str(), "1024"),
        ("log lake/main~x", "ref"),
        ("diff lake/main other/main", "repository 'other'"),
        ("commit lake/main~1 -m x", "not a branch"),
        ("commit lake/main/path -m x", "path"),
        ("commit lake/main -m x --op-id short", "UUID"),
        ("commit lake/main -m x --producer p", "--epoch"),
        ("commit lake/main -m x --timeout soon", "30s"),
        ("commit lake/main -m x --base main", "--changes"),
        ("put a lake/main/a --meta k", "KEY=VALUE"),
        ("repo delete lake", "--yes"),
        ("branch delete lake/main", "--yes"),
        ("nonsense", "nonsense"),
    ] {
        let said = desk.fails(2, line);
        assert!(said.stderr.contains(why), "{line}: {}", said.stderr);
        assert_eq!(said.stdout, "", "{line}");
        let error = desk.fails(2, &format!("{line} --json")).error();
        assert_eq!(error["kind"], "invalid_input", "{line}");
    }
}

#[test]
fn a_broken_line_of_a_change_file_is_named_and_nothing_is_submitted() {
    let desk = Desk::lake();
    let good = r#"{"delete": {"path": "a"}}"#;
    for broken in ["{", "{\"delete\": {\"path\": \"\"}}", &"x".repeat(100_000), "[]"] {
        desk.file("c.jsonl", format!("{good}\n\n{broken}\n{good}\n"));
        let said = desk.fails(2, "commit lake/main -m x --changes c.jsonl");
        assert!(said.stderr.contains("line 3"), "{}", said.stderr);
    }
    desk.file("c.jsonl", b"{\"delete\": {\"path\": \"a\xff\"}}\n");
    assert!(desk.fails(2, "commit lake/main -m x --changes c.jsonl").stderr.contains("UTF-8"));
    assert_eq!(desk.done("log lake/main").stdout.lines().count(), 1);
    assert_eq!(desk.done("queue lake/main --json").json()["done"], 1);
}

#[test]
fn a_path_that_a_change_file_names_twice_is_told_with_both_lines() {
    let desk = Desk::lake();
    let put = |path: &str, more: &str| {
        format!(
            r#"{{"put": {{"path": "{path}", "address": "x", "checksum": "c", "size": 1}}{more}}}"#
        )
    };
    let conditional = put("dup", r#", "if": {"absent": true}"#);
    let many: String = (0..600).map(|n| put(&format!("p{n}"), "") + "\n").collect();
    for (lines, numbers) in [
        (format!("{conditional}\n{}\n", put("dup", "")), "line 1 and line 2"),
        (format!("{conditional}\n\n{}\n", r#"{"delete": {"path": "dup"}}"#), "line 1 and line 3"),
        (format!("{conditional}\n{many}{}\n", put("dup", "")), "line 1 and line 602"),
    ] {
        desk.file("c.jsonl", lines);
        let said = desk.fails(2, "commit lake/main -m x --changes c.jsonl");
        assert!(said.stderr.contains(numbers) && said.stderr.contains("'dup'"), "{}", said.stderr);
    }
    assert_eq!(desk.done("queue lake/main --json").json()["done"], 1);
}

#[test]
fn redis_and_storage_are_set_together_or_not_at_all() {
    let desk = Desk::new();
    assert!(desk.fails(2, "repo list --redis redis://localhost:1").stderr.contains("--storage"));
    assert!(desk.fails(2, "repo list --storage file:///nope").stderr.contains("--redis"));
    desk.file("onward.toml", "redis = 'redis://localhost:1'\n");
    assert!(desk.fails(2, "repo list").stderr.contains("--storage"));
    desk.file("onward.toml", "redsi = 'x'\n");
    let said = desk.fails(2, "repo list");
    assert!(
        said.stderr.contains("onward.toml") && said.stderr.contains("redsi"),
        "{}",
        said.stderr
    );
    assert!(!desk.path().join(".onward").exists(), "nothing was started");
}

#[test]
fn an_absent_redis_is_5() {
    let desk = Desk::new();
    let storage = format!("file://{}", desk.path().display());
    let line = format!("repo list --redis redis://127.0.0.1:1 --storage {storage} --json");
    let said = desk.fails(5, &line);
    assert_eq!(said.error()["kind"], "unavailable");
}

#[test]
fn an_absent_storage_is_5_and_what_was_committed_is_there_again_with_it() {
    let desk = Desk::lake();
    let (store, away) = (desk.path().join(".onward/store"), desk.path().join("away"));
    std::fs::rename(&store, &away).unwrap();
    std::fs::write(&store, "not a directory").unwrap();
    let said = desk.run("commit lake/main -m x --allow-empty --timeout 2s");
    assert!([5, 8].contains(&said.code), "{}: {}", said.code, said.stderr);
    std::fs::remove_file(&store).unwrap();
    std::fs::rename(&away, &store).unwrap();
    assert!(desk.done("log lake/main").stdout.contains("Repository created"));
}
