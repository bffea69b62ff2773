//! `onward export`: to stdout, and into a file that is whole or not there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::lines;
use crate::cli::Desk;

/// With some objects, one of them with a name that every format has to take care of.
fn desk() -> Desk {
    let desk = Desk::lake();
    for (path, n) in [("a", 1), ("b/1", 2), ("b/2", 3)] {
        desk.done(&format!(
            "link lake/main/{path} --address s3://b/{n} --checksum c{n} --size {n}"
        ));
    }
    desk.done("commit lake/main -m first");
    let odd = "lake/main/b/=1,\"2\" é";
    let said = desk.words(&[
        "link",
        odd,
        "--address",
        "s3://b/4",
        "--checksum",
        "c4",
        "--size",
        "4",
        "--meta",
        "k=v",
    ]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    desk
}

/// What lies in the folder, without the instance.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != ".onward").collect();
    names.sort();
    names
}

#[test]
fn a_file_has_what_ls_lists_in_every_format() {
    let desk = desk();
    let listed = desk.done("ls -r lake/main --json").lines();
    assert_eq!(listed.len(), 4);
    let said = desk.done("export ls lake/main -o rows.jsonl");
    assert!(said.stdout.is_empty(), "{}", said.stdout);
    assert!(said.stderr.contains("4 rows in "), "{}", said.stderr);
    let rows = lines(&fs::read(desk.path().join("rows.jsonl")).unwrap());
    for (row, listed) in rows.iter().zip(&listed) {
        for name in ["path", "size", "checksum", "address", "content_type", "metadata"] {
            assert_eq!(row[name], listed[name], "{name}");
        }
    }
    assert_eq!(desk.done("export ls lake/main --json").lines(), rows);
    let csv = desk.done("export ls lake/main/b/ --format csv").stdout;
    assert_eq!(csv.split("\r\n").count(), 1 + 3 + 1, "{csv}");
    assert!(csv.contains("\"b/=1,\"\"2\"\" é\",4,c4,"), "{csv}");
    let told = desk.done("export ls lake/main -o rows.parquet --json").json();
    assert_eq!((&told["rows"], &told["format"]), (&4.into(), &"parquet".into()));
    let parquet = fs::read(desk.path().join("rows.parquet")).unwrap();
    assert_eq!(told["bytes"], parquet.len());
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    // To a pipe, and under a name that says nothing.
    let piped = desk.command(&["export", "ls", "lake/main", "--format", "parquet"]);
    let piped = { piped }.output().unwrap();
    assert_eq!(piped.stdout, parquet);
    desk.done("export ls lake/main --format parquet -o rows");
    assert_eq!(fs::read(desk.path().join("rows")).unwrap(), parquet);
}

#[test]
fn history_and_differences_are_tables_too() {
    let desk = desk();
    desk.done("commit lake/main -m second");
    let logged = desk.done("log lake/main --json").lines();
    let rows = lines(desk.done("export log lake/main --format jsonl --counts").stdout.as_bytes());
    assert_eq!(rows.len(), logged.len());
    for (row, logged) in rows.iter().zip(&logged) {
        for name in ["commit", "parents", "message", "committer", "created", "metadata", "ticket"] {
            assert_eq!(row[name], logged[name], "{name}");
        }
    }
    assert_eq!(rows[0]["added"], 1);
    let limited = desk.done("export log lake/main/b/ --limit 1 --json").lines();
    assert_eq!(limited[0]["commit"], rows[0]["commit"]);
    let changed = desk.done("export diff lake/main~1/b/ main --two-dot --json").lines();
    assert_eq!(changed.len(), 1);
    assert_eq!((&changed[0]["type"], &changed[0]["right_size"]), (&"added".into(), &4.into()));
}

#[test]
fn what_cannot_be_written_is_said_before_anything_is_touched() {
    let desk = desk();
    let file = desk.file("old.csv", "old");
    assert!(desk.fails(2, "export ls lake/main").stderr.contains("--format"));
    assert!(desk.fails(2, "export ls lake/main --format xlsx").stderr.contains("jsonl"));
    desk.fails(4, "export ls lake/nothing -o old.csv");
    desk.fails(4, "export ls lake/main -o no/folder.csv");
    fs::create_dir(desk.path().join("folder.csv")).unwrap();
    assert!(desk.fails(2, "export ls lake/main -o folder.csv").stderr.contains("no file"));
    desk.fails(2, "export ls lake/main --format csv -o /dev/null");
    assert_eq!(fs::read(&file).unwrap(), b"old");
    assert_eq!(names(desk.path()), ["folder.csv", "old.csv"]);
}

#[test]
fn a_file_that_is_replaced_is_the_old_one_or_the_new_one() {
    let desk = Desk::lake();
    // Many commits in a few entries of the log, of which the oldest is missing then.
    for n in 0..300 {
        desk.file(&format!("tree/{n:03}"), n.to_string());
    }
    desk.done("ingest tree lake/main --files-per-commit 1 --writers 2");
    desk.file("log.jsonl", "old");
    desk.done("export log lake/main -o log.jsonl");
    let file = desk.path().join("log.jsonl");
    let whole = fs::read(&file).unwrap();
    assert_eq!(lines(&whole).len(), 301);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&file), mode(&desk.path().join("tree/000")), "as the umask has it");
    // It stays what it was for others, too.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    desk.done("export log lake/main -o log.jsonl");
    assert_eq!(mode(&file) & 0o777, 0o600);
    let lost = oldest_but_one(&desk.path().join(".onward"));
    fs::remove_file(lost).unwrap();
    let broken = desk.run("export log lake/main --format jsonl");
    assert_ne!(broken.code, 0);
    let begun = lines(broken.stdout.as_bytes()).len();
    assert!((1..301).contains(&begun), "it breaks off in the middle: {begun}");
    assert_eq!(desk.run("export log lake/main -o log.jsonl").code, broken.code);
    assert_eq!(fs::read(&file).unwrap(), whole);
    assert_eq!(names(desk.path()), ["log.jsonl", "tree"]);
}

/// The second entry of the log: the first made the branch.
fn oldest_but_one(instance: &Path) -> std::path::PathBuf {
    let files = walkdir::WalkDir::new(instance).into_iter().filter_map(Result::ok);
    let entries = files.map(walkdir::DirEntry::into_path);
    let mut entries: Vec<_> =
        entries.filter(|path| path.is_file() && path.to_string_lossy().contains("/log/")).collect();
    entries.sort();
    entries.remove(1)
}
