//! The small objects: the repository's record, branches, tags, checkpoints.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;

use crate::commit::log::record::{RepoRecord, decode};
use crate::commit::mend::restore::Checkpoint;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{BranchUid, CommitId, Ticket};
use crate::objects::layout;

use super::super::lives::{self, Life};
use super::super::reach::Needed;
use super::finding::{DROP_CHECKPOINT, Finding, FindingKind};
use super::{Root, Verifier};

impl Verifier<'_> {
    /// The repository's record. Without it there is no repository, which is an error.
    pub(super) async fn repository(&mut self) -> Result<()> {
        let key = layout::repo(&self.repo);
        match RepoRecord::of(self.objects(), &self.repo).await {
            Ok(Some(record)) if record.name == *self.repo.name() => Ok(()),
            Ok(Some(record)) => {
                let meaning = format!("it is the record of repository '{}'", record.name);
                self.tell(&Finding::new(FindingKind::Inconsistent, key, meaning));
                Ok(())
            }
            Ok(None) => Err(Error::not_found(format!("object '{key}' is missing"))),
            Err(error) => self.tell_error(key, "the record of the repository", error, None).await,
        }
    }

    /// Every incarnation of every branch.
    pub(super) async fn branches(&mut self) -> Result<Vec<Life>> {
        let mut lives = lives::all(&self.lake).await?;
        let mut uids = BTreeSet::new();
        for life in &mut lives {
            let key = layout::branch(&self.repo, &life.name, life.incarnation);
            let needed = Needed::by(life.name.as_str());
            match &life.record {
                Err(error) => {
                    let what = format!("the record of branch '{}'", life.name);
                    self.tell_error(key, &what, error.again(), Some(&needed)).await?;
                }
                Ok(record) if !uids.insert(record.uid) => {
                    let meaning = format!("another branch has its uid {}", record.uid);
                    self.tell(&Finding::new(FindingKind::Inconsistent, key, meaning));
                }
                Ok(record) => {
                    if let Some(start) = record.start {
                        self.generation_of(&start, &needed, &key).await?;
                    }
                }
            }
        }
        Ok(lives)
    }

    /// Every tag. Returns those whose commit is there.
    pub(super) async fn tags(&mut self) -> Result<Vec<Root>> {
        let mut listed = self.objects().list(&layout::tags_dir(&self.repo), None);
        let mut roots = Vec::new();
        while let Some(tag) = listed.try_next().await? {
            let Some(name) = layout::parse_tag(&tag.key) else { continue };
            // It may have been deleted since it was listed.
            let Some(bytes) = self.objects().get(&tag.key).await? else { continue };
            let needed = Needed::by(name.as_str());
            match decode::<CommitId>(&tag.key, &bytes) {
                Ok(commit) => {
                    if self.generation_of(&commit, &needed, &tag.key).await?.is_some() {
                        roots.push(Root { needed, commit, head: None });
                    }
                }
                Err(error) => {
                    let what = format!("tag '{name}'");
                    self.tell_error(tag.key, &what, error, Some(&needed)).await?;
                }
            }
        }
        Ok(roots)
    }

    /// Every checkpoint, against the ends of the logs.
    pub(super) async fn checkpoints(
        &mut self,
        ends: &BTreeMap<BranchUid, Option<u64>>,
    ) -> Result<()> {
        let mut listed = self.objects().list(&layout::checkpoints_dir(&self.repo), None);
        while let Some(object) = listed.try_next().await? {
            let Some(uid) = layout::parse_checkpoint(&object.key) else { continue };
            let Some(bytes) = self.objects().get(&object.key).await? else { continue };
            let found = match Checkpoint::decode(&bytes) {
                Err(error) if error.kind() == ErrorKind::NewerVersion => {
                    return Err(error.context(format_args!("object '{}'", object.key)));
                }
                Err(_) => Some((FindingKind::Corrupt, "the checkpoint cannot be read".to_owned())),
                Ok(checkpoint) => self
                    .checkpoint_fits(uid, ends, &checkpoint)
                    .await?
                    .map(|why| (FindingKind::Inconsistent, why)),
            };
            if let Some((kind, meaning)) = found {
                let mut finding = Finding::new(kind, object.key, meaning);
                finding.advice = DROP_CHECKPOINT;
                self.tell(&finding);
            }
        }
        Ok(())
    }

    /// Why a checkpoint does not fit the entry it names, if it does not.
    async fn checkpoint_fits(
        &mut self,
        uid: BranchUid,
        ends: &BTreeMap<BranchUid, Option<u64>>,
        checkpoint: &Checkpoint,
    ) -> Result<Option<String>> {
        if !ends.contains_key(&uid) {
            return Ok(Some(format!("the checkpoint is of a branch {uid} that never was")));
        }
        let first = Ticket(checkpoint.position);
        let key = layout::log_entry(&self.repo, uid, first);
        let entry = match self.lake.entry(uid, first).await {
            Ok(entry) => entry,
            // Told already, where the log was walked.
            Err(error) if error.is_permanent() => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(entry) = entry else {
            let told = self.known.contains(&key);
            return Ok((!told).then(|| format!("the checkpoint names '{key}', which is not there")));
        };
        let fits = entry.last().0 == checkpoint.done
            && entry.head_after()?.0 == checkpoint.commit
            && entry.closes == checkpoint.closed;
        Ok((!fits)
            .then(|| format!("the checkpoint says of '{key}' what it does not say of itself")))
    }
}
