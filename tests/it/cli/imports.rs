//! `import` as users meet it.

use serde_json::json;

use super::Desk;

#[test]
fn a_folder_is_imported_as_one_commit_and_its_files_can_be_read() {
    let desk = Desk::lake();
    for n in 0..7 {
        desk.file(&format!("raw/d{}/f{n}.csv", n % 2), format!("content {n}"));
    }
    desk.file("raw/d0/notes.txt", "x");
    let from = format!("file://{}/raw", desk.path().display());
    let line = format!("import lake/main/in --from {from} --include *.csv");
    let counted = desk.done(&format!("{line} --dry-run --json")).json();
    assert_eq!((&counted["objects"], &counted["left_out"]), (&json!(7), &json!(1)));
    assert_eq!(counted["outcome"], json!(null));
    assert_eq!(desk.done("ls -r lake/main").stdout, "");
    let done = desk.done(&format!("{line} -m load --json")).json();
    assert_eq!((&done["outcome"], &done["objects"]), (&json!("committed"), &json!(7)));
    assert_eq!((&done["bytes"], &done["ticket"]), (&json!(63), &json!(2)));
    assert_eq!(desk.done("ls -r lake/main").stdout.lines().count(), 7);
    assert_eq!(desk.done("cat lake/main/in/d1/f3.csv").stdout, "content 3");
    let shown = desk.done("show lake/main --json").json();
    assert_eq!(shown["message"], "load");
    let source = shown["metadata"]["onward.import.source"].as_str().unwrap();
    assert!(source.starts_with("file:///") && source.ends_with("/raw"), "{source}");
    let id = desk.done(&format!("import lake/main --from {from} --exclude d0/**")).stdout;
    assert_eq!(id.trim().len(), 64);
    assert!(desk.done("stat lake/main/d1/f3.csv").stdout.contains("f3.csv"));
    for (line, code, why) in [
        (format!("import lake/main --from {from}/none"), 4, "not a directory"),
        (format!("import lake/main --from {from} --include *.zip"), 4, "nothing to import"),
        (format!("import lake/none --from {from}"), 4, "no branch"),
        (format!("import lake/main --from {from} --include ["), 2, "pattern"),
        ("import lake/main --from raw".into(), 2, "not a URL"),
        (format!("import lake/main --from file://{}", desk.path().display()), 2, "storage"),
    ] {
        let said = desk.fails(code, &line);
        assert!(said.stderr.contains(why), "{line}: {}", said.stderr);
    }
}

/// A folder of files with names of all kinds; of the two that no object can be made of, one is a pipe
/// and one has a name that is not UTF-8.
fn odd_folder(desk: &Desk) -> Vec<&'static str> {
    use std::os::unix::ffi::OsStrExt;

    let names = ["#7", "a b", "issue#12", "new\nline", "plain", "run#001", "tab\there", "x%2Fy"];
    for name in names {
        desk.file(&format!("raw/{name}"), name);
    }
    nix::unistd::mkfifo(&desk.path().join("raw/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let bad = std::ffi::OsStr::from_bytes(b"raw/bad\xff");
    std::fs::write(desk.path().join(bad), "x").unwrap();
    names.to_vec()
}

#[test]
fn every_file_of_a_folder_is_imported_or_named() {
    let desk = Desk::lake();
    let names = odd_folder(&desk);
    let from = format!("file://{}/raw", desk.path().display());
    let told = desk.fails(1, &format!("import lake/main --from {from} --json")).json();
    assert_eq!((&told["outcome"], &told["objects"]), (&json!("committed"), &json!(names.len())));
    let counts = ["special", "names", "unreadable"].map(|kind| &told["skipped"][kind]);
    assert_eq!(counts, [1, 1, 0]);
    assert!(told["skipped"]["reasons"].to_string().contains("UTF-8"), "{told}");
    let listed = desk.done("ls -r lake/main --json").lines();
    let listed: Vec<&str> = listed.iter().map(|item| item["path"].as_str().unwrap()).collect();
    assert_eq!(listed, names);
    for name in &names {
        assert_eq!(desk.words(&["cat", &format!("lake/main/{name}")]).stdout, *name);
    }
    // With -q too: an exit code that nobody explains helps nobody.
    let said = desk.fails(1, &format!("import lake/main --from {from} -q"));
    assert!(said.stderr.contains("bad") && said.stderr.contains("not all"), "{}", said.stderr);
    // What the patterns leave out is nobody's loss, and neither is a pipe.
    let said = desk.done(&format!("import lake/main/in --from {from} --exclude bad*"));
    assert!(said.stderr.contains("pipe"), "{}", said.stderr);
    // A pipe that stands where a file was is not waited for.
    std::fs::remove_file(desk.path().join("raw/plain")).unwrap();
    nix::unistd::mkfifo(&desk.path().join("raw/plain"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    desk.fails(4, "cat lake/main/plain");
}

#[test]
fn a_mirror_shows_the_folder_as_it_is() {
    let desk = Desk::lake();
    for name in ["raw/1.csv", "raw/2.csv", "raw/notes.txt"] {
        desk.file(name, name);
    }
    let from = format!("file://{}/raw", desk.path().display());
    let line = format!("import lake/main/in --from {from}");
    desk.done(&line);
    desk.done("link lake/main/in.csv --address s3://b/x --checksum c --size 1");
    desk.done("commit lake/main -m beside");
    for name in ["raw/2.csv", "raw/notes.txt"] {
        std::fs::remove_file(desk.path().join(name)).unwrap();
    }
    desk.file("raw/3.csv", "3");
    let paths = || {
        let listed = desk.done("ls -r lake/main --json").lines();
        let paths = listed.iter().map(|item| item["path"].as_str().unwrap().to_owned());
        paths.collect::<Vec<_>>().join(" ")
    };
    // Without it, what is gone stays; what the patterns do not take stays with it, too.
    let counted = desk.done(&format!("{line} --mirror --include *.csv --dry-run --json")).json();
    assert_eq!((&counted["objects"], &counted["removed"]), (&json!(2), &json!(1)));
    let done = desk.done(&format!("{line} --mirror --include *.csv --json")).json();
    assert_eq!((&done["objects"], &done["removed"]), (&json!(2), &json!(1)));
    assert_eq!(paths(), "in.csv in/1.csv in/3.csv in/notes.txt");
    desk.done(&format!("{line} --mirror"));
    assert_eq!(paths(), "in.csv in/1.csv in/3.csv");
    let again = desk.done(&format!("{line} --mirror --json")).json();
    assert_eq!((&again["objects"], &again["removed"]), (&json!(2), &json!(0)));
    // An empty folder is more often one that is not mounted.
    std::fs::create_dir(desk.path().join("none")).unwrap();
    let none = format!("import lake/main/in --from file://{}/none --mirror", desk.path().display());
    assert!(desk.fails(4, &none).stderr.contains("nothing to import"));
    assert_eq!(paths(), "in.csv in/1.csv in/3.csv");
}
