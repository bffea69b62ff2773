//! Every documented exit code, as far as one can bring it about from outside.

use serde_json::json;

use super::Desk;

#[test]
fn what_a_rule_forbids_is_3_and_says_the_rule() {
    let desk = Desk::lake();
    let added = desk.done("protect add lake main --json").json();
    let all = json!(["stage", "commit", "delete", "reset"]);
    assert_eq!(added, json!({"repository": "lake", "pattern": "main", "blocks": all}));
    desk.done("protect add lake release-* --block delete,commit -q");
    let listed = desk.done("protect list lake").stdout;
    assert_eq!(listed, "main\tstage,commit,delete,reset\nrelease-*\tcommit,delete\n");
    desk.file("a", "a");
    desk.file("c.jsonl", put("b"));
    for line in [
        "put a lake/main/a",
        "link lake/main/a --address s3://b/x --checksum c --size 1",
        "rm -r lake/main/t/",
        "commit lake/main -m x --allow-empty",
        "commit lake/main -m x --changes c.jsonl",
        "branch delete lake/main --force --yes",
    ] {
        let error = desk.fails(3, &format!("{line} --json")).error();
        assert_eq!(error["kind"], "forbidden", "{line}");
        assert!(error["message"].as_str().unwrap().contains("rule for 'main'"), "{error}");
    }
    desk.done("protect delete lake main");
    desk.done("put a lake/main/a");
    desk.fails(4, "protect delete lake main");
    desk.fails(2, "protect add lake [");
    desk.fails(2, "protect add lake main --block merge");
    desk.fails(4, "protect list pond");
}

fn put(path: &str) -> String {
    json!({"put": {"path": path, "address": "s3://b/x", "checksum": "c", "size": 1}}).to_string()
}

#[test]
fn a_condition_that_does_not_hold_is_3() {
    let desk = Desk::lake();
    desk.file("a", "a");
    desk.done("put a lake/main/a --if-absent");
    desk.fails(3, "put a lake/main/a --if-absent");
    desk.fails(3, "rm lake/main/a --if-checksum other");
    desk.fails(3, "put a lake/main/a --if-checksum other");
    desk.done("rm lake/main/a --if-checksum 0cc175b9c0f1b6a831c399e269772661");
    let line = r#"{"put": {"path": "b", "address": "x", "checksum": "c", "size": 1}, "if": {"absent": true}}"#;
    desk.file("c.jsonl", line);
    desk.done("commit lake/main -m one --changes c.jsonl");
    let said = desk.fails(3, "commit lake/main -m two --changes c.jsonl --json");
    let outcome = said.json();
    assert_eq!(outcome["outcome"], "conflict");
    assert_eq!(outcome["conflicts"][0]["path"], "b");
    assert_eq!(outcome["conflicts"][0]["dest"]["checksum"], "c");
    desk.fails(3, "repo create lake");
    desk.fails(3, "branch create lake/main --from main");
}

#[test]
fn both_sides_changed_since_the_base_is_3_unless_a_strategy_decides() {
    let desk = Desk::lake();
    desk.file("c.jsonl", put("p"));
    desk.done("commit lake/main -m theirs --changes c.jsonl");
    desk.file("c.jsonl", put("p").replace("\"c\"", "\"d\""));
    desk.fails(3, "commit lake/main -m ours --changes c.jsonl --base main~1");
    desk.done("commit lake/main -m ours --changes c.jsonl --base main~1 --on-conflict source-wins");
}

#[test]
fn what_is_not_there_is_4() {
    let desk = Desk::lake();
    for line in [
        "ls nope/main",
        "repo show nope",
        "branch show lake/nope",
        "ls lake/nope",
        "log lake/main~5",
        "stat lake/main/nope",
        "cat lake/main/nope",
        "rm lake/main/nope",
        "commit lake/nope -m x",
        "commit nope/main -m x",
        "tag delete lake nope",
        "put nope lake/main/a",
        "ingest nope lake/main",
        "recover nope",
        "ticket show lake/main 0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d",
        "ticket cancel lake/main 0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d",
    ] {
        let said = desk.fails(4, &format!("{line} --json"));
        assert_eq!(said.error()["kind"], "not_found", "{line}");
        assert_eq!(said.stdout, "", "{line}");
    }
}

#[test]
fn a_fenced_producer_is_7_and_a_repeated_sequence_gets_its_commit() {
    let desk = Desk::lake();
    desk.file("c.jsonl", put("p"));
    let commit = |epoch: u32, sequence: u32| {
        desk.run(&format!(
            "commit lake/main -m x --changes c.jsonl --producer p --epoch {epoch} --sequence {sequence} --json"
        ))
    };
    let first = commit(2, 1).json();
    assert_eq!(first["outcome"], "committed");
    assert_eq!(commit(2, 1).json()["commit"], first["commit"]);
    let fenced = commit(1, 9);
    assert_eq!(fenced.code, 7, "{}{}", fenced.stdout, fenced.stderr);
    assert_eq!(fenced.json()["outcome"], "fenced");
}

#[test]
fn a_sequence_that_is_behind_is_3_and_a_producer_can_ask_where_it_was() {
    let desk = Desk::lake();
    desk.file("c.jsonl", put("p"));
    desk.fails(4, "producer show lake/main p");
    let line = "commit lake/main -m x --changes c.jsonl --producer p --epoch 2 --sequence";
    let last = desk.done(&format!("{line} 5 --json")).json();
    let behind = desk.fails(3, &format!("{line} 4 --json")).json();
    assert_eq!(behind["outcome"], "behind");
    assert_eq!((&behind["last_epoch"], &behind["last_sequence"]), (&json!(2), &json!(5)));
    assert_eq!((&behind["commit"], behind.get("earlier")), (&json!(null), None));
    let again = desk.done(&format!("{line} 5 --json")).json();
    assert_eq!((&again["commit"], &again["repeated"]), (&last["commit"], &json!(true)));
    let shown = desk.done("producer show lake/main p --json").json();
    let told = json!({"producer": "p", "epoch": 2, "sequence": 5, "commit": last["commit"]});
    assert_eq!(shown, told);
    let words = desk.done("producer show lake/main p").stdout;
    assert!(words.starts_with("epoch 2\tsequence 5\t"), "{words}");
    desk.fails(4, "producer show lake/nope p");
}

#[test]
fn the_same_op_id_is_the_same_commit() {
    let desk = Desk::lake();
    desk.file("c.jsonl", put("p"));
    let line = "commit lake/main -m x --changes c.jsonl --op-id 0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d --json";
    let (first, again) = (desk.done(line).json(), desk.done(line).json());
    assert_eq!(first["commit"], again["commit"]);
    assert_eq!(desk.done("log lake/main").stdout.lines().count(), 2);
    desk.done("ticket wait lake/main 0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d");
    desk.fails(3, "ticket cancel lake/main 0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d");
}

#[test]
fn a_deadline_that_comes_first_is_8_and_the_ticket_tells_the_rest() {
    let desk = Desk::lake();
    desk.file("c.jsonl", put("p"));
    // A round takes longer than no time at all, unless this process is held up in between.
    let mut attempts =
        (0..100).map(|_| desk.run("commit lake/main -m x --changes c.jsonl --timeout 0s --json"));
    let said = attempts.find(|said| said.code != 0).unwrap();
    assert_eq!(said.code, 8, "{}{}", said.stdout, said.stderr);
    let queued = said.json();
    assert_eq!(queued["outcome"], "still_queued");
    let op_id = queued["op_id"].as_str().unwrap();
    let decided = desk.done(&format!("ticket wait lake/main {op_id} --json")).json();
    assert_eq!(decided["outcome"], "committed");
    assert_eq!(decided["ticket"], queued["ticket"]);
    assert_eq!(desk.run("commit lake/main -m x --changes c.jsonl --no-wait").code, 0);
}

#[test]
fn nothing_to_commit_is_9() {
    let desk = Desk::lake();
    assert_eq!(desk.fails(9, "commit lake/main -m x --json").json()["outcome"], "no_changes");
    desk.done("commit lake/main -m x --allow-empty");
}
