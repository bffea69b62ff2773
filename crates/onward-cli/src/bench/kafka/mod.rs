//! How fast the Kafka sink brings records to a branch, beside a consumer that does nothing but count them, on
//! the same records of the same topic, one after the other.

pub mod group;
mod topic;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onward::internals::clock::{self, Stopwatch};
use onward::{Error, Result};
use onward_kafka::file::Format;
use onward_kafka::path::PathTemplate;
use onward_kafka::{Event, Kafka, Settings, Sink, Stop};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;

use super::super::session::blocking;
use super::run::Bench;
use super::server::peak_memory;
use super::table::Cell;
use group::Group;
use topic::{PATIENCE, client, failed, format_of, partition_of, value};

pub use topic::KafkaArgs;

/// Measures a consumer that counts, then the sink in every format.
pub async fn run(bench: &Bench<'_>, args: &KafkaArgs) -> Result<bool> {
    let topic: Arc<str> = format!("onward-bench-{:016x}", clock::random_u64()).into();
    let admin: AdminClient<DefaultClientContext> =
        client(args).create().map_err(|error| failed("making a client", &error))?;
    let new = NewTopic::new(&topic, args.partitions, TopicReplication::Fixed(1));
    let made = admin.create_topics([&new], &AdminOptions::new()).await;
    for made in made.map_err(|error| failed("making a topic", &error))? {
        made.map_err(|(topic, code)| Error::unavailable(format!("making topic {topic}: {code}")))?;
    }
    let measured = measure(bench, args, &topic).await;
    // What was measured counts, whether the topic can be deleted or not.
    let _ = admin.delete_topics(&[&*topic], &AdminOptions::new()).await;
    measured
}

async fn measure(bench: &Bench<'_>, args: &KafkaArgs, topic: &Arc<str>) -> Result<bool> {
    if let Some(processes) = args.processes {
        let own = (args.clone(), Arc::clone(topic));
        // They find these there: what they take in memory is that of processes that have much to read.
        blocking(move || fill(&own.0, &own.1)).await?;
        let (mut sound, mut there) = (true, args.records);
        for format in &args.formats {
            let group = Group { args, topic, format, processes };
            let (sunk, sent) = group.measure(bench).await?;
            // Each format has a group of its own, which finds what was sent for those before it.
            there += sent;
            sound &= sunk == Some(there);
        }
        return Ok(sound);
    }
    let own = (args.clone(), Arc::clone(topic));
    let bare = blocking(move || {
        let (args, topic) = own;
        fill(&args, &topic)?;
        // The first pass warms what the brokers keep in memory.
        count(&args, &topic)?;
        // The better of two: what makes it slow by chance would make the shares look high.
        Ok::<_, Error>(count(&args, &topic)?.min(count(&args, &topic)?))
    })
    .await?;
    tell(bench, args, "count", bare, bare, 0)?;
    let mut sound = true;
    for name in &args.formats {
        let settings = vec![("bootstrap.servers".to_owned(), args.brokers.clone())];
        let format = format_of(name, &settings, topic).await?;
        let (seconds, records, commits) = sink(bench, args, topic, settings, format).await?;
        sound &= records == args.records;
        tell(bench, args, name, seconds, bare, commits)?;
    }
    Ok(sound)
}

/// Brings the topic to a branch; tells from the assignment to the last commit.
async fn sink(
    bench: &Bench<'_>,
    args: &KafkaArgs,
    topic: &Arc<str>,
    client: Vec<(String, String)>,
    format: Arc<dyn Format>,
) -> Result<(f64, u64, u64)> {
    let repo = bench.onward.repo(bench.repo().await?);
    let group = format!("bench-{:016x}", clock::random_u64());
    let path = PathTemplate::parse(PathTemplate::FILES)?;
    let mut settings = Settings::new(group.clone(), [Arc::clone(topic)], format, path);
    settings.commit_every = args.commit_every;
    settings.exit_at_end = true;
    let topics = settings.topics.clone();
    let kafka = blocking(move || Kafka::connect(&client, &group, &topics)).await?;
    let times = Arc::new(Mutex::new((Stopwatch::start(), 0.0)));
    let told = Arc::clone(&times);
    let report = Sink::new(&repo, "main", settings)?
        .run(kafka, Stop::new(), move |event| {
            let (watch, last) = &mut *told.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Event::Assigned(_) => *watch = Stopwatch::start(),
                Event::Committed { files: 1.., .. } => *last = watch.elapsed().as_secs_f64(),
                _ => {}
            }
        })
        .await?;
    let (_, seconds) = *times.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((seconds, report.records, report.commits))
}

fn tell(
    bench: &Bench<'_>,
    args: &KafkaArgs,
    what: &str,
    seconds: f64,
    bare: f64,
    commits: u64,
) -> Result<()> {
    let rate = args.records as f64 / seconds;
    let ratio = bare / seconds;
    let memory = peak_memory();
    bench.teller.tell(
        || {
            json!({
                "scenario": "kafka", "strategy": what, "records": args.records, "bytes": args.bytes,
                "partitions": args.partitions, "seconds": seconds, "records_per_s": rate, "ratio": ratio,
                "commits": commits, "memory_peak": memory,
            })
        },
        || {
            vec![
                Cell::words("records", 10, what),
                Cell::number("records/s", 10, format!("{rate:.0}")),
                // Of one that only counts them.
                Cell::number("share", 5, format!("{ratio:.2}")),
                Cell::number("commits", 8, commits),
            ]
        },
    )
}

/// Fills the topic, each partition with its share.
fn fill(args: &KafkaArgs, topic: &str) -> Result<()> {
    let producer: BaseProducer = client(args)
        .set("linger.ms", "20")
        .set("compression.type", "lz4")
        .create()
        .map_err(|error| failed("making a producer", &error))?;
    for number in 0..args.records {
        let value = value(number, args.bytes);
        let partition = partition_of(number, args.partitions);
        let mut record = BaseRecord::<(), str>::to(topic).partition(partition).payload(&value);
        // Where its queue is full, it waits until some are sent.
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(failed("sending records", &error));
            }
            producer.poll(Duration::from_millis(10));
            record = back;
        }
    }
    producer.flush(PATIENCE).map_err(|error| failed("sending records", &error))
}

/// Reads all records and does nothing with them; tells how many seconds that took.
fn count(args: &KafkaArgs, topic: &str) -> Result<f64> {
    let consumer: BaseConsumer = client(args)
        .set("group.id", "onward-bench")
        .set("enable.auto.commit", "false")
        // As the sink has it: by default it rests for a second whenever its queue is full.
        .set("fetch.queue.backoff.ms", "20")
        .create()
        .map_err(|error| failed("making a consumer", &error))?;
    let mut list = TopicPartitionList::new();
    for partition in 0..args.partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .map_err(|error| failed("beginning at the first record", &error))?;
    }
    let watch = Stopwatch::start();
    consumer.assign(&list).map_err(|error| failed("reading records", &error))?;
    let mut left = args.records;
    while left > 0 {
        match consumer.poll(PATIENCE) {
            Some(Ok(_)) => left -= 1,
            Some(Err(error)) => return Err(failed("reading records", &error)),
            None => return Err(Error::unavailable(format!("{left} records do not come"))),
        }
    }
    Ok(watch.elapsed().as_secs_f64())
}
