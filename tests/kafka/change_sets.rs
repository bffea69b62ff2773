//! Records that are change sets.

use serde_json::Value;

use crate::support::Desk;

#[test]
fn change_sets_become_commits_and_their_outcomes_are_on_the_reply_topic() {
    let desk = Desk::new();
    let (topic, replies) = (desk.topic(1), desk.topic(1));
    let put = |path: &str| {
        format!(
            "{{\"message\":\"put {path}\",\"changes\":[{{\"put\":{{\"path\":\"{path}\",\"address\":\"s3://raw/x\",\"checksum\":\"c\",\"size\":1}},\"if\":{{\"absent\":true}}}}]}}"
        )
    };
    desk.send(&topic, 0, [put("a"), put("a"), "nothing".to_owned()]);
    let usual = desk.reads(&topic);
    let changes = ["--changes", "--reply-topic", &replies, "--exit-at-end", "lake/main"];
    let came_to_nothing = |nothing: Vec<Value>| -> Vec<String> {
        let outcomes = nothing.iter().map(|one| one["outcome"]["outcome"].as_str().unwrap());
        outcomes.map(str::to_owned).collect()
    };
    let said = desk.run(&[&usual[..], &changes].concat());
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(said.error().contains("offset 2"), "{}", said.error());
    assert_eq!(came_to_nothing(said.events("came_to_nothing")), ["conflict"]);
    assert!(said.events("committed").iter().any(|one| one["records"] == 1));

    let more = ["--dead-letter", "--compression", "none"];
    let said = desk.done(&[&usual[..], &more, &changes].concat());
    assert_eq!(said.events("ended")[0]["commits"], 1);
    assert_eq!(came_to_nothing(said.events("came_to_nothing")), ["failed"]);
    assert_eq!(desk.paths("a"), ["a"]);
    assert_eq!(desk.lines(&format!("dead-letters/{topic}/"))[0]["offset"], 2);
    let log = desk.done(&["log", "lake/main", "--json"]).stdout;
    assert!(log.contains("put a") && log.contains("onward.kafka.record"), "{log}");
    // What was told is a topic like any other: the sink reads it.
    desk.to_the_end(&replies, &["--compression", "none"]);
    let told = desk.lines(&format!("raw/{replies}/"));
    let told = told.iter().map(|one| one["outcome"].as_str().unwrap());
    assert!(told.eq(["committed", "conflict", "failed"]));

    let fails = |more: &[&str], why: &str| {
        let said = desk.run(&[&usual[..], more].concat());
        assert_eq!(said.code, Some(2), "{}", said.stderr);
        assert!(said.error().contains(why), "{}", said.error());
    };
    fails(&["--changes", "lake/main/raw"], "without a prefix");
    fails(&["--changes", "--format", "raw", "lake/main"], "--format");
    fails(&["--changes", "--format", "parquet", "lake/main"], "--format");
    assert_eq!(desk.paths("_schema/"), Vec::<String>::new());
    fails(&["--changes", "--compression", "snappy", "lake/main"], "none, gzip or zstd");
    fails(&["--changes", "--commit-every", "1s", "lake/main"], "--commit-every");
    fails(&["--changes", "--reply-topic", &topic, "lake/main"], "one of the topics");
    fails(&["--reply-topic", &replies, "lake/main"], "--changes");
}
