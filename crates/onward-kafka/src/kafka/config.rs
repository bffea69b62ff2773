//! What librdkafka is set to: what the promises rest on, what is better than its defaults, and the user's own.

use onward::{Error, Result};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

/// Settings that the promises rest on: nobody else may set them.
const FIXED: &[(&str, &str)] = &[
    // Offsets are on the branch; the group's are a hint.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // An offset that is not there is told, and never replaced by another.
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "false"),
    ("allow.auto.create.topics", "false"),
    // How far partitions are from their ends.
    ("statistics.interval.ms", "1000"),
];

/// Better than librdkafka's defaults for a sink, unless the user knows better.
const USUAL: &[(&str, &str)] = &[
    // Aborted records are none.
    ("isolation.level", "read_committed"),
    // A batch that is damaged is told, and not taken for what was sent.
    ("check.crcs", "true"),
    // What is fetched ahead, of all partitions together.
    ("queued.max.messages.kbytes", "16384"),
    // Where that is full, the next fetch comes soon behind the record that makes room, and not a second later.
    ("fetch.queue.backoff.ms", "20"),
    // Partitions that are added are noticed so fast.
    ("topic.metadata.refresh.interval.ms", "30000"),
    ("client.id", "onward"),
];

/// The configuration of a member of `group`.
pub(super) fn of(settings: &[(String, String)], group: &str) -> Result<ClientConfig> {
    let mut config = ClientConfig::new();
    for (key, value) in USUAL {
        config.set(*key, *value);
    }
    // The new protocol assigns by itself, and refuses this setting.
    let is_new = |(key, value): &(String, String)| key == "group.protocol" && value == "consumer";
    if !settings.iter().any(is_new) {
        config.set("partition.assignment.strategy", "cooperative-sticky");
    }
    for (key, value) in settings {
        if key == "group.id" && value != group {
            return Err(Error::invalid(format!(
                "the group is '{group}' and 'group.id' says '{value}': give the one, and not the other"
            )));
        }
        if let Some((_, fixed)) = FIXED.iter().find(|(name, fixed)| name == key && fixed != value) {
            return Err(Error::invalid(format!(
                "'{key}' is '{fixed}' for a sink, because what it promises rests on that: leave it out"
            )));
        }
        config.set(key, value);
    }
    if config.get("bootstrap.servers").is_none() {
        return Err(Error::invalid("no broker is named: set 'bootstrap.servers' to HOST:PORT,…"));
    }
    for (key, value) in FIXED {
        config.set(*key, *value);
    }
    config.set("group.id", group);
    Ok(config)
}

/// Whether a setting is one of consumers and groups, which a client of another kind does not take.
pub(super) fn is_of_consumers(key: &str) -> bool {
    let of_consumers = [
        "auto.",
        "enable.auto",
        "fetch.",
        "group.",
        "heartbeat.",
        "isolation.",
        "max.poll.",
        "partition.assignment.",
        "queued.",
        "session.",
        "statistics.",
    ];
    of_consumers.iter().any(|part| key.starts_with(part))
}

/// Settings that librdkafka does not take.
pub(super) fn refused(error: &KafkaError) -> Error {
    Error::invalid(format!("librdkafka does not take these settings: {error}"))
}

#[cfg(test)]
mod tests {
    use onward::ErrorKind;

    use super::*;

    fn set(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn what_the_promises_rest_on_cannot_be_set() {
        let brokers = set("bootstrap.servers", "localhost:1");
        for (key, fixed) in FIXED {
            let error = of(&[brokers.clone(), set(key, "other")], "g").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(key), "{error}");
            of(&[brokers.clone(), set(key, fixed)], "g").unwrap();
        }
        assert!(of(&[], "g").unwrap_err().message().contains("bootstrap.servers"));
        assert!(of(&[brokers.clone(), set("group.id", "h")], "g").is_err());
    }

    #[test]
    fn a_user_chooses_the_rest() {
        let config =
            of(&[set("bootstrap.servers", "b"), set("isolation.level", "read_uncommitted")], "g")
                .unwrap();
        assert_eq!(config.get("isolation.level"), Some("read_uncommitted"));
        assert_eq!(config.get("partition.assignment.strategy"), Some("cooperative-sticky"));
        let config = of(&[set("bootstrap.servers", "b"), set("group.protocol", "consumer")], "g");
        assert_eq!(config.unwrap().get("partition.assignment.strategy"), None);
    }
}
