//! What `onward kafka` takes, as flags and as keys of a file; flags win.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use onward::internals::model::address::Address;
use onward::{Error, Result};
use serde::{Deserialize, Deserializer};

use super::super::args::pair;

/// The largest file of settings, in bytes.
const FILE_LEN_MAX: u64 = 1 << 20;

/// All that can be said about a sink. The keys of the file are the names of the flags, with `_` for `-`.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct KafkaArgs {
    /// REPO/BRANCH[/PREFIX]; `into` in the file
    pub into: Option<Parsed<Address>>,
    /// HOST:PORT,…
    #[arg(long, value_name = "LIST")]
    pub brokers: Option<String>,
    /// A topic; may be repeated
    #[arg(long, value_name = "NAME")]
    pub topic: Vec<String>,
    /// The consumer group: offsets are kept on the branch by its name
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Records are change sets, the JSON of /onward/v1: each becomes a commit of its own
    #[arg(long)]
    pub changes: bool,
    /// With --changes: where the outcome of each is told, at least once
    #[arg(long, value_name = "TOPIC")]
    pub reply_topic: Option<String>,
    /// What files are made of [default: jsonl]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<FormatArg>,
    /// none, gzip, zstd; of Parquet none, snappy, zstd [default: zstd]
    #[arg(long, value_name = "KIND")]
    pub compression: Option<String>,
    /// Keep key, headers and time beside the value; tombstones have a line then
    #[arg(long)]
    pub wrap: bool,
    /// The schema of Parquet, as `message m { … }`; else that of the branch, or of the first records
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// What stands behind each raw value [default: a line break]
    #[arg(long, value_name = "TEXT", conflicts_with = "length_prefixed")]
    pub separator: Option<String>,
    /// In front of each raw value its length, four bytes, big-endian
    #[arg(long)]
    pub length_prefixed: bool,
    /// Names of files [default: {topic}/{date}/{partition}-{first_offset}.{ext}]
    #[arg(long, value_name = "TEMPLATE")]
    pub path: Option<String>,
    /// Write files to a folder of another store, and link them: file:///DIR, s3://BUCKET/PREFIX, …
    /// [default: the deployment's own storage]
    #[arg(long, value_name = "URL")]
    pub store_url: Option<String>,
    /// Where records go that do not parse [default: they end the sink; without TEMPLATE below
    /// dead-letters/]
    #[arg(long, value_name = "TEMPLATE", num_args = 0..=1, default_missing_value = "")]
    pub dead_letter: Option<String>,
    /// A file is full at about this size [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub roll_bytes: Option<Parsed<Size>>,
    /// … at so many records
    #[arg(long, value_name = "N")]
    pub roll_records: Option<u64>,
    /// … so long after its first record [default: 1m]
    #[arg(long, value_name = "DUR")]
    pub roll_age: Option<Parsed<humantime::Duration>>,
    /// What is full is committed this often, all partitions in one commit [default: 10s]
    #[arg(long, value_name = "DUR")]
    pub commit_every: Option<Parsed<humantime::Duration>>,
    /// Where nothing comes, say by a commit this often that all is there
    #[arg(long, value_name = "DUR")]
    pub idle_commit: Option<Parsed<humantime::Duration>>,
    /// What files in the making may take in memory, all together [default: 128MiB]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Parsed<Size>>,
    /// Where records are gone before they were read [default: fail]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub on_gap: Option<OnGapArg>,
    /// End when everything is read that was there
    #[arg(long)]
    pub exit_at_end: bool,
    /// A setting of librdkafka; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    #[serde(deserialize_with = "pairs")]
    pub set: Vec<(String, String)>,
    /// A file in TOML with these as keys: what is not typed is taken from there
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub from_config: Option<PathBuf>,
}

/// What files are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormatArg {
    /// A JSON value on each line
    Jsonl,
    /// Rows of JSON objects
    Parquet,
    /// Values as they are
    Raw,
}

/// What happens where records are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnGapArg {
    /// The sink ends and says what is missing
    Fail,
    /// It goes on behind it, and the commit says so
    Skip,
}

/// What is written as text in a flag and in the file.
#[derive(Debug, Clone)]
pub struct Parsed<T>(pub T);

impl<T: FromStr> FromStr for Parsed<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.parse().map(Self)
    }
}

impl<'de, T: FromStr<Err: std::fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A number of bytes: `512`, `64KiB`, `64MiB`, `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            || Error::invalid("a size is a number of bytes, or one of KiB, MiB or GiB: 64MiB");
        let digits = text.trim_end_matches(|char: char| !char.is_ascii_digit());
        let shift = match text.get(digits.len()..).unwrap_or_default().trim() {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(wrong)
    }
}

fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    Ok(BTreeMap::deserialize(deserializer)?.into_iter().collect())
}

impl KafkaArgs {
    /// With the file that they name in the place of what was not typed.
    pub fn whole(self) -> Result<Self> {
        let Some(path) = &self.from_config else { return Ok(self) };
        let file = read(path)?;
        Ok(self.over(file))
    }

    fn over(self, file: Self) -> Self {
        let of = |typed: Vec<String>, there| if typed.is_empty() { there } else { typed };
        Self {
            into: self.into.or(file.into),
            brokers: self.brokers.or(file.brokers),
            topic: of(self.topic, file.topic),
            group: self.group.or(file.group),
            changes: self.changes || file.changes,
            reply_topic: self.reply_topic.or(file.reply_topic),
            format: self.format.or(file.format),
            compression: self.compression.or(file.compression),
            wrap: self.wrap || file.wrap,
            schema: self.schema.or(file.schema),
            separator: self.separator.or(file.separator),
            length_prefixed: self.length_prefixed || file.length_prefixed,
            path: self.path.or(file.path),
            store_url: self.store_url.or(file.store_url),
            dead_letter: self.dead_letter.or(file.dead_letter),
            roll_bytes: self.roll_bytes.or(file.roll_bytes),
            roll_records: self.roll_records.or(file.roll_records),
            roll_age: self.roll_age.or(file.roll_age),
            commit_every: self.commit_every.or(file.commit_every),
            idle_commit: self.idle_commit.or(file.idle_commit),
            memory: self.memory.or(file.memory),
            on_gap: self.on_gap.or(file.on_gap),
            exit_at_end: self.exit_at_end || file.exit_at_end,
            // librdkafka takes the last of the same name.
            set: file.set.into_iter().chain(self.set).collect(),
            from_config: self.from_config,
        }
    }
}

fn read(path: &Path) -> Result<KafkaArgs> {
    let wrong = |why: String| {
        let why = onward::internals::model::error::short(&why).into_owned();
        Error::invalid(format!("the settings in '{}' cannot be used: {why}", path.display()))
    };
    let len = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if len > FILE_LEN_MAX {
        return Err(wrong(format!("they have {len} bytes, the limit is {FILE_LEN_MAX}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| {
        wrong(format!(
            "{}; the keys are the names of the flags, with _ for -",
            error.to_string().trim()
        ))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::super::verbs::{Args, Verb};
    use super::*;

    fn typed(words: &[&str]) -> KafkaArgs {
        let words = ["onward", "kafka"].iter().chain(words);
        match Args::try_parse_from(words).unwrap().verb {
            Verb::Kafka(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    fn written(text: &str) -> Result<KafkaArgs> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path())
    }

    #[test]
    fn what_is_typed_wins_over_the_file() {
        let file = written(
            "into = 'lake/main/raw'\nbrokers = 'b:1'\ntopic = ['x', 'y']\ngroup = 'g'\nroll_bytes = '8MiB'\n\
             commit_every = '5s'\nexit_at_end = true\ndead_letter = ''\n[set]\n'security.protocol' = 'ssl'\na = '1'",
        );
        let flags = typed(&["--topic", "z", "--group", "h", "--set", "a=2"]);
        let whole = flags.over(file.unwrap());
        assert_eq!((whole.topic, whole.group), (vec!["z".to_owned()], Some("h".to_owned())));
        assert_eq!(whole.roll_bytes.unwrap().0, Size(8 << 20));
        assert_eq!(whole.into.unwrap().0.to_string(), "lake/main/raw");
        assert_eq!(whole.dead_letter.as_deref(), Some(""));
        assert!(whole.exit_at_end);
        let last = whole.set.iter().rev().find(|(key, _)| key == "a").unwrap();
        assert_eq!(last.1, "2");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_what_is_wrong() {
        for (text, why) in [
            ("brokres = 'x'", "brokres"),
            ("roll_bytes = '8 apples'", "64MiB"),
            ("format = 'avro'", "avro"),
            ("into = 'lake'\ncommit_every = 5", "commit_every"),
        ] {
            let error = written(text).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
        let error = read(Path::new("/nowhere/kafka.toml")).unwrap_err();
        assert!(error.message().contains("/nowhere/kafka.toml"), "{error}");
    }

    #[test]
    fn sizes_are_bytes_or_powers_of_1024() {
        for (text, size) in [("0", 0), ("512", 512), ("7B", 7), ("1 KiB", 1024), ("2GiB", 2 << 30)]
        {
            assert_eq!(text.parse::<Size>().unwrap(), Size(size));
        }
        for text in ["", "MiB", "1MB", "-1", "1.5MiB", "99999999999GiB"] {
            text.parse::<Size>().unwrap_err();
        }
    }
}
