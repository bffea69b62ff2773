//! `verify` and `gc` from outside.

use super::Desk;

#[test]
fn a_lake_is_verified_and_its_garbage_collected() {
    let desk = Desk::lake();
    desk.file("a.csv", "a");
    desk.done("put a.csv lake/main/");
    desk.done("commit lake/main -m one");
    desk.done("branch create lake/dev --from main");
    desk.done("put a.csv lake/dev/b.csv");
    desk.done("commit lake/dev -m two");
    desk.done("branch delete lake/dev --yes");
    let summary = desk.done("verify lake --data --json").json();
    assert_eq!((&summary["findings"], &summary["objects"]), (&0.into(), &1.into()));
    assert!(desk.done("verify lake").stdout.starts_with("sound: "));

    let young = desk.done("gc lake --json").json();
    // What was a head a moment ago is still kept.
    assert_eq!((&young["data"]["removed"], &young["data"]["kept"]), (&0.into(), &2.into()));
    desk.fails(2, "gc lake --grace 1h");
    let told = desk.done("gc lake --grace 0s --exclusive --dry-run --json").lines();
    let [object, report] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&object["removed"], &object["bytes"]), (&false.into(), &1.into()));
    assert_eq!((&report["dry_run"], &report["data"]["removed"]), (&true.into(), &1.into()));
    let said = desk.done("gc lake --grace 0s --exclusive").stdout;
    assert!(said.contains("uploaded     1 removed (1 B), 1 kept (1 B)"), "{said}");
    assert_eq!(desk.done("cat lake/main/a.csv").stdout, "a");
    desk.fails(4, "verify nope");
    desk.fails(4, "gc nope");

    // An object that is lost is found to be, and named.
    let key =
        desk.done("stat lake/main/a.csv --json").json()["address"].as_str().unwrap().to_owned();
    std::fs::remove_file(key.strip_prefix("file://").unwrap()).unwrap();
    desk.done("verify lake");
    let lost = desk.fails(1, "verify lake --data --json").lines();
    assert_eq!((&lost[0]["finding"], &lost[0]["ref"]), (&"missing".into(), &"main".into()));
    assert!(key.ends_with(lost[0]["key"].as_str().unwrap()));
    assert_eq!(lost[1]["findings"], 1);
}

#[test]
fn files_of_tables_are_counted_and_go_where_that_is_asked() {
    let desk = Desk::lake();
    let folder = "_iceberg/lake/0193a7c0-0000-4000-8000-000000000001/data";
    let old = desk.file(&format!(".onward/store/{folder}/old.parquet"), "old");
    let young = desk.file(&format!(".onward/store/{folder}/young.parquet"), "young");
    let age = std::time::Duration::from_secs(8 * 24 * 3600);
    let file = std::fs::File::options().append(true).open(&old).unwrap();
    file.set_modified(std::time::SystemTime::now() - age).unwrap();
    let said = desk.done("gc lake").stdout;
    let counted = "tables       1 would go (3 B), 1 kept (5 B), 1 of them unused but too young";
    assert!(said.contains(counted) && said.contains("--tables removes them"), "{said}");
    assert!(said.contains(&folder.replace("/data", " (of no table): 1 would go")), "{said}");
    let listed = desk.done("gc lake --dry-run -v").stdout;
    assert!(listed.contains(&format!("{folder}/old.parquet")), "{listed}");
    assert!(!listed.contains("--tables removes them"), "{listed}");
    desk.fails(2, "gc lake --tables --tables-grace 24h");
    let told = desk.done("gc lake --tables --json").lines();
    let [object, report] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&object["removed"], &object["bytes"]), (&true.into(), &3.into()));
    let tables = &report["tables"];
    assert_eq!((&tables["removed"], &tables["kept"]), (&1.into(), &1.into()), "{tables}");
    assert_eq!(tables["folders"][0]["left_alone"], false, "{tables}");
    assert!(!old.exists() && young.exists());
}

#[test]
fn files_of_tables_that_were_to_go_and_do_not_are_no_success() {
    let desk = Desk::lake();
    let newer = r#"{"put": {"path": "iceberg/a/t.table", "address": "s3://b/t.json", "checksum": "c", "size": 1, "metadata": {"iceberg": "table/9"}}}"#;
    desk.file("changes.jsonl", newer);
    desk.done("commit lake/main -m newer --changes changes.jsonl");
    assert!(desk.done("gc lake").stdout.contains("nothing of tables was removed"));
    for line in ["gc lake --tables", "gc lake --tables --dry-run"] {
        let said = desk.fails(1, line);
        assert!(said.stderr.contains("written by a newer program"), "{}", said.stderr);
        assert!(said.stdout.contains("ranges"), "the rest was collected: {}", said.stdout);
    }
    let said = desk.fails(1, "gc lake --tables --json");
    let report: serde_json::Value = serde_json::from_str(said.stdout.trim()).unwrap();
    let halted = report["tables"]["halted"].as_str().unwrap();
    assert!(halted.contains("table/9") && said.stderr.is_empty(), "{halted}: {}", said.stderr);
}

#[test]
fn a_recovery_that_gives_something_up_names_it_and_is_no_success() {
    let desk = Desk::lake();
    desk.file("a.csv", "a");
    desk.done("put a.csv lake/main/");
    let lost = desk.done("commit lake/main -m one --json").json();
    let logs = desk.path().join(".onward/store/lake/log");
    let log = std::fs::read_dir(&logs).unwrap().next().unwrap().unwrap().path();
    let mut entries: Vec<_> = std::fs::read_dir(log).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    std::fs::remove_file(entries.last().unwrap()).unwrap();
    let refused = desk.fails(1, "log lake/main").stderr;
    assert!(refused.contains("onward recover lake"), "{refused}");
    let recovered = desk.fails(1, "recover lake --json").json();
    assert_eq!(recovered["given_up"][0]["op_id"], lost["op_id"]);
    assert_eq!(desk.done("recover lake --json").json()["given_up"], serde_json::json!([]));
    assert_eq!(desk.done("log lake/main --json").lines().len(), 1);
}

#[test]
fn verify_and_gc_count_alike() {
    let desk = Desk::lake();
    for number in 0..40 {
        desk.file(&format!("tree/{number:03}"), number.to_string());
    }
    desk.done("ingest tree lake/main --writers 3 --files-per-commit 2");
    desk.done("branch create lake/dev");
    desk.done("commit lake/dev -m x --allow-empty");
    let verified = desk.done("verify lake --json").json();
    let collected = desk.done("gc lake --dry-run --json").json();
    for what in ["entries", "runs", "ranges"] {
        assert!(verified[what].is_u64(), "{verified}");
        assert_eq!(verified[what], collected["in_use"][what], "{what}: {verified} {collected}");
    }
    let said = desk.done("gc lake --dry-run").stdout;
    let sentence = format!(
        "{} log entries, {} runs, {} ranges in use",
        verified["entries"], verified["runs"], verified["ranges"]
    );
    assert!(said.starts_with(&sentence), "{said}");
}
