//! How the command speaks: what its help shows first, what it says of where it looked, and that what went
//! wrong is named as what it is.

use std::process::Stdio;

use super::{Desk, Said};

/// Runs a line, and holds what it says on stderr.
fn says(desk: &Desk, code: i32, line: &str, words: &[&str]) -> Said {
    let said = desk.fails(code, line);
    for word in words {
        assert!(said.stderr.contains(word), "{line}: {word:?} is not in {}", said.stderr);
    }
    said
}

#[test]
fn help_shows_the_options_of_a_verb_before_those_of_all() {
    let desk = Desk::new();
    for verb in ["merge", "commit", "diff", "log", "branch create", "bench contend"] {
        let help = desk.done(&format!("help {verb}")).stdout;
        let help = help.split("\nExample").next().unwrap();
        let (own, of_all) = help.split_once("Options of every verb:").unwrap();
        let has = |help: &str, option: &str| help.split_whitespace().any(|word| word == option);
        for option in ["--redis", "--storage", "--data-dir", "--json", "--quiet", "--no-color"] {
            assert!(!has(own, option), "{verb}: {option} in {own}");
            assert!(has(of_all, option), "{verb}: {option} not in {of_all}");
        }
        assert!(!of_all.contains("--message") && !of_all.contains("--limit"), "{of_all}");
    }
}

#[test]
fn what_only_reads_makes_no_local_instance_and_says_where_it_looked() {
    let desk = Desk::new();
    let here = desk.path().join(".onward").display().to_string();
    for line in
        ["ls lake/main", "log lake/main", "status lake/main", "gc lake", "key list", "recover"]
    {
        says(&desk, 4, line, &["no local instance", &here, "repo create", "--data-dir"]);
    }
    let none = desk.done("repo list");
    assert!(none.stdout.is_empty() && none.stderr.contains("no repositories"), "{}", none.stderr);
    assert_eq!(desk.done("repo list --json").stdout, "");
    assert!(desk.done("status").stdout.contains("repo create"));
    assert!(!desk.path().join(".onward").exists(), "nothing was started");
    let made = desk.done("repo create lake").stderr;
    assert!(made.contains("began a local instance") && made.contains(&here), "{made}");
    assert!(!desk.done("repo create other").stderr.contains("began"));
    says(&desk, 4, "log nowhere/main", &["nowhere", "looked in the local instance", &here]);
    desk.done("repo delete lake --yes");
    desk.done("repo delete other --yes");
    assert!(desk.done("repo list").stderr.contains("no repositories"));
    // One that was stopped is there.
    desk.done("down");
    desk.done("repo list");
}

#[test]
fn a_branch_begins_at_the_default_branch_unless_it_is_told_another_place() {
    let desk = Desk::new();
    desk.done("repo create lake --default-branch trunk");
    let head = desk.done("branch show lake/trunk --json").json()["commit"].clone();
    desk.done("commit lake/trunk -m x --allow-empty");
    let next = desk.done("branch show lake/trunk --json").json()["commit"].clone();
    let made = |line: &str| desk.done(&format!("{line} --json")).json()["commit"].clone();
    assert_eq!(made("branch create lake/dev"), next);
    assert_eq!(made("branch create lake/old --from trunk~1"), head);
    assert_eq!(made("tag create lake v1"), next);
    assert!(desk.done("tag delete lake v1").stdout.is_empty());
    assert!(desk.done("tag list lake").stderr.contains("tag create"));
}

#[test]
fn one_name_of_the_strategy_goes_everywhere_and_the_old_one_still_does() {
    let desk = Desk::lake();
    for flag in ["--strategy", "--on-conflict"] {
        desk.file(
            "c.jsonl",
            format!(
                r#"{{"put": {{"path": "{}", "address": "x", "checksum": "c", "size": 1}}}}"#,
                &flag[2..]
            ),
        );
        desk.done(&format!(
            "commit lake/main -m x --changes c.jsonl --base main {flag} source-wins"
        ));
        says(&desk, 9, &format!("merge lake/main main {flag} dest-wins"), &["nothing to merge"]);
    }
}

#[test]
fn what_went_wrong_is_named_as_what_it_is() {
    let desk = Desk::lake();
    desk.file("empty.jsonl", "");
    desk.file("dir/f", "x");
    let absent = r#"{"put": {"path": "a", "address": "x", "checksum": "c", "size": 1}, "if": {"absent": true}}"#;
    desk.file("absent.jsonl", absent);
    says(
        &desk,
        2,
        "put dir lake/main/x",
        &["'dir' is a directory", "onward ingest dir lake/main/x"],
    );
    says(&desk, 2, "commit lake/main -m x --timeout 30", &["30 of what?", "30s"]);
    says(&desk, 2, "ls main", &["names a repository, and no ref", "lake/main"]);
    says(
        &desk,
        9,
        "commit lake/main -m x --changes empty.jsonl",
        &["'empty.jsonl' has no changes"],
    );
    desk.done("commit lake/main -m x --changes absent.jsonl");
    let refused =
        says(&desk, 3, "commit lake/main -m x --changes absent.jsonl", &["condition did not hold"]);
    assert!(
        !refused.stderr.contains("changed by others") && !refused.stderr.contains("--base"),
        "{}",
        refused.stderr
    );
    says(&desk, 4, "key delete nobody", &["there is no access key 'nobody'"]);
    let redis = "--storage file:///tmp/nothing --redis";
    let said = says(
        &desk,
        2,
        &format!("repo list {redis} http://127.0.0.1:1"),
        &["'http'", "redis://HOST:PORT"],
    );
    assert!(!said.stderr.contains("InvalidClientConfig"), "{}", said.stderr);
    let said = says(
        &desk,
        5,
        &format!("repo list {redis} redis://127.0.0.1:1"),
        &["redis://127.0.0.1:1", "refused"],
    );
    assert!(!said.stderr.contains("new object"), "{}", said.stderr);
    // What is staged and there already is gone, and it is said.
    desk.file("f", "x");
    for code in [0, 9] {
        desk.done("put f lake/main/f");
        let said = desk.fails(code, "commit lake/main -m x");
        assert_eq!(said.stderr.contains("is there already"), code == 9, "{}", said.stderr);
    }
}

#[test]
fn a_log_names_its_columns_and_says_the_zone() {
    let desk = Desk::lake();
    let mut command = desk.command(&["log", "lake/main"]);
    let said = Said::of(command.env("TZ", "Asia/Kolkata").output().unwrap());
    let columns: Vec<&str> = said.stderr.split_whitespace().collect();
    assert_eq!(columns, ["commit", "created", "ticket", "committer", "message"]);
    assert!(said.stdout.contains(" +05:30 "), "{}", said.stdout);
    let at = |line: &str, word: &str| line.find(word).unwrap();
    assert_eq!(at(&said.stderr, "message"), at(&said.stdout, "Repository created"));
    assert_eq!(at(&said.stderr, "committer"), at(&said.stdout, "tester"));
    let mut show = desk.command(&["show", "lake/main"]);
    let shown = Said::of(show.env("TZ", "UTC").output().unwrap()).stdout;
    assert!(shown.contains(" +00:00"), "{shown}");
    for quiet in ["--json", "--quiet"] {
        assert_eq!(desk.done(&format!("log lake/main {quiet}")).stderr, "");
    }
}

#[test]
fn waiting_is_said_while_it_lasts() {
    let desk = Desk::lake();
    let pid = desk.done("status --json").json()["pid"].to_string();
    let pause = |signal: &str| {
        assert!(
            std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success()
        );
    };
    let mut commit = desk.command(&["commit", "lake/main", "-m", "x", "--allow-empty"]);
    // It has its connections before Redis is stopped, or waits for them: both are waiting.
    let child = commit.stdout(Stdio::piped()).stderr(Stdio::piped());
    pause("-STOP");
    let mut child = child.spawn().unwrap();
    let told = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let told = told.map_while(Result::ok).find(|line| line.contains("waiting for Redis"));
    pause("-CONT");
    assert!(told.is_some_and(|line| line.contains("onward doctor")), "nothing was said");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn completions_know_repositories_branches_and_tags_and_start_nothing() {
    let desk = Desk::new();
    // As fish asks; the last word is the one that is typed.
    let offered = |line: &str| -> Vec<String> {
        let words: Vec<&str> = line.split(' ').collect();
        let mut asked = desk.command(&[&["--", "onward"], words.as_slice()].concat());
        let said = Said::of(asked.env("ONWARD_COMPLETE", "fish").output().unwrap());
        assert_eq!(said.code, 0, "{line}: {}", said.stderr);
        let value = |line: &str| line.split('\t').next().unwrap().to_owned();
        said.stdout.lines().map(value).collect()
    };
    assert_eq!(offered("log l"), Vec::<String>::new());
    assert!(!desk.path().join(".onward").exists(), "nothing was started");
    for line in
        ["repo create lake", "repo create lab", "branch create lake/dev", "tag create lake v1"]
    {
        desk.done(line);
    }
    assert_eq!(offered("log la"), ["lab/", "lake/"]);
    assert_eq!(offered("log lake/"), ["lake/dev", "lake/main", "lake/v1"]);
    assert_eq!(offered("merge lake/d"), ["lake/dev"]);
    assert_eq!(offered("verify lak"), ["lake"]);
    assert_eq!(offered("log other/"), Vec::<String>::new());
    let verbs = offered("");
    assert!(verbs.iter().any(|verb| verb == "wait-until"));
    assert!(
        !verbs.iter().any(|verb| verb.ends_with("-job") || verb.ends_with("-writer")),
        "{verbs:?}"
    );
    desk.done("down");
    assert_eq!(offered("log lake/"), Vec::<String>::new());
    assert!(desk.done("status").stdout.contains("stopped"));
}
