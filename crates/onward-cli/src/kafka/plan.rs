//! From what was asked for to the settings of the sink, with everything that is wrong told before anything
//! is read.

use std::sync::Arc;
use std::time::Duration;

use onward::BranchName;
use onward::internals::model::address::Address;
use onward::{Error, Result};
use onward_kafka::file::Format;
use onward_kafka::format::parquet::{Codec, Schema};
use onward_kafka::format::{DeadLetters, Framing, JsonLines, Packing, Parquet, Raw};
use onward_kafka::path::PathTemplate;
use onward_kafka::{DeadLetterSettings, OnGap, Settings};

use super::super::session::prefix_of;
use super::args::{FormatArg, KafkaArgs, OnGapArg, Parsed};

/// Where it goes, and what Kafka's client is told.
#[derive(Debug)]
pub struct Plan {
    pub into: Address,
    /// The branch in it.
    pub branch: BranchName,
    pub topics: Vec<Arc<str>>,
    pub group: String,
    /// librdkafka's settings.
    pub client: Vec<(String, String)>,
}

impl Plan {
    /// What every sink needs.
    pub fn of(args: &KafkaArgs) -> Result<Self> {
        let missing = |what: &str| {
            Error::invalid(format!("{what}, or its key in the file of --from-config, is missing"))
        };
        let Some(Parsed(into)) = args.into.clone() else {
            return Err(missing("REPO/BRANCH[/PREFIX] (into)"));
        };
        let branch = into.require_ref()?.as_branch()?;
        let brokers = args.brokers.clone().map(|brokers| ("bootstrap.servers".to_owned(), brokers));
        let client: Vec<_> = brokers.into_iter().chain(args.set.clone()).collect();
        if !client.iter().any(|(key, _)| key == "bootstrap.servers") {
            return Err(missing("--brokers HOST:PORT,…"));
        }
        if args.topic.is_empty() {
            return Err(missing("--topic NAME"));
        }
        let mut topics: Vec<Arc<str>> =
            args.topic.iter().map(|topic| topic.as_str().into()).collect();
        topics.sort();
        topics.dedup();
        let group = args.group.clone().ok_or_else(|| missing("--group NAME"))?;
        if args.reply_topic.is_some() && !args.changes {
            return Err(Error::invalid("--reply-topic goes with --changes: leave it out"));
        }
        Ok(Self { into, branch, topics, group, client })
    }

    /// The settings of the sink; `schema` is that of Parquet.
    pub fn settings(&self, args: &KafkaArgs, schema: Option<Schema>) -> Result<Settings> {
        let mut settings = match args.changes {
            true => self.of_change_sets(args)?,
            false => self.of_values(args, schema)?,
        };
        settings.prefix = prefix_of(&self.into);
        if let Some(text) = &args.dead_letter {
            let given = Some(text.as_str()).filter(|text| !text.is_empty());
            let path = self.template(given, PathTemplate::DEAD_LETTERS)?;
            if path == settings.path {
                return Err(Error::invalid(
                    "dead letters and files have the same template: they would have the same names",
                ));
            }
            let format = DeadLetters::new(packing(args).unwrap_or_default());
            settings.dead_letters = Some(DeadLetterSettings { path, format });
        }
        let length = |given: &Option<Parsed<humantime::Duration>>, usual| -> Duration {
            given.as_ref().map_or(usual, |Parsed(length)| (*length).into())
        };
        let roll = &mut settings.roll;
        roll.bytes = args.roll_bytes.as_ref().map_or(roll.bytes, |Parsed(size)| size.0);
        roll.records = args.roll_records.unwrap_or(roll.records);
        roll.age = length(&args.roll_age, roll.age);
        settings.commit_every = length(&args.commit_every, settings.commit_every);
        settings.idle_commit_every =
            args.idle_commit.as_ref().map(|Parsed(length)| (*length).into());
        settings.memory_max =
            args.memory.as_ref().map_or(settings.memory_max, |Parsed(size)| size.0);
        settings.on_gap = match args.on_gap.unwrap_or(OnGapArg::Fail) {
            OnGapArg::Fail => OnGap::Fail,
            OnGapArg::Skip => OnGap::Skip,
        };
        settings.exit_at_end = args.exit_at_end;
        Ok(settings)
    }

    fn of_values(&self, args: &KafkaArgs, schema: Option<Schema>) -> Result<Settings> {
        let path = self.template(args.path.as_deref(), PathTemplate::FILES)?;
        Ok(Settings::new(self.group.clone(), self.topics.clone(), format(args, schema)?, path))
    }

    fn of_change_sets(&self, args: &KafkaArgs) -> Result<Settings> {
        let of_files = [
            ("--format", args.format.is_some()),
            ("--wrap", args.wrap),
            ("--schema", args.schema.is_some()),
            ("--separator", args.separator.is_some()),
            ("--length-prefixed", args.length_prefixed),
            ("--path", args.path.is_some()),
            ("--roll-bytes", args.roll_bytes.is_some()),
            ("--roll-records", args.roll_records.is_some()),
            ("--roll-age", args.roll_age.is_some()),
            ("--commit-every", args.commit_every.is_some()),
        ];
        if let Some((flag, _)) = of_files.iter().find(|(_, is_given)| *is_given) {
            return Err(Error::invalid(format!(
                "{flag} is about files, and with --changes records are none: leave it out"
            )));
        }
        if !prefix_of(&self.into).is_empty() {
            return Err(Error::invalid(
                "change sets name whole paths: with --changes give REPO/BRANCH, without a prefix",
            ));
        }
        let reply_topic = args.reply_topic.as_deref();
        if self.topics.iter().any(|topic| reply_topic == Some(&**topic)) {
            return Err(Error::invalid(
                "--reply-topic is one of the topics that are read: outcomes would be taken for change sets",
            ));
        }
        // That of dead letters: no format looks at it here.
        packing(args)?;
        Settings::change_sets(self.group.clone(), self.topics.clone())
    }

    fn template(&self, given: Option<&str>, usual: &str) -> Result<PathTemplate> {
        let template = PathTemplate::parse(given.unwrap_or(usual))?;
        match self.topics.len() > 1 && !template.tells_topics_apart() {
            true => Err(Error::invalid(format!(
                "the template '{}' has no {{topic}}, and there are {} topics: two files would have one path",
                given.unwrap_or(usual),
                self.topics.len()
            ))),
            false => Ok(template),
        }
    }
}

fn packing(args: &KafkaArgs) -> Result<Packing> {
    args.compression.as_deref().map_or(Ok(Packing::default()), str::parse)
}

fn format(args: &KafkaArgs, schema: Option<Schema>) -> Result<Arc<dyn Format>> {
    let chosen = args.format.unwrap_or(FormatArg::Jsonl);
    let belongs = |is_given: bool, flag: &str, to: FormatArg| match is_given && chosen != to {
        true => Err(Error::invalid(format!(
            "{flag} belongs to another format: leave it out, or choose --format"
        ))),
        false => Ok(()),
    };
    belongs(args.schema.is_some(), "--schema", FormatArg::Parquet)?;
    belongs(args.separator.is_some(), "--separator", FormatArg::Raw)?;
    belongs(args.length_prefixed, "--length-prefixed", FormatArg::Raw)?;
    match (chosen, schema) {
        (FormatArg::Jsonl, _) => {
            let lines = JsonLines::new(packing(args)?);
            Ok(Arc::new(if args.wrap { lines.wrapped() } else { lines }))
        }
        (FormatArg::Raw, _) if args.wrap => Err(Error::invalid(
            "raw values have nothing beside them: --wrap goes with jsonl and parquet",
        )),
        (FormatArg::Raw, _) => {
            let framing = match (&args.separator, args.length_prefixed) {
                (Some(_), true) => {
                    return Err(Error::invalid("--separator or --length-prefixed, not both"));
                }
                (None, true) => Framing::Length,
                (Some(text), false) => Framing::Separator(text.clone().into_bytes().into()),
                (None, false) => Framing::lines(),
            };
            Ok(Arc::new(Raw::new(framing, packing(args)?)))
        }
        (FormatArg::Parquet, Some(schema)) => {
            let codec = args.compression.as_deref().map_or(Ok(Codec::default()), str::parse)?;
            let parquet = Parquet::new(schema, codec);
            Ok(Arc::new(if args.wrap { parquet.wrapped()? } else { parquet }))
        }
        (FormatArg::Parquet, None) => Err(Error::internal("Parquet has no schema")),
    }
}
