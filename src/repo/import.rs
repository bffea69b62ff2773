//! Import: a folder of an object store becomes part of a branch, in one commit, without a copy.
//!
//! The entries name the objects where they lie. Who overwrites or deletes them there changes what a
//! commit shows: the checksum tells, see [`Foreign`].

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use glob::{MatchOptions, Pattern};
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Deadline};
use crate::model::change::{Change, PathChange};
use crate::model::entry::Entry;
use crate::model::error::{Error, Result};
use crate::model::outcome::Outcome;
use crate::model::path::ObjectPath;
use crate::objects::{Foreign, Source};

use super::changes::ChangeBuilder;
use super::handles::Branch;
use super::protection::Action;
use super::ticket::TicketHandle;

/// The key under which the commit's metadata has the URL of the source.
pub const SOURCE_KEY: &str = "onward.import.source";

/// Patterns of one import, at most.
pub const PATTERNS_MAX: usize = 100;

/// Objects handed to the sorter in one go.
const OBJECTS_PER_STEP: usize = 4096;

/// What is to be imported.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// What lies where, and where it goes.
    pub parts: Vec<ImportPart>,
    /// Settings of the cloud client that win over the environment.
    pub options: Vec<(String, String)>,
    /// Only objects that match one of these glob patterns; empty: all. `*` stays within a folder,
    /// `**` does not; a pattern without a slash is about the last part of the name.
    pub include: Vec<String>,
    /// No objects that match one of these.
    pub exclude: Vec<String>,
    /// Why; by default it names the source.
    pub message: Option<String>,
    /// The user's own key-value pairs of the commit.
    pub metadata: BTreeMap<String, String>,
    /// Who, if not the connection's committer.
    pub committer: Option<String>,
    /// Only count what would be imported.
    pub dry_run: bool,
    /// How long the outcome is waited for, if not the connection's timeout. Listing is not part of
    /// it.
    pub timeout: Option<Duration>,
}

/// One place to import from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportPart {
    /// Every object below a folder.
    Folder {
        /// The folder: `file:///absolute/dir`, `s3://bucket/prefix`, ….
        url: String,
        /// What stands before the names in the branch, as it is: empty, or with a slash at its end.
        prefix: String,
    },
    /// One object, as one path.
    Object {
        /// The object: `file:///absolute/file`, `s3://bucket/key`, ….
        url: String,
        /// Its path in the branch.
        path: String,
    },
}

impl ImportPart {
    /// Every object below a folder, under the names that they have there.
    pub fn folder(url: impl Into<String>) -> Self {
        Self::Folder { url: url.into(), prefix: String::new() }
    }
}

/// What came of an import.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// The URL of the first part, without credentials and query.
    pub source: String,
    /// How many objects were taken.
    pub objects: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// Objects that the patterns left out.
    pub left_out: u64,
    /// What became of the commit; `None` where it was only counted.
    pub outcome: Option<Outcome>,
}

/// Which names are wanted.
struct Filter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

impl Filter {
    fn of(request: &ImportRequest) -> Result<Self> {
        if request.include.len() + request.exclude.len() > PATTERNS_MAX {
            return Err(Error::invalid(format!(
                "an import takes at most {PATTERNS_MAX} patterns: import in parts"
            )));
        }
        Ok(Self { include: patterns(&request.include)?, exclude: patterns(&request.exclude)? })
    }

    fn takes(&self, key: &str) -> bool {
        let matches = |pattern: &Pattern| matches(pattern, key);
        (self.include.is_empty() || self.include.iter().any(matches))
            && !self.exclude.iter().any(matches)
    }
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>> {
    let read = |text: &String| {
        Pattern::new(text).map_err(|error| {
            Error::invalid(format!(
                "'{}' is not a pattern; examples: *.parquet, 2026/**, **/tmp/*",
                text.escape_debug()
            ))
            .with_source(error)
        })
    };
    texts.iter().map(read).collect()
}

fn matches(pattern: &Pattern, key: &str) -> bool {
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    let text = match pattern.as_str().contains('/') || pattern.as_str() == "**" {
        true => key,
        false => key.rsplit('/').next().unwrap_or(key),
    };
    pattern.matches_with(text, options)
}

impl Branch {
    /// Commits every object below a folder of a store, without copying any: the entry of each has
    /// its URL as address, its size and modification time, and what the store recognises its content
    /// by (the ETag) as checksum. What is on the branch under the same paths is replaced; nothing
    /// else is touched.
    ///
    /// It is one commit with the limits of one. Memory is bounded: what has been listed goes to
    /// temporary files. Fails with [`crate::ErrorKind::InvalidInput`] for a folder of this
    /// deployment's own storage, with [`crate::ErrorKind::NotFound`] where there is nothing to take,
    /// and as a commit does; nothing is committed then.
    pub async fn import(&self, request: &ImportRequest) -> Result<Imported> {
        let never = CancellationToken::new();
        let imported = self.import_unless(request, &never).await?;
        imported.ok_or_else(|| Error::internal("an import ended that nobody called off"))
    }

    /// Imports a folder, unless it is called off: `None` when that was before anything was
    /// accepted. An accepted commit is called off like any op: [`Imported::outcome`] tells whether
    /// that was in time.
    #[doc(hidden)]
    pub async fn import_unless(
        &self,
        request: &ImportRequest,
        call_off: &CancellationToken,
    ) -> Result<Option<Imported>> {
        let gathered = tokio::select! {
            gathered = self.gather(request) => gathered?,
            () = call_off.cancelled() => return Ok(None),
        };
        let (mut imported, change) = gathered;
        if request.dry_run {
            return Ok(Some(imported));
        }
        let timeout = request.timeout.unwrap_or(self.repo.onward.inner.timeout);
        // Seen through to its end: of a submission that is dropped nobody knows whether it was accepted.
        let handle = change.submit().await?;
        imported.outcome = Some(outcome_unless(handle, timeout, call_off).await?);
        Ok(Some(imported))
    }

    /// Lists what there is to import, and makes the commit of it.
    async fn gather(&self, request: &ImportRequest) -> Result<(Imported, ChangeBuilder)> {
        self.check_protection(Action::Commit).await?;
        self.show().await?;
        let filter = Filter::of(request)?;
        let sources = self.open_sources(request)?;
        let url = sources.first().map(|(source, _)| source.url()).unwrap_or_default();
        let message = request.message.clone().unwrap_or_else(|| format!("Import from {url}"));
        let mut change = self.change().message(message).meta(SOURCE_KEY, url.as_str());
        for (key, value) in &request.metadata {
            change = change.meta(key, value);
        }
        if let Some(committer) = &request.committer {
            change = change.committer(committer);
        }
        let mut imported =
            Imported { source: url, objects: 0, bytes: 0, left_out: 0, outcome: None };
        for (source, part) in &sources {
            let (prefix, listed) = match part {
                ImportPart::Folder { prefix, .. } => (prefix.clone(), source.list().await?),
                ImportPart::Object { path, .. } => {
                    let mut object = source.object().await?;
                    object.key.clone_from(path);
                    (String::new(), futures::stream::iter([Ok(object)]).boxed())
                }
            };
            let mut listed = listed.try_ready_chunks(OBJECTS_PER_STEP);
            while let Some(chunk) = listed.next().await {
                let chunk = chunk.map_err(|error| error.1)?;
                let count = chunk.len() as u64;
                let taken: Vec<Foreign> =
                    chunk.into_iter().filter(|object| filter.takes(&object.key)).collect();
                imported.objects += taken.len() as u64;
                imported.left_out += count - taken.len() as u64;
                imported.bytes += taken.iter().map(|object| object.size).sum::<u64>();
                if !request.dry_run {
                    change = add(change, taken, prefix.clone()).await?;
                }
            }
        }
        if imported.objects == 0 {
            let left_out = imported.left_out;
            return Err(Error::not_found(format!(
                "there is nothing to import from '{}' ({left_out} objects were left out by the patterns): check the URL and the patterns",
                imported.source
            )));
        }
        Ok((imported, change))
    }

    /// The places to import from, each with what is wanted of it.
    fn open_sources<'a>(
        &self,
        request: &'a ImportRequest,
    ) -> Result<Vec<(Source, &'a ImportPart)>> {
        let own = self.repo.onward.coordinator().objects();
        let open = |part: &'a ImportPart| {
            let source = match part {
                ImportPart::Folder { url, .. } => Source::open(url, &request.options)?,
                ImportPart::Object { url, .. } => Source::open_object(url, &request.options)?,
            };
            if source.overlaps(own) {
                return Err(Error::invalid(format!(
                    "'{}' and this deployment's own storage {} lie inside each other: history would name files that Onward itself deletes; import from a folder apart from it",
                    source.url(),
                    own.url()
                )));
            }
            Ok((source, part))
        };
        request.parts.iter().map(open).collect()
    }
}

/// The outcome of an accepted commit, which is called off when that is asked for.
async fn outcome_unless(
    mut handle: TicketHandle,
    timeout: Duration,
    call_off: &CancellationToken,
) -> Result<Outcome> {
    let deadline = Deadline::after(timeout);
    tokio::select! {
        outcome = handle.wait(timeout) => return outcome,
        () = call_off.cancelled() => {}
    }
    if let Err(error) = handle.cancel().await {
        // Its outcome tells what became of it.
        tracing::warn!(%error, "an import could not be called off");
    }
    handle.wait(deadline.left()).await
}

/// Gives objects to the commit, on a thread that may be blocked: a full sorter writes to disk.
async fn add(
    mut change: ChangeBuilder,
    objects: Vec<Foreign>,
    prefix: String,
) -> Result<ChangeBuilder> {
    let added = clock::on_other_thread(move || {
        for object in objects {
            let path = ObjectPath::new(format!("{prefix}{}", object.key))?;
            let put = Change::Put(entry(object));
            change.push(PathChange { path, change: put, condition: None })?;
        }
        Ok(change)
    });
    added.await?.map_err(|error: Error| error.context("nothing was imported"))
}

fn entry(object: Foreign) -> Entry {
    let mtime = object.modified_ms.div_euclid(1000);
    let checksum = object.e_tag.unwrap_or_else(|| format!("{}-{mtime}", object.size));
    Entry { mtime, ..Entry::new(object.address, object.size, checksum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_about_names_or_about_paths() {
        for (pattern, key, takes) in [
            ("*.csv", "a/b/c.csv", true),
            ("*.csv", "a.csv/b", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/**", "a/b/c", true),
            ("**/tmp/*", "x/y/tmp/z", true),
            ("**/tmp/*", "tmp/z", true),
            ("**", "a/b", true),
            ("[ab]?", "x/a1", true),
        ] {
            assert_eq!(matches(&Pattern::new(pattern).unwrap(), key), takes, "{pattern} {key}");
        }
    }
}
