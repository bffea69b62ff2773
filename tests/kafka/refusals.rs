//! What cannot be is told in one message, and nothing is read.

use crate::support::Desk;

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let desk = Desk::new();
    let topic = desk.topic(1);
    desk.send(&topic, 0, ["[1]".to_owned()]);
    let fails = |code: i32, words: &[&str], why: &str| {
        let said = desk.run(words);
        assert_eq!(said.code, Some(code), "{words:?}: {}", said.stderr);
        assert!(said.error().contains(why), "{words:?}: {}", said.error());
    };
    let sink = |more: &[&'static str]| desk.sink(&topic, more);
    fails(2, &["kafka", "--json", "lake/main"], "--brokers");
    fails(2, &["kafka", "--json", "--brokers", "b", "--topic", "t", "lake/main"], "--group");
    fails(2, &sink(&["--path", "{topic}/{patrition}/{first_offset}"]), "{patrition}");
    fails(2, &sink(&["--path", "{topic}/{partition}"]), "{first_offset}");
    fails(2, &sink(&["--compression", "snappy"]), "none, gzip or zstd");
    fails(2, &sink(&["--wrap", "--format", "raw"]), "--wrap");
    fails(2, &sink(&["--separator", "x"]), "--separator");
    fails(2, &sink(&["--set", "auto.offset.reset=earliest"]), "auto.offset.reset");
    fails(2, &sink(&["--set", "no.such.setting=1"]), "no.such.setting");
    fails(2, &sink(&["--format", "parquet", "--exit-at-end"]), "give a schema");
    fails(2, &sink(&["--format", "parquet", "--schema", "nowhere.txt"]), "nowhere.txt");
    let schema = desk.file("schema.txt", "message m { optional int96 old; }");
    let with_schema = ["--format", "parquet", "--schema", schema.to_str().unwrap()];
    fails(2, &desk.sink(&topic, &with_schema), "'old'");
    let mut elsewhere = sink(&["--exit-at-end"]);
    *elsewhere.last_mut().unwrap() = "lake/nowhere/raw";
    fails(4, &elsewhere, "nowhere");
    fails(4, &desk.sink("no-such-topic", &["--exit-at-end"]), "no-such-topic");
    desk.done(&["protect", "add", "lake", "main"]);
    fails(3, &sink(&["--exit-at-end"]), "protected");
}

#[test]
fn a_record_that_does_not_parse_ends_a_sink_without_dead_letters_and_stays_to_be_read() {
    let desk = Desk::new();
    let topic = desk.topic(1);
    desk.send(&topic, 0, ["{}".to_owned(), "{broken".to_owned()]);
    let said = desk.run(&desk.sink(&topic, &["--exit-at-end"]));
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(
        said.error().contains("offset 1") && said.error().contains("dead letter"),
        "{}",
        said.error()
    );
    let said = desk.to_the_end(&topic, &["--dead-letter", "--compression", "none"]);
    assert_eq!(said.events("ended")[0]["records"], 2);
    assert_eq!(desk.lines("raw/dead-letters/").len(), 1);
}
