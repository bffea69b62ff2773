//! A sink: which events of which branches go where. What it was made with does not change, but for its secrets.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use glob::Pattern;
use serde::{Deserialize, Serialize};

use crate::model::error::{Error, Result, quoted};
use crate::model::life::RepoLife;
use crate::objects::layout;
use crate::repo::rules::kind::{Kind, Stored};
use crate::repo::rules::pattern;

/// Patterns of branches of a sink, at most.
pub const PATTERNS_MAX: usize = 100;

/// Secrets of a sink at a time: one, and another while it is exchanged.
pub const SECRETS_MAX: usize = 2;

/// The longest URL of a target, in bytes.
const URL_LEN_MAX: usize = 2048;

/// What happens to a branch, as its log and its records tell it for good. Tags have no log, and are not among
/// these; neither are repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A commit with one parent or none: of changes, of a revert, a cherry-pick, a squashed merge, an import.
    Commit,
    /// A commit with several parents.
    Merge,
    /// Another commit became the head.
    Reset,
    /// The branch was made.
    BranchCreated,
    /// The branch was deleted.
    BranchDeleted,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Commit, Self::Merge, Self::Reset, Self::BranchCreated, Self::BranchDeleted];

    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Merge => "merge",
            Self::Reset => "reset",
            Self::BranchCreated => "branch_created",
            Self::BranchDeleted => "branch_deleted",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EventKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::invalid(format!("'{}' is no kind of event: there are {names}", quoted(text)))
        })
    }
}

/// Where events go. Secrets are sealed by who makes a sink, and opened by who delivers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A POST for each event.
    Webhook {
        /// Where requests go.
        url: String,
        /// What requests are signed with, sealed; newest first.
        secrets: Vec<String>,
    },
    /// An entry of a Redis stream for each event.
    Stream {
        /// The URL of another Redis than the deployment's own, sealed, as it may have a password in it.
        redis: Option<String>,
        /// The same URL as people are shown it.
        shown: Option<String>,
        /// The name of the stream; by default one of the repository and the sink.
        key: Option<String>,
        /// Entries that the stream keeps, about.
        length_max: u64,
    },
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook { .. } => f.debug_struct("Webhook").finish_non_exhaustive(),
            Self::Stream { key, .. } => {
                f.debug_struct("Stream").field("key", key).finish_non_exhaustive()
            }
        }
    }
}

/// Where events of some branches go, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sink {
    /// Its id in the repository.
    pub id: String,
    /// What tells it from others that had the same id before, or are to get it at the same time: drawn.
    pub uid: String,
    /// Glob patterns of the branches whose events it takes.
    pub branches: Vec<String>,
    /// Which kinds of events it takes.
    pub kinds: BTreeSet<EventKind>,
    /// Where they go.
    pub target: Target,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// How long one delivery may take.
    pub timeout_ms: u64,
    /// How long an event may fail before the sink is given up.
    pub give_up_ms: u64,
    /// How often it was changed: who delivers begins anew with each.
    pub revision: u64,
}

impl Sink {
    /// The longest timeout.
    pub const TIMEOUT_MAX_MS: u64 = 60_000;

    /// The longest time until a sink is given up: 30 days.
    pub const GIVE_UP_MAX_MS: u64 = 30 * 24 * 3_600_000;

    /// A name that no other sink has: of its progress, its lease and its stream.
    pub fn own_name(&self) -> String {
        format!("{}-{}", self.id, self.uid)
    }

    /// Whether a sink may have this id: 1 to 32 small letters, digits and `-`.
    pub fn can_be(id: &str) -> bool {
        (1..=32).contains(&id.len())
            && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    }

    fn check(&self) -> Result<()> {
        if !Self::can_be(&self.id) {
            return Err(Error::invalid(format!(
                "'{}' cannot be the id of a sink: 1 to 32 of a-z, 0-9 and '-'",
                quoted(&self.id)
            )));
        }
        if self.branches.is_empty() || self.branches.len() > PATTERNS_MAX {
            return Err(Error::invalid(format!(
                "a sink has 1 to {PATTERNS_MAX} patterns of branches; '*' stands for all branches"
            )));
        }
        self.branches.iter().try_for_each(|pattern| pattern::check(pattern))?;
        if self.kinds.is_empty() {
            let names = EventKind::ALL.map(EventKind::name).join(", ");
            return Err(Error::invalid(format!("this sink takes no events: name some of {names}")));
        }
        if !(1..=Self::TIMEOUT_MAX_MS).contains(&self.timeout_ms) {
            return Err(Error::invalid("the timeout of a sink is at most 60 s, and not 0"));
        }
        if !(1..=Self::GIVE_UP_MAX_MS).contains(&self.give_up_ms) {
            return Err(Error::invalid(
                "a sink is given up after 30 days at most, and not at once",
            ));
        }
        self.target.check()
    }
}

impl Target {
    fn check(&self) -> Result<()> {
        match self {
            Self::Webhook { url, secrets } => {
                if url.len() > URL_LEN_MAX {
                    return Err(Error::invalid(format!(
                        "a URL of {} bytes is over the limit of {URL_LEN_MAX}: give a shorter one",
                        url.len()
                    )));
                }
                if secrets.is_empty() || secrets.len() > SECRETS_MAX {
                    return Err(Error::invalid(format!(
                        "a webhook has one secret, and at most {SECRETS_MAX} while it is exchanged"
                    )));
                }
                Ok(())
            }
            Self::Stream { key, length_max, .. } => {
                let is_key = |key: &String| {
                    (1..=512).contains(&key.len()) && !key.chars().any(char::is_control)
                };
                if !key.as_ref().is_none_or(is_key) {
                    return Err(Error::invalid(
                        "the name of a stream has 1 to 512 bytes without control characters",
                    ));
                }
                if !(1..=100_000_000).contains(length_max) {
                    return Err(Error::invalid("a stream keeps 1 to 100,000,000 entries"));
                }
                Ok(())
            }
        }
    }
}

/// Patterns of branches, ready to be compared with names.
#[derive(Debug, Clone)]
pub struct Branches(Vec<Pattern>);

impl Branches {
    /// Those of a sink.
    pub fn of(sink: &Sink) -> Result<Self> {
        sink.branches.iter().map(|text| pattern::ready(text)).collect::<Result<_>>().map(Self)
    }

    /// Whether one of them is for the branch.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }
}

impl Stored for Sink {}

/// The kind of settings that sinks are.
pub(in crate::repo) enum Sinks {}

impl Kind for Sinks {
    type Rule = Sink;
    type Ready = Vec<Sink>;
    const WHAT: &'static str = "the sinks";

    fn key(life: &RepoLife) -> String {
        layout::sinks(life)
    }

    fn check(sink: &Sink) -> Result<()> {
        sink.check()
    }

    fn ready(sinks: Vec<Sink>) -> Result<Vec<Sink>> {
        Ok(sinks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink() -> Sink {
        Sink {
            id: "audit".into(),
            uid: "0123456789abcdef".into(),
            branches: vec!["main".into(), "release-*".into()],
            kinds: EventKind::ALL.into(),
            target: Target::Webhook {
                url: "https://a.example/b".into(),
                secrets: vec!["1.x".into()],
            },
            created_ms: 0,
            timeout_ms: 10_000,
            give_up_ms: 1000,
            revision: 0,
        }
    }

    #[test]
    fn broken_sinks_are_refused() {
        sink().check().unwrap();
        let stream = |key: &str, length_max| {
            let (redis, shown, key) = (None, None, Some(key.to_owned()));
            Sink { target: Target::Stream { redis, shown, key, length_max }, ..sink() }
        };
        stream("events", 1000).check().unwrap();
        for wrong in [
            Sink { id: "Audit".into(), ..sink() },
            Sink { id: String::new(), ..sink() },
            Sink { branches: Vec::new(), ..sink() },
            Sink { branches: vec!["a/b".into()], ..sink() },
            Sink { kinds: BTreeSet::new(), ..sink() },
            Sink { timeout_ms: 0, ..sink() },
            Sink { give_up_ms: Sink::GIVE_UP_MAX_MS + 1, ..sink() },
            Sink {
                target: Target::Webhook { url: "x".repeat(3000), secrets: vec!["1.x".into()] },
                ..sink()
            },
            Sink {
                target: Target::Webhook { url: "https://a".into(), secrets: Vec::new() },
                ..sink()
            },
            stream("", 1000),
            stream("a\nb", 1000),
            stream("events", 0),
        ] {
            assert_eq!(
                wrong.check().unwrap_err().kind(),
                crate::ErrorKind::InvalidInput,
                "{wrong:?}"
            );
        }
        assert!("tag".parse::<EventKind>().is_err());
    }

    #[test]
    fn one_pattern_that_matches_is_enough() {
        let branches = Branches::of(&sink()).unwrap();
        assert!(branches.has("main") && branches.has("release-1") && !branches.has("dev"));
    }
}
