//! A sink in a process of its own, to be killed and stopped. Without a job this is a test of nothing.

use std::time::Duration;

use onward_kafka::{Event, ReplyTopic, Settings, Sink, Stop};

use crate::support::lake::{connect, settings};
use crate::support::topics::{client, member};
use crate::support::worker::{JOB, MARK};

#[test]
fn entry() {
    let Ok(job) = std::env::var(JOB) else {
        return;
    };
    let words: Vec<&str> = job.split_whitespace().collect();
    let (brokers, group, topic, replies, more) = match &words[..] {
        ["sink", brokers, group, topic, more @ ..] => (*brokers, *group, *topic, None, more),
        ["changes", brokers, group, topic, replies] => {
            (*brokers, *group, *topic, Some(*replies), &[][..])
        }
        _ => panic!("unknown job '{job}'"),
    };
    let more: Vec<(&str, &str)> = more.iter().map(|pair| pair.split_once('=').unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let variable = |name: &str| std::env::var(name).unwrap();
        let onward = connect(&variable("ONWARD_REDIS"), &variable("ONWARD_STORAGE")).await;
        let sink = |settings| Sink::new(&onward.repo("lake"), "main", settings).unwrap();
        let sink = match replies {
            Some(replies) => {
                let replies = ReplyTopic::connect(&client(brokers, &[]), replies).unwrap();
                sink(Settings::change_sets(group, [topic]).unwrap()).replies(replies)
            }
            None => {
                let mut settings = settings(group, &[topic]);
                settings.roll.age = Duration::from_millis(100);
                settings.commit_every = Duration::from_millis(100);
                sink(settings)
            }
        };
        let broker = member(brokers, group, &[topic], &more);
        let result = sink.run(broker, Stop::new(), tell).await;
        println!("{MARK}ended {result:?}");
    });
}

fn tell(event: Event) {
    let text = match event {
        Event::Assigned(starts) => format!("assigned {}", starts.len()),
        Event::Revoked { places, is_all_committed } => {
            format!("revoked {} {is_all_committed}", places.len())
        }
        Event::Committed { records, .. } => format!("committed {records}"),
        Event::TakenOver(place) => format!("taken-over {place}"),
        Event::Skipped { place, next, .. } => format!("skipped {place} {next}"),
        Event::Trouble(text) => format!("trouble {text}"),
        _ => return,
    };
    println!("{MARK}{text}");
}
