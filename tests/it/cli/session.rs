//! A first session, end to end, and the shapes of its JSON.

use serde_json::{Value, json};

use super::Desk;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_first_session_works_as_the_readme_tells_it() {
    let desk = Desk::lake();
    desk.file("orders.csv", "id,amount\n1,10\n");
    desk.done("put orders.csv lake/main/orders/");
    assert_eq!(desk.done("status lake/main").stdout.matches("orders/orders.csv").count(), 1);
    assert!(desk.done("ls -r lake/main").stdout.contains("orders/orders.csv"));
    assert_eq!(desk.done("ls -r lake/main@").stdout, "", "not committed yet");
    let first = desk.done("commit lake/main -m load --meta topic=orders");
    let first = first.stdout.trim();
    assert_eq!(first.len(), 64);
    assert!(desk.done("ls lake/main@").stdout.contains("orders/"));
    assert_eq!(desk.done("cat lake/main/orders/orders.csv").stdout, "id,amount\n1,10\n");
    assert_eq!(desk.done("status lake/main").stdout, "");
    desk.done("tag create lake v1");
    desk.done("branch create lake/dev --from v1");
    desk.done("rm lake/main/orders/orders.csv");
    desk.done("commit lake/main -m gone");
    assert_eq!(desk.done("diff lake/v1 main").stdout, "- orders/orders.csv\n");
    assert_eq!(desk.done("diff lake/main lake/v1 --two-dot").stdout, "+ orders/orders.csv\n");
    assert_eq!(desk.done("log lake/main").stdout.lines().count(), 3);
    assert_eq!(desk.done("log lake/main --limit 1").stdout.lines().count(), 1);
    assert!(desk.done("show lake/main~1").stdout.contains(first));
    assert_eq!(desk.done("cat lake/dev/orders/orders.csv").stdout, "id,amount\n1,10\n");
    assert_eq!(desk.done("branch list lake").stdout.lines().count(), 2);
    assert!(desk.done(&format!("show lake/{}", &first[..8])).stdout.contains("load"));
    desk.done("tag delete lake v1");
    desk.done("branch delete lake/dev --yes");
    desk.done("repo delete lake --yes");
    assert_eq!(desk.done("repo list").stdout, "");
}

#[test]
fn json_has_the_documented_shapes() {
    let desk = Desk::lake();
    let link = "--address s3://b/a --checksum c1 --size 7 --mtime 1700000000 --content-type text/csv --meta k=v";
    desk.done(&format!("link lake/main/t/a {link}"));
    let staged = desk.done("status lake/main --json").json();
    assert_eq!((&staged["path"], &staged["type"]), (&json!("t/a"), &json!("put")));
    let committed = desk.done("commit lake/main -m m --meta a=b --json").json();
    let commit_keys =
        ["batch", "commit", "conflicts", "hint", "op_id", "outcome", "rounds", "ticket", "wait_ms"];
    assert_eq!(keys(&committed), commit_keys);
    assert_eq!(committed["outcome"], "committed");
    assert_eq!(committed["ticket"], 2);
    assert_eq!(committed["hint"], Value::Null);
    let log = desk.done("log lake/main --json").lines();
    assert_eq!(log.len(), 2);
    assert_eq!(
        keys(&log[0]),
        [
            "commit",
            "committer",
            "created",
            "generation",
            "message",
            "metadata",
            "op_id",
            "parents",
            "ticket"
        ]
    );
    assert_eq!(log[0]["commit"], committed["commit"]);
    assert_eq!(log[0]["op_id"], committed["op_id"]);
    assert_eq!(log[0]["committer"], "tester");
    assert_eq!(log[0]["metadata"], json!({"a": "b"}));
    assert_eq!(desk.done("show lake/main --json").json(), log[0]);
    let object = json!({
        "path": "t/a", "type": "object", "size": 7, "checksum": "c1", "address": "s3://b/a",
        "mtime": 1_700_000_000, "content_type": "text/csv", "metadata": {"k": "v"},
    });
    assert_eq!(desk.done("ls -r lake/main --json").json(), object);
    assert_eq!(desk.done("stat lake/main/t/a --json").json(), object);
    let prefix = desk.done("ls lake/main --json").json();
    assert_eq!((&prefix["path"], &prefix["type"]), (&json!("t/"), &json!("common_prefix")));
    let diff = desk.done("diff lake/main~1 lake/main --json").json();
    assert_eq!(keys(&diff), ["base", "dest", "path", "source", "type"]);
    assert_eq!((&diff["path"], &diff["type"]), (&json!("t/a"), &json!("added")));
    let diff = desk.done("diff lake/main~1 lake/main --two-dot --json").json();
    assert_eq!(keys(&diff), ["after", "before", "path", "type"]);
    assert_eq!((&diff["path"], &diff["type"]), (&json!("t/a"), &json!("added")));
    assert_eq!(
        desk.done("queue lake/main --json").json(),
        json!({"branch": "lake/main", "depth": 0, "done": 2, "oldest_ms": null, "ops": []})
    );
    let op_id = committed["op_id"].as_str().unwrap();
    let shown = desk.done(&format!("ticket show lake/main {op_id} --json")).json();
    assert_eq!(shown["commit"], committed["commit"]);
    let recovered = desk.done("recover --json").json();
    assert_eq!((&recovered["state"], &recovered["done"]), (&json!("intact"), &json!(2)));
}

#[test]
fn a_change_file_is_committed_as_it_is_and_staged_changes_stay() {
    let desk = Desk::lake();
    desk.done("link lake/main/staged --address s3://b/s --checksum s --size 1");
    let lines: String = (0..3000)
        .map(|n| {
            let put = json!({"path": format!("t/{n:05}"), "address": format!("s3://b/{n}"), "checksum": format!("{n}"), "size": n});
            format!("{}\n", json!({"put": put}))
        })
        .collect();
    let said = desk.fed("commit lake/main -m bulk --changes - --json", lines.as_bytes());
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(desk.done("ls -r lake/main@").stdout.lines().count(), 3000);
    assert_eq!(desk.done("status lake/main --json").json()["path"], "staged");
    desk.done("branch reset lake/main --yes");
    assert_eq!(desk.done("status lake/main").stdout, "");
}

#[test]
fn a_tree_is_ingested_whole_and_what_is_skipped_is_told() {
    let desk = Desk::lake();
    for n in 0..40 {
        desk.file(&format!("tree/d{}/f{n}", n % 3), format!("content {n}"));
    }
    std::os::unix::fs::symlink("d0", desk.path().join("tree/link")).unwrap();
    let odd = std::os::unix::ffi::OsStrExt::from_bytes(b"tree/\xff");
    std::fs::write(desk.path().join::<&std::ffi::OsStr>(odd), "x").unwrap();
    let line = "ingest tree lake/main/in --writers 3 --files-per-commit 7";
    // One was left out, so not all is done.
    let report = desk.fails(1, &format!("{line} --json")).json();
    assert_eq!((&report["files"], &report["commits"]), (&json!(40), &json!(6)));
    let skipped = &report["skipped"];
    let counts = ["symlinks", "special", "names", "unreadable"].map(|kind| &skipped[kind]);
    assert_eq!(counts, [1, 0, 1, 0]);
    assert!(skipped["reasons"][0].as_str().unwrap().contains("UTF-8"), "{skipped}");
    assert_eq!(report["beyond_bound"], 0);
    assert_eq!(desk.done("ls -r lake/main").stdout.lines().count(), 40);
    assert_eq!(desk.done("cat lake/main/in/d1/f1").stdout, "content 1");
    let linked = desk.done("stat lake/main/in/d1/f1 --json").json();
    assert!(linked["address"].as_str().unwrap().ends_with("/tree/d1/f1"));
    assert_eq!(linked["checksum"], "9297ab3fbd56b42f6566284119238125", "its MD5");
    // A file that has changed since it was linked is told from the one that was committed.
    desk.file("tree/d1/f1", "other 1");
    assert!(desk.fails(1, "cat lake/main/in/d1/f1").stderr.contains("has changed"));
    desk.done("ingest tree lake/main/up --upload --limit 5 -q");
    assert_eq!(desk.done("ls -r lake/main/up/").stdout.lines().count(), 5);
    let said = desk.fails(1, "ingest tree lake/main/in --checksum none -q");
    assert!(said.stderr.contains("UTF-8") && said.stderr.contains("not all"), "{}", said.stderr);
}

/// Begun again, an ingestion takes what is not there yet or has changed, and nothing else.
#[test]
fn an_ingestion_goes_on_where_it_ended() {
    let desk = Desk::lake();
    for n in 0..20 {
        desk.file(&format!("tree/f{n:02}"), format!("content {n}"));
    }
    for (how, prefix) in [("--link", "links"), ("--upload", "copies")] {
        let line = format!("ingest tree lake/main/{prefix} {how} --files-per-commit 4 --json");
        desk.done(&format!("{line} --limit 9"));
        let commits = || desk.done("log lake/main").stdout.lines().count();
        let told = |report: &Value| {
            ["files", "files_unchanged", "commits"].map(|key| report[key].as_u64().unwrap())
        };
        let report = desk.done(&line).json();
        // The batch that was cut off is a commit of the three that it lacked.
        assert_eq!(told(&report), [11, 9, 3]);
        let before = commits();
        assert_eq!(told(&desk.done(&line).json()), [0, 20, 0]);
        assert_eq!(commits(), before);
        // The same length, and another content.
        desk.file("tree/f03", "CONTENT 3");
        desk.file("tree/new", "x");
        assert_eq!(told(&desk.done(&line).json()), [2, 19, 2]);
        assert_eq!(desk.done(&format!("cat lake/main/{prefix}/f03")).stdout, "CONTENT 3");
        std::fs::remove_file(desk.path().join("tree/new")).unwrap();
        desk.file("tree/f03", "content 3");
    }
    // The same bytes at another address are a link to there.
    std::fs::rename(desk.path().join("tree"), desk.path().join("moved")).unwrap();
    let report = desk.done("ingest moved lake/main/links --json").json();
    assert_eq!((&report["files"], &report["files_unchanged"]), (&json!(20), &json!(0)));
}

#[test]
fn a_folder_that_cannot_be_read_and_a_pipe_are_told_of() {
    use std::os::unix::fs::PermissionsExt;

    let desk = Desk::lake();
    desk.file("tree/f", "x");
    desk.file("tree/#7", "y");
    nix::unistd::mkfifo(&desk.path().join("tree/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let report = desk.done("ingest tree lake/main --json").json();
    assert_eq!((&report["files"], &report["skipped"]["special"]), (&json!(2), &json!(1)));
    assert_eq!(desk.words(&["cat", "lake/main/#7"]).stdout, "y");
    desk.file("tree/closed/f", "x");
    let closed = desk.path().join("tree/closed");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Those who run this as root can read everything.
    let is_root = std::fs::read_dir(&closed).is_ok();
    let said = desk.run("ingest tree lake/main");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(said.code, if is_root { 0 } else { 1 }, "{}", said.stderr);
    assert_eq!(said.stderr.contains("closed"), !is_root, "{}", said.stderr);
}
