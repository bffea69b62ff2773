//! What cannot be is told in one message, and nothing is read.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::{Desk, Said, each_once};

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

/// A webhook that refuses what it is asked about files, until it is told to agree. Ends with the process.
struct Check {
    url: String,
    agrees: Arc<AtomicBool>,
    refusals: Arc<AtomicUsize>,
}

impl Check {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/check", listener.local_addr().unwrap());
        let (agrees, refusals) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let check = Self { url, agrees: Arc::clone(&agrees), refusals: Arc::clone(&refusals) };
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut asked = BufReader::new(socket.unwrap());
                let (mut line, mut len) = (String::new(), 0);
                while asked.read_line(&mut line).unwrap() > 2 {
                    let (name, value) = line.split_once(':').unwrap_or_default();
                    if name.eq_ignore_ascii_case("content-length") {
                        len = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; len];
                asked.read_exact(&mut body).unwrap();
                let question: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let is_of_files = question["data"]["changes"]["count"] != 0;
                let (status, said) = match is_of_files && !agrees.load(Ordering::Relaxed) {
                    true => (422, "{\"reason\": \"no loads on Sundays\"}"),
                    false => (200, ""),
                };
                refusals.fetch_add(usize::from(status == 422), Ordering::Relaxed);
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", said.len());
                let answer = format!("{head}connection: close\r\n\r\n{said}");
                asked.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        check
    }
}

#[test]
fn a_check_that_refuses_ends_the_sink_with_its_reason_and_all_is_there_when_it_agrees() {
    let (desk, check) = (Desk::new(), Check::start());
    let topic = desk.topic(1);
    desk.send(&topic, 0, (0..10).map(|n| format!("{{\"n\": {n}}}")));
    let run = |words: &[&str]| {
        let mut command = desk.command(words);
        Said::of(command.env("ONWARD_ALLOW_SINK", "127.0.0.1").output().unwrap())
    };
    let made = run(&["protect", "add", "lake", "main", "--check", &check.url]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let sink = desk.sink(&topic, &["--exit-at-end", "--compression", "none"]);
    let refused = run(&sink);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.error().contains("no loads on Sundays"), "{}", refused.error());
    assert_eq!(check.refusals.load(Ordering::Relaxed), 1, "it is not asked for again and again");
    assert_eq!(desk.paths("raw/"), Vec::<String>::new());
    check.agrees.store(true, Ordering::Relaxed);
    let done = run(&sink);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(each_once(&desk.lines("raw/"), "n").into_iter().eq(0..10));
}
