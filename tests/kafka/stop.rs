//! Being told to stop.

use crate::support::{Desk, Running, each_once};

#[test]
fn what_was_read_is_on_the_branch_when_it_is_told_to_stop() {
    let desk = Desk::new();
    let topic = desk.topic(1);
    desk.send(&topic, 0, (0..10).map(|n| format!("{{\"n\": {n}}}")));
    // Nothing would be full, and nothing committed, for an hour.
    let slow = ["--roll-age", "1h", "--commit-every", "1h", "--compression", "none"];
    let slow = [&slow[..], &["--roll-records", "5"]].concat();
    let mut running = Running::start(desk.command(&desk.sink(&topic, &slow)));
    let assigned = running.until(|event| event["event"] == "assigned");
    assert_eq!(assigned["partitions"][0]["offset"], 0);
    // Records come when they come; asked to end, it commits what it has.
    let said = running.terminate();
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let taken = said.events("ended")[0]["records"].as_i64().unwrap();
    let rest = desk.to_the_end(&topic, &["--compression", "none"]);
    let left = rest.events("ended")[0]["records"].as_i64().unwrap();
    assert_eq!(taken + left, 10);
    assert!(each_once(&desk.lines(&format!("raw/{topic}/")), "n").into_iter().eq(0..10));
}

#[test]
fn whoever_ends_leaves_its_group_so_that_the_next_need_not_wait_for_its_session_to_end() {
    let desk = Desk::new();
    let topic = desk.topic(1);
    desk.send(&topic, 0, ["{}".to_owned()]);
    let left = |how: &str| assert!(matches!(desk.members(), None | Some(0)), "{how}");
    let mut running = Running::start(desk.command(&desk.sink(&topic, &[])));
    running.until(|event| event["event"] == "assigned");
    assert!(matches!(desk.members(), None | Some(1)));
    running.terminate();
    left("told to stop");
    desk.to_the_end(&topic, &[]);
    left("at the end of the topic");
    desk.send(&topic, 0, ["{broken".to_owned()]);
    assert_eq!(desk.run(&desk.sink(&topic, &["--exit-at-end"])).code, Some(2));
    left("by an error");
}
