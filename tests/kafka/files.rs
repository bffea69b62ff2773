//! Topics become files, in every format.

use serde_json::json;

use crate::support::{Desk, each_once};

fn numbered(numbers: std::ops::Range<i64>) -> impl Iterator<Item = String> {
    numbers.map(|n| json!({"n": n, "name": format!("order {n}")}).to_string())
}

#[test]
fn each_record_is_on_the_branch_once_however_often_the_sink_runs() {
    let desk = Desk::new();
    let topic = desk.topic(2);
    desk.send(&topic, 0, numbered(0..300));
    desk.send(&topic, 1, numbered(300..400));
    desk.send(&topic, 1, ["{broken".to_owned()]);
    let plain = ["--compression", "none", "--dead-letter"];
    let said = desk.to_the_end(&topic, &plain);
    let ended = &said.events("ended")[0];
    assert_eq!((&ended["records"], &ended["files"]), (&json!(401), &json!(3)), "{ended}");

    desk.send(&topic, 0, numbered(400..450));
    desk.send_tombstone(&topic, 0);
    let said = desk.to_the_end(&topic, &plain);
    assert_eq!(said.events("ended")[0]["records"], 51);
    assert_eq!(desk.to_the_end(&topic, &plain).events("ended")[0]["records"], 0);

    let lines = desk.lines(&format!("raw/{topic}/"));
    assert!(each_once(&lines, "n").into_iter().eq(0..450));
    let dead = desk.lines("raw/dead-letters/");
    let reasons: Vec<&str> = dead.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert!(reasons[0].contains("not JSON") || reasons[1].contains("not JSON"), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("tombstone")), "{reasons:?}");
    let broken = dead.iter().find(|line| line["value"] == "{broken").unwrap();
    assert_eq!((&broken["partition"], &broken["offset"]), (&json!(1), &json!(100)));
    assert_eq!(broken["key"], "k");

    // One commit has the files and the dead letters of both partitions.
    let log = desk.done(&["log", "lake/main", "--json"]);
    let commits =
        log.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let with_files =
        commits.filter(|commit| commit["metadata"]["onward.kafka.valid-through"].is_string());
    assert!(with_files.count() >= 2, "{}", log.stdout);
    desk.done(&[
        "wait-until",
        "lake/main",
        "--valid-through",
        "1970-01-01T00:00:01Z",
        "--group",
        &desk.group,
    ]);
}

#[test]
fn files_are_written_to_another_store_and_linked() {
    let desk = Desk::new();
    let topic = desk.topic(1);
    desk.send(&topic, 0, numbered(0..5));
    let folder = desk.file("beside", "").with_file_name("elsewhere");
    let url = format!("file://{}", folder.display());
    desk.to_the_end(&topic, &["--store-url", &url, "--compression", "none"]);
    let said = desk.done(&["ls", "-r", "--json", "lake/main/raw/"]).stdout;
    let entry: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let address = entry["address"].as_str().unwrap();
    assert!(address.starts_with(&url), "{entry}");
    let text = std::fs::read_to_string(address.strip_prefix("file://").unwrap()).unwrap();
    assert_eq!(text.lines().count(), 5);
    // Its own storage is not another one.
    let own = format!("file://{}/.onward/store", folder.parent().unwrap().display());
    let said = desk.run(&desk.sink(&topic, &["--store-url", &own]));
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(said.error().contains("own storage"), "{}", said.error());
}

#[test]
fn wrapped_lines_keep_key_headers_and_tombstones() {
    let desk = Desk::new();
    let topic = desk.topic(1);
    desk.send(&topic, 0, numbered(0..1));
    desk.send_tombstone(&topic, 0);
    desk.to_the_end(
        &topic,
        &["--compression", "none", "--wrap", "--path", "w/{partition}-{first_offset}"],
    );
    let lines = desk.lines("raw/w/");
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["value"]["n"], &lines[0]["key"]), (&json!(0), &json!("k")));
    let headers = json!([{"name": "h", "value": "1"}, {"name": "h", "value": "2"}]);
    assert_eq!(lines[0]["headers"], headers);
    assert!(lines[0]["timestamp_ms"].is_i64());
    assert_eq!((&lines[1]["value"], &lines[1]["key"]), (&json!(null), &json!("gone")));
}

#[test]
fn a_schema_is_inferred_once_and_kept_on_the_branch() {
    let desk = Desk::new();
    let topic = desk.topic(2);
    desk.send(&topic, 0, numbered(0..50));
    let parquet = ["--format", "parquet", "--dead-letter"];
    assert_eq!(desk.to_the_end(&topic, &parquet).events("ended")[0]["records"], 50);
    let kept = format!("raw/_schema/{topic}.txt");
    let schema = String::from_utf8(desk.bytes(&kept)).unwrap();
    assert!(schema.contains("INT64 n;") && schema.contains("_rest"), "{schema}");

    // Other fields go to the rest, other kinds to the dead letters; the schema stays.
    let others = [json!({"n": 50, "new": [1]}), json!({"n": "fifty-one"})];
    desk.send(&topic, 1, others.iter().map(ToString::to_string));
    assert_eq!(desk.to_the_end(&topic, &parquet).events("ended")[0]["records"], 2);
    assert_eq!(String::from_utf8(desk.bytes(&kept)).unwrap(), schema);
    let files = desk.paths(&format!("raw/{topic}/"));
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let bytes = desk.bytes(&file);
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{file}");
    }
    // The dead letters are packed as files are by default.
    assert_eq!(desk.paths("raw/dead-letters/").len(), 1);
}

#[test]
fn settings_come_from_a_file_and_what_is_typed_wins() {
    let desk = Desk::new();
    let (first, second) = (desk.topic(1), desk.topic(1));
    desk.send(&first, 0, ["one".to_owned()]);
    desk.send(&second, 0, ["two".to_owned(), "three".to_owned()]);
    let text = format!(
        "into = 'lake/main/raw'\nbrokers = '{}'\ntopic = ['{first}', '{second}']\ngroup = 'file'\n\
         format = 'raw'\ncompression = 'none'\nseparator = '|'\nexit_at_end = true\n[set]\n'client.id' = 'test'",
        desk.brokers
    );
    let file = desk.file("sink.toml", &text);
    desk.done(&["kafka", "--from-config", file.to_str().unwrap(), "--json", "lake/main/typed"]);
    assert_eq!(desk.paths("raw/"), Vec::<String>::new());
    let path = &desk.paths(&format!("typed/{second}/"))[0];
    assert!(path.ends_with("/0-00000000000000000000.bin"), "{path}");
    assert_eq!(desk.bytes(path), b"two|three|");
}
