//! What can be set about a sink, with what it is when nothing is.

use std::sync::Arc;
use std::time::Duration;

use onward::{Error, Result};

use crate::file::Format;
use crate::format::{DeadLetters, JsonLines, Packing};
use crate::path::PathTemplate;

/// What the records of topics are to a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Takes {
    /// Values, which become lines or rows of files.
    #[default]
    Values,
    /// Change sets, the JSON of `/onward/v1`, each of which becomes a commit of its own.
    ChangeSets,
}

/// When a file is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roll {
    /// At about so many bytes.
    pub bytes: u64,
    /// At so many records.
    pub records: u64,
    /// So long after its first record came.
    pub age: Duration,
}

impl Default for Roll {
    fn default() -> Self {
        Self { bytes: 64 << 20, records: u64::MAX, age: Duration::from_secs(60) }
    }
}

/// What happens where records are missing that were never read: the broker has deleted them, or the topic
/// was made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnGap {
    /// The sink ends and says what is missing.
    #[default]
    Fail,
    /// The sink goes on behind it, says so, and the commit does too.
    Skip,
}

/// Where records go that are not what the format is of.
#[derive(Debug, Clone)]
pub struct DeadLetterSettings {
    /// Names of the files, which must differ from those of the others.
    pub path: PathTemplate,
    /// How they are written.
    pub format: DeadLetters,
}

/// The settings of a sink.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The consumer group, by which offsets are kept on the branch.
    pub group: String,
    /// The topics that are read.
    pub topics: Vec<Arc<str>>,
    /// What records are. Of change sets no files are made, besides those of dead letters.
    pub takes: Takes,
    /// What files are made of.
    pub format: Arc<dyn Format>,
    /// Names of the files.
    pub path: PathTemplate,
    /// Put in front of every name, as it is.
    pub prefix: String,
    /// Where records go that do not parse; where there is no such place they end the sink.
    pub dead_letters: Option<DeadLetterSettings>,
    /// When a file is full.
    pub roll: Roll,
    /// How often what is full is committed, at most.
    pub commit_every: Duration,
    /// Where nothing came for so long and everything was read, a commit without files says so, by its
    /// valid-through timestamp. `None`: never.
    pub idle_commit_every: Option<Duration>,
    /// What files in the making and finished ones may take in memory, in bytes: beyond it nothing is read.
    pub memory_max: u64,
    /// What a partition may have in files that are not committed, in bytes: beyond it the partition is
    /// not read.
    pub partition_max: u64,
    /// What happens where records are missing.
    pub on_gap: OnGap,
    /// Whether to end when everything was read that was there.
    pub exit_at_end: bool,
    /// How long the end, or a partition that is taken away, may wait for the last commit.
    pub last_commit_patience: Duration,
    /// How long a call to Onward is made again while that is away, when partitions are assigned.
    pub assign_patience: Duration,
    /// A partition of which nothing came for so long is looked at.
    pub standstill: Duration,
}

impl Settings {
    /// The settings of a sink of `group` that makes files of `topics`.
    pub fn new(
        group: impl Into<String>,
        topics: impl IntoIterator<Item = impl Into<Arc<str>>>,
        format: Arc<dyn Format>,
        path: PathTemplate,
    ) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            takes: Takes::Values,
            format,
            path,
            prefix: String::new(),
            dead_letters: None,
            roll: Roll::default(),
            commit_every: Duration::from_secs(10),
            idle_commit_every: None,
            memory_max: 128 << 20,
            partition_max: 256 << 20,
            on_gap: OnGap::Fail,
            exit_at_end: false,
            last_commit_patience: Duration::from_secs(20),
            assign_patience: Duration::from_secs(60),
            standstill: Duration::from_secs(30),
        }
    }

    /// The settings of a sink of `group` that carries out the change sets in `topics`, as they come.
    pub fn change_sets(
        group: impl Into<String>,
        topics: impl IntoIterator<Item = impl Into<Arc<str>>>,
    ) -> Result<Self> {
        // Nothing becomes a file of it.
        let format = Arc::new(JsonLines::new(Packing::None));
        let path = PathTemplate::parse(PathTemplate::FILES)?;
        let mut settings = Self::new(group, topics, format, path);
        settings.takes = Takes::ChangeSets;
        settings.commit_every = Duration::ZERO;
        Ok(settings)
    }

    /// Fails where they make no sense.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::invalid(what));
        if self.group.is_empty() {
            return wrong("a sink has a consumer group: offsets are kept by its name");
        }
        if self.topics.is_empty() {
            return wrong("a sink has at least one topic");
        }
        if self.roll.bytes == 0 || self.roll.records == 0 {
            return wrong("a file of no bytes or no records cannot be: roll at 1 or more");
        }
        if self.memory_max < 1 << 20 || self.partition_max < 1 << 10 {
            return wrong(
                "the limits are at least 1 MiB of memory in all and 1 KiB of files a partition",
            );
        }
        let mut paths = vec![&self.path];
        paths.extend(self.dead_letters.as_ref().map(|letters| &letters.path));
        if self.topics.len() > 1 && !paths.iter().all(|path| path.tells_topics_apart()) {
            return wrong(
                "files of several topics would have one path: put {topic} into the template",
            );
        }
        if self.dead_letters.as_ref().is_some_and(|letters| letters.path == self.path) {
            return wrong(
                "dead letters would have the paths of other files: give them a template of their own",
            );
        }
        Ok(())
    }
}
