//! What is measured, at which brokers, and the records for it.

use std::sync::Arc;
use std::time::Duration;

use onward::{Error, Result};
use onward_kafka::file::Format;
use onward_kafka::format::parquet::{Codec, Schema};
use onward_kafka::format::{JsonLines, Packing, Parquet};
use onward_kafka::sample;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

use super::super::super::args::duration;
use super::super::super::session::blocking;
use super::super::run::{entries, processes};

/// How long a step may take that usually takes none.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be measured.
#[derive(Debug, Clone, clap::Args)]
pub struct KafkaArgs {
    /// HOST:PORT,…; a topic is made there, and deleted in the end
    #[arg(long, value_name = "LIST")]
    pub brokers: String,
    /// Records of JSON
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = entries)]
    pub records: u64,
    /// Bytes of each, about
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(64..))]
    pub bytes: u16,
    /// Partitions of the topic
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub partitions: i32,
    /// What files are made of; each is measured
    #[arg(long, value_name = "FORMAT[,FORMAT]", value_delimiter = ',', default_values_t = ["jsonl".to_owned(), "parquet".to_owned()], value_parser = ["jsonl", "parquet"])]
    pub formats: Vec<String>,
    /// Processes of one group, to measure the time from a record to its commit instead
    #[arg(long, value_name = "N", value_parser = processes)]
    pub processes: Option<usize>,
    /// Records that those are sent in a second
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = entries)]
    pub rate: u64,
    /// How long they are sent
    #[arg(long, value_name = "DUR", default_value = "15s", value_parser = duration)]
    pub duration: Duration,
    /// How often is committed
    #[arg(long, value_name = "DUR", default_value = "1s", value_parser = duration)]
    pub commit_every: Duration,
}

/// What files are made of; a schema is inferred from the first records.
pub async fn format_of(
    name: &str,
    settings: &[(String, String)],
    topic: &Arc<str>,
) -> Result<Arc<dyn Format>> {
    if name != "parquet" {
        return Ok(Arc::new(JsonLines::new(Packing::default())));
    }
    let (settings, topic) = (settings.to_vec(), Arc::clone(topic));
    let records = blocking(move || sample(&settings, &topic, 1_000)).await?;
    Ok(Arc::new(Parquet::new(Schema::infer(&records)?, Codec::default())))
}

/// A client of the brokers.
pub fn client(args: &KafkaArgs) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &args.brokers);
    config
}

/// What is told where brokers do not do what they are asked for.
pub fn failed(what: &str, error: &KafkaError) -> Error {
    Error::unavailable(format!("{what} at the brokers: {error}"))
}

/// A record of about so many bytes.
pub fn value(number: u64, bytes: u16) -> String {
    let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut value = format!(
        "{{\"id\":{number},\"amount\":{}.25,\"customer\":\"c{:x}\",\"paid\":{},\"note\":\"",
        noise % 1000,
        noise >> 40,
        noise & 1 == 0
    );
    while value.len() + 2 < bytes.into() {
        value.push(char::from(b'a' + (noise.rotate_left(value.len() as u32) % 26) as u8));
    }
    value.push_str("\"}");
    value
}

/// The partition of a record: in turn.
pub fn partition_of(number: u64, partitions: i32) -> i32 {
    i32::try_from(number % u64::from(partitions.unsigned_abs())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: KafkaArgs,
    }

    #[test]
    fn one_sink_is_measured_unless_processes_are_asked_for() {
        let parse = |line: &[&str]| Line::try_parse_from(line).unwrap().args.processes;
        assert_eq!(parse(&["kafka", "--brokers", "b"]), None);
        assert_eq!(parse(&["kafka", "--brokers", "b", "--processes", "16"]), Some(16));
        assert!(Line::try_parse_from(["kafka", "--brokers", "b", "--processes", "0"]).is_err());
    }
}
