//! How fast the Kafka sink brings records to a branch, beside a consumer that does nothing but count them, on
//! the same records of the same topic, one after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onward::internals::clock::{self, Stopwatch};
use onward::{Error, Result};
use onward_kafka::file::Format;
use onward_kafka::format::parquet::{Codec, Schema};
use onward_kafka::format::{JsonLines, Packing, Parquet};
use onward_kafka::path::PathTemplate;
use onward_kafka::{Event, Kafka, Settings, Sink, Stop, sample};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;

use super::super::args::duration;
use super::super::session::blocking;
use super::run::{Bench, entries};
use super::server::peak_memory;
use super::table::Cell;

/// How long a step may take that usually takes none.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, clap::Args)]
pub struct KafkaArgs {
    /// HOST:PORT,…; a topic is made there, and deleted in the end
    #[arg(long, value_name = "LIST")]
    brokers: String,
    /// Records of JSON
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = entries)]
    records: u64,
    /// Bytes of each, about
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(64..))]
    bytes: u16,
    /// Partitions of the topic
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=1000))]
    partitions: i32,
    /// What files are made of; each is measured
    #[arg(long, value_name = "FORMAT[,FORMAT]", value_delimiter = ',', default_values_t = ["jsonl".to_owned(), "parquet".to_owned()], value_parser = ["jsonl", "parquet"])]
    formats: Vec<String>,
    /// How often is committed
    #[arg(long, value_name = "DUR", default_value = "1s", value_parser = duration)]
    commit_every: Duration,
}

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
    let own = (args.clone(), Arc::clone(topic));
    let bare = blocking(move || {
        let (args, topic) = own;
        fill(&args, &topic)?;
        // The first pass warms what the brokers keep in memory.
        count(&args, &topic)?;
        count(&args, &topic)
    })
    .await?;
    tell(bench, args, "count", bare, bare, 0)?;
    let mut sound = true;
    for name in &args.formats {
        let settings = vec![("bootstrap.servers".to_owned(), args.brokers.clone())];
        let format: Arc<dyn Format> = match name.as_str() {
            "parquet" => {
                let (settings, topic) = (settings.clone(), Arc::clone(topic));
                let records = blocking(move || sample(&settings, &topic, 1_000)).await?;
                Arc::new(Parquet::new(Schema::infer(&records)?, Codec::default()))
            }
            _ => Arc::new(JsonLines::new(Packing::default())),
        };
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

fn client(args: &KafkaArgs) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &args.brokers);
    config
}

fn failed(what: &str, error: &KafkaError) -> Error {
    Error::unavailable(format!("{what} at the brokers: {error}"))
}

/// Fills the topic, each partition with its share.
fn fill(args: &KafkaArgs, topic: &str) -> Result<()> {
    let producer: BaseProducer = client(args)
        .set("linger.ms", "20")
        .set("compression.type", "lz4")
        .create()
        .map_err(|error| failed("making a producer", &error))?;
    for number in 0..args.records {
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut value = format!(
            "{{\"id\":{number},\"amount\":{}.25,\"customer\":\"c{:x}\",\"paid\":{},\"note\":\"",
            noise % 1000,
            noise >> 40,
            noise & 1 == 0
        );
        while value.len() + 2 < args.bytes.into() {
            value.push(char::from(b'a' + (noise.rotate_left(value.len() as u32) % 26) as u8));
        }
        value.push_str("\"}");
        let partition =
            i32::try_from(number % u64::from(args.partitions.unsigned_abs())).unwrap_or(0);
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
