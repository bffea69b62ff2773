//! A consumer that brings a topic to a branch, each record once, however often it is killed.
//!
//! ```text
//! KAFKA_BROKERS=localhost:9092 cargo run --example consumer -- TOPIC GROUP
//! ```
//!
//! Start it as often as there are partitions: the group shares them out. It uses the deployment that
//! `ONWARD_REDIS` and `ONWARD_STORAGE` name, or a local instance in `.onward`.

use std::sync::Arc;
use std::time::Duration;

use onward::local::LocalInstance;
use onward::{Config, Error, ErrorKind, Onward, Result};
use onward_kafka::format::{JsonLines, Packing};
use onward_kafka::path::PathTemplate;
use onward_kafka::{Event, Kafka, Roll, Settings, Sink, Stop};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(topic), Some(group)) = (arguments.next(), arguments.next()) else {
        return Err(Error::invalid("usage: consumer TOPIC GROUP"));
    };
    let brokers = std::env::var("KAFKA_BROKERS").unwrap_or_else(|_| "localhost:9092".to_owned());

    let onward = Onward::connect(deployment().await?).await?;
    let lake = onward.repo("lake");
    // Whoever is first makes it.
    match lake.create(&"main".parse()?).await {
        Err(error) if error.kind() == ErrorKind::Conflict => {}
        made => drop(made?),
    }

    // Files roll by size and age, commits by time: two settings for two things.
    let format = Arc::new(JsonLines::new(Packing::Zstd));
    let path = PathTemplate::parse(PathTemplate::FILES)?;
    let mut settings = Settings::new(group.as_str(), [topic.as_str()], format, path);
    settings.roll = Roll { bytes: 32 << 20, age: Duration::from_secs(30), ..Roll::default() };
    settings.commit_every = Duration::from_secs(5);

    // librdkafka's own settings; TLS and SASL are set the same way.
    let client = [("bootstrap.servers".to_owned(), brokers)];
    let kafka = Kafka::connect(&client, &group, &settings.topics)?;

    // Ctrl-C commits what was read and leaves the group.
    let stop = Stop::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            asked.stop();
        }
    });
    let tell = |event| match event {
        Event::Committed { commit, files, records, .. } => {
            println!("{commit}: {records} records in {files} files");
        }
        Event::Trouble(trouble) => eprintln!("tried again: {trouble}"),
        other => println!("{other:?}"),
    };
    let report = Sink::new(&lake, "main", settings)?.run(kafka, stop, tell).await?;
    println!("{} records are on main", report.records);
    onward.close().await;
    Ok(())
}

async fn deployment() -> Result<Config> {
    if let (Ok(redis), Ok(storage)) =
        (std::env::var("ONWARD_REDIS"), std::env::var("ONWARD_STORAGE"))
    {
        return Ok(Config::new(redis, storage));
    }
    let local = tokio::task::spawn_blocking(|| LocalInstance::ensure(".onward")).await;
    let local = local.map_err(|error| Error::internal("starting Redis").with_source(error))??;
    Ok(Config::new(local.redis_url, local.storage_url))
}
