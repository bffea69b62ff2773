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
