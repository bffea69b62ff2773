//! Names of files by template: `{topic}/{date}/{partition}-{first_offset}.{ext}`.
//!
//! A template must tell files apart by itself: offsets of a partition that begins again, and of two
//! partitions, are the same numbers, so a template without `{partition}` or `{first_offset}` is refused.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use onward::{Error, ObjectPath, Result};

use crate::file::FileFacts;

/// What stands for the day and the hour of a record without a time.
pub const UNDATED: &str = "undated";

/// The longest template, in bytes.
const TEMPLATE_LEN_MAX: usize = 1024;

/// A template of names, as `{topic}/{date}/{partition}-{first_offset}.{ext}`.
///
/// | name | what it becomes |
/// |---|---|
/// | `{topic}` | the topic |
/// | `{partition}` | the partition's number |
/// | `{date}` `{year}` `{month}` `{day}` `{hour}` | of the time of the file's first record, in UTC: `2026-11-28`, `2026`, `11`, `28`, `09`; `undated` where the record has no time, or one after the year 9999 |
/// | `{first_offset}` `{last_offset}` | of its records, in twenty digits, so that names sort as offsets do; behind `life-N-` where the topic was made anew under its name for the N-th time |
/// | `{ext}` | the format's ending: `jsonl.zst` |
///
/// Everything else stands for itself. Two braces stand for one: `{{`, `}}`.
///
/// ```
/// use onward_kafka::path::PathTemplate;
///
/// let error = PathTemplate::parse("{topic}/{patrition}/{first_offset}.{ext}").unwrap_err();
/// assert!(error.message().contains("'{patrition}'") && error.message().contains("{partition}"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(Name),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Topic,
    Partition,
    Date,
    Year,
    Month,
    Day,
    Hour,
    FirstOffset,
    LastOffset,
    Extension,
}

/// The names as they are written.
const NAMES: &[(&str, Name)] = &[
    ("topic", Name::Topic),
    ("partition", Name::Partition),
    ("date", Name::Date),
    ("year", Name::Year),
    ("month", Name::Month),
    ("day", Name::Day),
    ("hour", Name::Hour),
    ("first_offset", Name::FirstOffset),
    ("last_offset", Name::LastOffset),
    ("ext", Name::Extension),
];

impl PathTemplate {
    /// The template of files unless another is given.
    pub const FILES: &str = "{topic}/{date}/{partition}-{first_offset}.{ext}";

    /// The template of dead letters unless another is given.
    pub const DEAD_LETTERS: &str = "dead-letters/{topic}/{date}/{partition}-{first_offset}.{ext}";

    /// Reads a template.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: a name that is not known, a brace that is not closed, no `{partition}` or
    /// `{first_offset}`, no template at all.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > TEMPLATE_LEN_MAX {
            return Err(Error::invalid(format!(
                "a template of paths has 1 to {TEMPLATE_LEN_MAX} bytes, this one has {}",
                text.len()
            )));
        }
        let template = Self { pieces: pieces(text)? };
        for (name, needed) in [("partition", Name::Partition), ("first_offset", Name::FirstOffset)]
        {
            if !template.has(needed) {
                return Err(Error::invalid(format!(
                    "the template '{text}' has no {{{name}}}: two files would have one path"
                )));
            }
        }
        // What no record can make legal is told now, and not by the first file.
        template.render(&FileFacts {
            topic: "t",
            partition: 0,
            life: 0,
            first_offset: 0,
            last_offset: 0,
            timestamp_ms: None,
            extension: "x",
        })?;
        Ok(template)
    }

    /// Whether files of two topics have two paths. Where it does not, a sink takes one topic only.
    pub fn tells_topics_apart(&self) -> bool {
        self.has(Name::Topic)
    }

    fn has(&self, name: Name) -> bool {
        self.pieces.contains(&Piece::Name(name))
    }

    /// The name of a file: a legal path, and no other's of the same topic, partition, life and first
    /// offset.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: it would be longer than a path may be.
    pub fn render(&self, facts: &FileFacts<'_>) -> Result<String> {
        let time = facts.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let time = time.map(|time| time.to_zoned(TimeZone::UTC).datetime());
        let part = |format: &dyn Fn(jiff::civil::DateTime) -> String| {
            time.map_or_else(|| UNDATED.to_owned(), format)
        };
        let offset = |offset: i64| match facts.life {
            0 => format!("{offset:020}"),
            life => format!("life-{life}-{offset:020}"),
        };
        let mut path = String::new();
        for piece in &self.pieces {
            let rendered = match piece {
                Piece::Text(text) => text.clone(),
                Piece::Name(name) => match name {
                    Name::Topic => facts.topic.to_owned(),
                    Name::Partition => facts.partition.to_string(),
                    Name::Date => part(&|time| time.date().to_string()),
                    Name::Year => part(&|time| format!("{:04}", time.year())),
                    Name::Month => part(&|time| format!("{:02}", time.month())),
                    Name::Day => part(&|time| format!("{:02}", time.day())),
                    Name::Hour => part(&|time| format!("{:02}", time.hour())),
                    Name::FirstOffset => offset(facts.first_offset),
                    Name::LastOffset => offset(facts.last_offset),
                    Name::Extension => facts.extension.to_owned(),
                },
            };
            path.push_str(&rendered);
        }
        ObjectPath::new(path).map(String::from).map_err(|error| {
            error.context(format!("the path of a file of topic '{}'", facts.topic))
        })
    }
}

/// Takes a template apart.
fn pieces(text: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '{' if chars.next_if_eq(&'{').is_some() => plain.push('{'),
            '}' if chars.next_if_eq(&'}').is_some() => plain.push('}'),
            '{' => {
                let mut name = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(char) => name.push(char),
                        None => return Err(unbalanced(text)),
                    }
                }
                let known = NAMES.iter().find(|(known, _)| *known == name);
                let (_, known) = known.ok_or_else(|| unknown(text, &name))?;
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Name(*known));
            }
            '}' => return Err(unbalanced(text)),
            char => plain.push(char),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

fn unbalanced(text: &str) -> Error {
    Error::invalid(format!(
        "the template '{text}' has a brace that stands alone: names are written {{topic}}, a brace as two"
    ))
}

fn unknown(text: &str, name: &str) -> Error {
    let mut known = String::new();
    for (name, _) in NAMES {
        let _ = write!(known, " {{{name}}}");
    }
    Error::invalid(format!(
        "the template '{text}' has '{{{name}}}', which is no name; known are{known}"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn facts(topic: &str) -> FileFacts<'_> {
        FileFacts {
            topic,
            partition: 7,
            life: 0,
            first_offset: 12_345,
            last_offset: 12_399,
            timestamp_ms: Some(1_795_854_600_123),
            extension: "jsonl.zst",
        }
    }

    fn render(template: &str, facts: &FileFacts<'_>) -> String {
        PathTemplate::parse(template).unwrap().render(facts).unwrap()
    }

    #[test]
    fn every_name_becomes_what_the_table_says() {
        let all = "{topic}/{partition}/{date}/{year}/{month}/{day}/{hour}/{first_offset}/{last_offset}/{ext}/{{x}}";
        assert_eq!(
            render(all, &facts("orders.v1")),
            "orders.v1/7/2026-11-28/2026/11/28/08/00000000000000012345/00000000000000012399/jsonl.zst/{x}"
        );
        let again = FileFacts { life: 2, ..facts("orders") };
        assert_eq!(render("{partition}-{first_offset}", &again), "7-life-2-00000000000000012345");
    }

    #[test]
    fn a_record_without_a_time_is_undated_and_1970_is_a_year() {
        let template = "{date}/{hour}/{partition}/{first_offset}";
        for (timestamp_ms, start) in [
            (None, "undated/undated/"),
            (Some(i64::MAX), "undated/undated/"),
            (Some(0), "1970-01-01/00/"),
            (Some(-1), "1969-12-31/23/"),
        ] {
            let path = render(template, &FileFacts { timestamp_ms, ..facts("t") });
            assert!(path.starts_with(start), "{path}");
        }
    }

    #[test]
    fn a_template_that_cannot_serve_is_refused_with_what_is_wrong() {
        for (template, why) in [
            ("", "1 to 1024 bytes"),
            ("{topic}/{partition}/{offset}", "'{offset}', which is no name; known are {topic}"),
            ("{topic}/{partition}.{ext}", "no {first_offset}"),
            ("{topic}/{first_offset}.{ext}", "no {partition}"),
            ("{topic/{partition}", "which is no name"),
            ("{partition}{first_offset}{", "stands alone"),
            ("{partition}{first_offset}}", "stands alone"),
            ("{partition}{first_offset}\0", "NUL"),
        ] {
            let error = PathTemplate::parse(template).unwrap_err();
            assert!(error.message().contains(why), "{template}: {error}");
        }
        let long = format!("{}{{topic}}{{partition}}{{first_offset}}", "x".repeat(900));
        let long = PathTemplate::parse(&long).unwrap();
        let topic = "t".repeat(249);
        assert!(long.render(&facts(&topic)).unwrap_err().message().contains("1024"));
    }

    proptest! {
        /// Files of other partitions, offsets, lives and topics have other paths.
        #[test]
        fn two_files_have_two_paths(
            files in prop::collection::vec(
                ("[a-zA-Z0-9._-]{1,20}", 0..i32::MAX, 0..3_u32, 0..i64::MAX, any::<Option<i64>>()),
                1..50,
            )
        ) {
            let template = PathTemplate::parse(PathTemplate::FILES).unwrap();
            prop_assert!(template.tells_topics_apart());
            let mut taken = BTreeMap::new();
            for (topic, partition, life, first_offset, timestamp_ms) in &files {
                let facts = FileFacts {
                    topic,
                    partition: *partition,
                    life: *life,
                    first_offset: *first_offset,
                    last_offset: *first_offset,
                    timestamp_ms: *timestamp_ms,
                    extension: "x",
                };
                let place = (topic, partition, life, first_offset);
                let path = template.render(&facts).unwrap();
                prop_assert_eq!(*taken.entry(path).or_insert(place), place);
            }
        }
    }
}
