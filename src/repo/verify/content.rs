//! Runs and ranges: what the refs reach, each piece once.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::commit::log::entry::LogEntry;
use crate::model::error::{Error, Result};
use crate::model::ids::CommitId;
use crate::model::life::RepoLife;
use crate::objects::{Objects, layout};
use crate::tree::{RangeRef, RunPlace, RunRef, Tree};

use super::super::data::DataNames;
use super::super::reach::{Lost, Needed, Reach, Reached, Step};
use super::finding::{Finding, FindingKind};
use super::{READS, Root, Verifier};

/// What the refs reach, as far as it was looked at.
struct Content {
    /// Runs and ranges met before, by what their references say.
    seen: HashSet<[u8; 16]>,
    reads: JoinSet<Checked>,
    data: Option<Data>,
}

/// What came of reading one range.
struct Checked {
    range: RangeRef,
    needed: Needed,
    found: Result<RangeRef>,
    objects: Result<Looked>,
}

/// What came of looking for uploaded objects.
#[derive(Default)]
struct Looked {
    objects: u64,
    findings: Vec<Finding>,
}

/// How uploaded objects are looked for.
#[derive(Clone)]
struct Data {
    repo: RepoLife,
    names: DataNames,
    objects: Objects,
    /// Looks at the same time, over all ranges.
    permits: Arc<Semaphore>,
}

impl Verifier<'_> {
    /// Everything that the roots reach.
    pub(super) async fn content(&mut self, roots: Vec<Root>, data: bool) -> Result<()> {
        let data = data.then(|| Data {
            repo: self.repo.clone(),
            names: DataNames::new(&self.repo, self.objects()),
            objects: self.objects().clone(),
            permits: Arc::new(Semaphore::new(READS)),
        });
        let mut content = Content { seen: HashSet::new(), reads: JoinSet::new(), data };
        let mut reach = Reach::new(self.lake.clone());
        for root in roots {
            reach.add(root.commit, root.needed.clone());
            let Some(head) = root.head else { continue };
            let needed = Needed { commit: head.commit, ..root.needed };
            let carrier = head.position.map(|first| layout::log_entry(&self.repo, head.uid, first));
            for level in &head.metarange.levels {
                self.run(&mut content, &level.run, &needed, carrier.clone()).await?;
            }
        }
        while let Some(step) = reach.next().await? {
            match step {
                Step::Reached(reached) => self.reached(&mut content, &reached).await?,
                Step::Lost(lost) => {
                    reach.pass_over(&lost);
                    self.lost(lost).await?;
                }
            }
            self.progress();
        }
        while let Some(checked) = content.reads.join_next().await {
            self.checked(checked).await?;
        }
        Ok(())
    }

    async fn lost(&mut self, lost: Lost) -> Result<()> {
        let key = layout::log_entry(&self.repo, lost.uid, lost.first);
        self.tell_error(key, "a log entry", lost.error, Some(&lost.needed)).await
    }

    async fn reached(&mut self, content: &mut Content, reached: &Reached) -> Result<()> {
        let entry: &LogEntry = &reached.entry;
        for (index, level) in reached.levels() {
            let commit: Option<CommitId> = entry.commit_id(usize::from(index))?;
            let needed = Needed { by: Arc::clone(&reached.needed.by), commit };
            let carrier = layout::log_entry(&self.repo, entry.uid, entry.first);
            self.run(content, &level.run, &needed, Some(carrier)).await?;
        }
        Ok(())
    }

    /// One level's run, if it was not met before. `carrier` is the object that holds the reference.
    async fn run(
        &mut self,
        content: &mut Content,
        run: &RunRef,
        needed: &Needed,
        carrier: Option<String>,
    ) -> Result<()> {
        if !content.seen.insert(mark(run)) {
            return Ok(());
        }
        self.summary.runs += 1;
        let ranges = match self.lake.tree().verify_list(run).await {
            Ok(ranges) => ranges,
            Err(error) => {
                let key = match &run.place {
                    RunPlace::Inline(at) => layout::log_entry(&self.repo, at.uid, at.first),
                    RunPlace::Stored { .. } => layout::run(&self.repo, run.id),
                    RunPlace::Ranges(_) => {
                        carrier.unwrap_or_else(|| layout::run(&self.repo, run.id))
                    }
                };
                let what = format!("the list of run {}", run.id);
                return self.tell_error(key, &what, error, Some(needed)).await;
            }
        };
        if let RunPlace::Inline(at) = run.place {
            self.summary.records += run.records;
            self.summary.bytes += run.bytes;
            if let Some(data) = content.data.clone() {
                let inline = self.lake.tree().store().read_inline(at).await?;
                let mut named = Vec::new();
                for record in inline.records() {
                    named.extend(data.names.exact(&record.value)?);
                }
                let looked = data.look(named, needed).await?;
                self.looked(looked);
            }
        }
        for range in ranges {
            if !content.seen.insert(range.fingerprint()) {
                continue;
            }
            while content.reads.len() >= READS {
                let Some(checked) = content.reads.join_next().await else { break };
                self.checked(checked).await?;
            }
            let (tree, data) = (self.lake.tree().clone(), content.data.clone());
            content.reads.spawn(check(tree, range, needed.clone(), data));
        }
        Ok(())
    }

    async fn checked(&mut self, joined: Result<Checked, tokio::task::JoinError>) -> Result<()> {
        let Checked { range, needed, found, objects } =
            joined.map_err(|error| Error::internal("a read was cut short").with_source(error))?;
        let key = layout::range(&self.repo, range.id);
        self.summary.ranges += 1;
        match found {
            Ok(found) if found == range => {
                self.summary.records += range.records;
                self.summary.bytes += range.bytes;
            }
            Ok(_) => {
                let meaning = "a run says of the range what it does not say of itself";
                let finding = Finding::new(FindingKind::Inconsistent, key, meaning);
                self.tell(&finding.needed_by(&needed));
            }
            Err(error) => self.tell_error(key, "a range", error, Some(&needed)).await?,
        }
        self.looked(objects?);
        self.progress();
        Ok(())
    }

    fn looked(&mut self, looked: Looked) {
        self.summary.objects += looked.objects;
        for finding in &looked.findings {
            self.tell(finding);
        }
    }
}

/// What tells a run from every other. The same records may lie inline at several places, and each
/// of them must be there.
fn mark(run: &RunRef) -> [u8; 16] {
    match &run.place {
        RunPlace::Inline(at) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&run.id.0);
            hasher.update(&at.uid.0.to_le_bytes());
            hasher.update(&at.first.0.to_le_bytes());
            hasher.update(&at.segment.to_le_bytes());
            crate::model::ids::first_16(&hasher.finalize())
        }
        RunPlace::Ranges(_) | RunPlace::Stored { .. } => run.id.0,
    }
}

async fn check(tree: Tree, range: RangeRef, needed: Needed, data: Option<Data>) -> Checked {
    let mut named = Vec::new();
    let visit = |_: &str, value: &[u8]| {
        if let Some(data) = &data {
            named.extend(data.names.exact(value)?);
        }
        Ok(())
    };
    let found = tree.verify_range_with(range.id, visit).await;
    let objects = match &data {
        Some(data) if found.is_ok() => data.look(named, &needed).await,
        _ => Ok(Looked::default()),
    };
    Checked { range, needed, found, objects }
}

impl Data {
    /// Looks for objects, each with its recorded size.
    async fn look(&self, named: Vec<(u128, u64)>, needed: &Needed) -> Result<Looked> {
        let mut looked = Looked { objects: named.len() as u64, findings: Vec::new() };
        let mut looks = futures::stream::iter(named)
            .map(|(id, size)| async move {
                let _permit = self.permits.acquire().await.map_err(|error| {
                    Error::internal("a look at an object was cut short").with_source(error)
                })?;
                let key = layout::data(&self.repo, id);
                let found = self.objects.size(&key).await;
                Ok::<_, Error>((key, size, found))
            })
            .buffer_unordered(READS);
        while let Some(look) = looks.next().await {
            let (key, size, found) = look?;
            let (kind, meaning) = match found {
                Ok(Some(found)) if found == size => continue,
                Ok(Some(found)) => (
                    FindingKind::Corrupt,
                    format!("an uploaded object has {found} bytes, {size} are recorded"),
                ),
                Ok(None) => (FindingKind::Missing, "an uploaded object is not there".to_owned()),
                Err(error) if error.is_permanent() => (FindingKind::Corrupt, error.to_string()),
                Err(error) => return Err(error),
            };
            looked.findings.push(Finding::new(kind, key, meaning).needed_by(needed));
        }
        Ok(looked)
    }
}
