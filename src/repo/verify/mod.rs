//! Verification: whether everything that can be reached is there, whole, and fits together.
//!
//! Read from the storage, past all caches that were warm before. Nothing is changed. Logs are
//! walked whole, those of ended branches too; runs and ranges only where a live branch or a tag
//! reaches them, because garbage collection takes the others away.
//!
//! Memory: 16 bytes for each distinct run and range, 10 bytes for each log entry, and a few MiB
//! for each of at most 16 reads under way.

mod content;
mod finding;
mod logs;
mod records;

use std::collections::{BTreeMap, HashSet};

use crate::commit::context::BranchContext;
use crate::commit::log::head::Head;
use crate::commit::log::lake::Lake;
use crate::commit::log::record::{BranchRecord, RepoRecord};
use crate::coord::HeadView;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{CommitId, Ticket};
use crate::model::life::RepoLife;
use crate::objects::{Objects, layout};

use super::handles::Repository;
use super::lives;
use super::reach::Needed;

use finding::{RECOVER, RESTORE_OR_RECOVER};

pub use finding::{Finding, FindingKind, VerifyEvent, VerifySummary};

/// Reads at the same time, at most.
const READS: usize = 16;

/// Objects with findings that are remembered, so that each is told once; beyond them some may be
/// told again.
const TOLD_MAX: usize = 65_536;

/// Names of commits in doubt that are kept until the logs have been walked; others are not told.
const DOUBTS_MAX: usize = 4096;

/// What to verify.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Whether to look, for every record that names an object below the repository's `data/`,
    /// whether that object is there and as long as recorded.
    pub data: bool,
}

/// Who is told.
type Told<'a> = &'a mut (dyn FnMut(VerifyEvent<'_>) + Send);

struct Verifier<'a> {
    repo: RepoLife,
    lake: Lake,
    told: Told<'a>,
    known: HashSet<String>,
    doubts: Vec<Doubt>,
    summary: VerifySummary,
}

/// A commit that object `namer` names and that cannot be had.
struct Doubt {
    id: CommitId,
    by: Needed,
    namer: String,
}

/// A ref and the content that it must have.
struct Root {
    needed: Needed,
    commit: CommitId,
    /// The whole head of a branch, which may be ahead of its newest commit.
    head: Option<Head>,
}

impl Repository {
    /// Verifies the repository and tells every finding, once for each object, and now and then how
    /// far it has come. Returns the summary; the repository is sound if it has no findings.
    ///
    /// Safe at any time, also under load. Costs a read of every log entry (two, where it can be
    /// reached), run and range. Fails with [`crate::ErrorKind::Unavailable`] when the storage or
    /// Redis cannot be asked, which says nothing about the repository.
    pub async fn verify(
        &self,
        options: VerifyOptions,
        told: &mut (dyn FnMut(VerifyEvent<'_>) + Send),
    ) -> Result<VerifySummary> {
        let coordinator = self.onward.coordinator();
        let repo = match self.live().await {
            Ok((life, _)) => life,
            // It is the newest one that has it.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                RepoRecord::newest_folder(coordinator.objects(), &self.name()?).await?
            }
            Err(error) => return Err(error),
        };
        // A lake of its own, with empty caches.
        let lake = coordinator.fresh_lake(&repo);
        let mut verifier = Verifier {
            repo: repo.clone(),
            lake,
            told,
            known: HashSet::new(),
            doubts: Vec::new(),
            summary: VerifySummary::default(),
        };
        verifier.repository().await?;
        let mut logs = lives::logs(&verifier.lake).await?;
        let lives = verifier.branches().await?;
        let mut roots = Vec::new();
        let mut ends = BTreeMap::new();
        for life in &lives {
            let Ok(record) = &life.record else { continue };
            logs.remove(&record.uid);
            let mut end = verifier.log(record.uid, Some(record)).await?;
            if life.live && !end.as_ref().is_some_and(|end| end.closed) {
                let context = coordinator.context(&repo, &life.name, record.uid);
                end = verifier.redis(&context, record, end).await?;
                roots.extend(verifier.root_of(record, end.clone()).await?);
            }
            ends.insert(record.uid, end.map(|end| end.done));
        }
        // What is left has no record.
        for uid in logs {
            let end = verifier.log(uid, None).await?;
            ends.insert(uid, end.map(|end| end.done));
        }
        roots.extend(verifier.tags().await?);
        verifier.settle_doubts();
        verifier.checkpoints(&ends).await?;
        verifier.content(roots, options.data).await?;
        verifier.progress();
        Ok(verifier.summary)
    }
}

impl Verifier<'_> {
    fn objects(&self) -> &Objects {
        self.lake.objects()
    }

    fn progress(&mut self) {
        (self.told)(VerifyEvent::Progress(&self.summary));
    }

    /// Tells a finding, unless its object was told before: one damage has many consequences, and
    /// only the first leads to its cause.
    fn tell(&mut self, finding: &Finding) {
        if self.known.contains(&finding.key) {
            return;
        }
        if self.known.len() < TOLD_MAX {
            self.known.insert(finding.key.clone());
        }
        self.summary.findings += 1;
        (self.told)(VerifyEvent::Finding(finding));
    }

    /// Tells what an error says about an object; an error that says nothing about it is returned.
    async fn tell_error(
        &mut self,
        key: String,
        what: &str,
        error: Error,
        needed: Option<&Needed>,
    ) -> Result<()> {
        if !error.is_permanent() {
            return Err(error);
        }
        let mut finding = match self.objects().size(&key).await? {
            None => Finding::new(FindingKind::Missing, key, format!("{what} is not there")),
            Some(_) => Finding::new(
                FindingKind::Corrupt,
                key,
                format!("{what} cannot be read: {}", error.message()),
            ),
        };
        if let Some(needed) = needed {
            finding = finding.needed_by(needed);
        }
        self.tell(&finding);
        Ok(())
    }

    /// The generation of a commit that object `namer` names. Where the commit cannot be had, that is
    /// a doubt, to be settled when all logs have been walked.
    async fn generation_of(
        &mut self,
        id: &CommitId,
        by: &Needed,
        namer: &str,
    ) -> Result<Option<u64>> {
        match self.lake.commit(id).await {
            Ok(commit) => Ok(Some(commit.generation)),
            Err(error) if error.is_permanent() => {
                if self.doubts.len() < DOUBTS_MAX {
                    let (id, by, namer) = (*id, by.clone(), namer.to_owned());
                    self.doubts.push(Doubt { id, by, namer });
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells who names commits that are not in the log. Where the log itself lacks the entry, that
    /// has been told of the entry.
    fn settle_doubts(&mut self) {
        for Doubt { id, by, namer } in std::mem::take(&mut self.doubts) {
            let entry = layout::log_entry(&self.repo, id.uid(), id.first_ticket());
            if self.known.contains(&entry) {
                continue;
            }
            let meaning = format!("it names commit {id}, which is not in the log");
            self.tell(&Finding::new(FindingKind::Inconsistent, namer, meaning).needed_by(&by));
            self.known.insert(entry);
        }
    }

    /// Where a live branch leads, unless it leads to a commit that is not there.
    async fn root_of(&mut self, record: &BranchRecord, head: Option<Head>) -> Result<Option<Root>> {
        let needed = Needed::by(record.name.as_str());
        let key = layout::branch(&self.repo, &record.name, record.incarnation);
        let commit = match &head {
            Some(head) => head.commit,
            None => record.start,
        };
        let Some(commit) = commit else { return Ok(None) };
        let there = self.generation_of(&commit, &needed, &key).await?.is_some();
        Ok(there.then_some(Root { needed, commit, head }))
    }

    /// What the newest entry of a branch in Redis says, against the log. Returns the end of the
    /// log, which may have moved on.
    async fn redis(
        &mut self,
        context: &BranchContext,
        record: &BranchRecord,
        end: Option<Head>,
    ) -> Result<Option<Head>> {
        let Some(view) = context.look(0).await?.given() else { return Ok(end) };
        let done = end.as_ref().map_or(0, |end| end.done);
        if view.head.done <= done {
            self.same_history(context, record, &view.head).await?;
            return Ok(end);
        }
        // Others may have decided since the log was walked.
        let end = self.follow(record, end).await?;
        let done = end.as_ref().map_or(0, |end| end.done);
        if view.head.done > done {
            let first = Ticket(view.head.position);
            let key = layout::log_entry(&self.repo, record.uid, first);
            let meaning = format!(
                "Redis has published tickets up to {} of branch '{}', the log ends at {done}: acknowledged commits are not in the log",
                view.head.done, record.name
            );
            let needed = Needed { commit: view.head.commit, ..Needed::by(record.name.as_str()) };
            let mut finding = Finding::new(FindingKind::Missing, key, meaning).needed_by(&needed);
            finding.advice = RESTORE_OR_RECOVER;
            self.tell(&finding);
        } else {
            self.same_history(context, record, &view.head).await?;
        }
        Ok(end)
    }

    /// Whether the head in Redis is the one that the log has there: places alone are the same in two
    /// histories of one length.
    async fn same_history(
        &mut self,
        context: &BranchContext,
        record: &BranchRecord,
        shown: &HeadView,
    ) -> Result<()> {
        if shown.position == 0 {
            return Ok(());
        }
        let position = Ticket(shown.position);
        let meaning = match self.lake.entry(record.uid, position).await {
            Ok(Some(entry)) => match Head::after(&entry)? {
                head if head.is_shown_by(shown) => return Ok(()),
                head => head.differs_from(shown),
            },
            Ok(None) => format!("Redis names a log entry {position}, and the log has none there"),
            // Told where the log was walked.
            Err(error) if error.is_permanent() => return Ok(()),
            Err(error) => return Err(error),
        };
        let key = context.redis.keys().head.clone();
        let needed = Needed { commit: shown.commit, ..Needed::by(record.name.as_str()) };
        let mut finding = Finding::new(
            FindingKind::Inconsistent,
            key,
            format!(
                "Redis and the log of branch '{}' are of different histories: {meaning}",
                record.name
            ),
        );
        finding.advice = RECOVER;
        self.tell(&finding.needed_by(&needed));
        Ok(())
    }
}
