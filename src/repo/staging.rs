//! Staging: changes on a branch that nobody has committed yet.
//!
//! A staged write is one atomic call. Staged changes live in Redis alone, with the durability
//! configured there.

use std::sync::Arc;

use bytes::Bytes;

use crate::clock;
use crate::commit::context::BranchContext;
use crate::commit::mend::restore::restore;
use crate::coord::Answer;
use crate::coord::areas::Area;
use crate::coord::staging::{
    Bound, PAGE_MAX, STAGE_MAX, Seen, Stage, StagedPage, StagedValue, Wanted, Which,
};
use crate::model::change::{Change, Condition, PathChange, decode_value, encode_value};
use crate::model::entry::Entry;
use crate::model::error::{Error, Result};
use crate::model::path::ObjectPath;
use crate::objects::layout;
use crate::tree::{Position, ScanStart};

use super::branch::LOOKS;
use super::glance::{Glance, Glanced};
use super::handles::Branch;
use super::overlay::text_behind_prefix;
use super::protection::Action;

/// Staged paths per branch, at most: they live in Redis's memory.
pub const STAGED_MAX: u64 = 4_000_000;

/// Attempts of a conditional write while the branch moves under it.
const ATTEMPTS: usize = 64;

/// What paths name on a branch at one moment, and what that rests on.
pub(super) struct Current {
    pub(super) context: BranchContext,
    pub(super) glance: Arc<Glance>,
    /// What is staged of the paths.
    pub(super) staged: Vec<StagedValue>,
    /// What each path names, in order.
    pub(super) entries: Vec<Option<Entry>>,
}

impl Branch {
    /// Stages changes, in calls of at most [`STAGE_MAX`]; each call is all or none. Fails with
    /// [`crate::ErrorKind::Forbidden`] on a branch that is protected from it.
    pub async fn stage(&self, changes: &[PathChange]) -> Result<()> {
        self.check_protection(Action::Stage).await?;
        for chunk in changes.chunks(STAGE_MAX) {
            let plain = chunk.iter().all(|change| change.condition.is_none());
            if plain {
                self.stage_plain(chunk).await?;
            } else {
                self.stage_conditional(chunk).await?;
            }
        }
        Ok(())
    }

    /// Stages a put of one path.
    pub async fn stage_put(
        &self,
        path: ObjectPath,
        entry: Entry,
        condition: Option<Condition>,
    ) -> Result<()> {
        self.stage(&[PathChange { path, change: Change::Put(entry), condition }]).await
    }

    /// Stages a delete of one path.
    pub async fn stage_delete(&self, path: ObjectPath, condition: Option<Condition>) -> Result<()> {
        self.stage(&[PathChange { path, change: Change::Delete, condition }]).await
    }

    /// Uploads the bytes of `reader` into the repository and returns their entry, not staged yet.
    /// Refused where staging is.
    pub async fn upload(&self, reader: impl tokio::io::AsyncRead + Send) -> Result<Entry> {
        self.check_protection(Action::Stage).await?;
        let repo = self.repo.name()?;
        let objects = self.repo.onward.coordinator().objects();
        let key = layout::data(&repo, clock::random_u128());
        let uploaded = objects.upload(&key, reader, self.repo.onward.inner.checksum).await?;
        let mut entry = Entry::new(objects.address(&key), uploaded.size, uploaded.checksum);
        entry.mtime = clock::now_ms() / 1000;
        Ok(entry)
    }

    /// Removes what [`Branch::upload`] wrote and nothing names. What cannot be removed is for the
    /// garbage collection.
    pub async fn withdraw(&self, entry: &Entry) {
        let Some(key) = self.repo.data_key(entry) else { return };
        if let Err(error) = self.repo.onward.coordinator().objects().delete(key).await {
            tracing::warn!(key, %error, "an upload that nothing names stays");
        }
    }

    /// Fails with [`crate::ErrorKind::Conflict`] when a condition does not hold of what `path` names
    /// now, staged changes included.
    pub async fn check_condition(&self, path: &ObjectPath, condition: &Condition) -> Result<()> {
        let current = self.current(std::slice::from_ref(path)).await?;
        check_one(path, condition, current.entries.first().and_then(Option::as_ref))
    }

    async fn stage_plain(&self, changes: &[PathChange]) -> Result<()> {
        let values = encode(changes)?;
        for _ in 0..LOOKS {
            let context = self.context().await?;
            let call = clock::new_op_id();
            match context.redis.stage(call, STAGED_MAX, &values, None).await? {
                Answer::Absent => restore(&context).await.map(drop)?,
                Answer::Ended => self.gone(&context).await?,
                Answer::Given(Stage::Written) => return Ok(()),
                Answer::Given(Stage::Full) => return Err(full()),
                Answer::Given(Stage::Moved) => {
                    return Err(Error::internal("an unconditional write was told to look again"));
                }
            }
        }
        Err(self.not_there())
    }

    /// Judges the conditions by what the branch shows, then writes if nothing of that has moved.
    async fn stage_conditional(&self, changes: &[PathChange]) -> Result<()> {
        let values = encode(changes)?;
        for _ in 0..ATTEMPTS {
            let (context, seen, current) = self.see(changes).await?;
            check(changes, &current)?;
            let call = clock::new_op_id();
            match context.redis.stage(call, STAGED_MAX, &values, Some(&seen)).await? {
                Answer::Absent => restore(&context).await.map(drop)?,
                Answer::Ended => self.gone(&context).await?,
                Answer::Given(Stage::Written) => return Ok(()),
                Answer::Given(Stage::Moved) => {}
                Answer::Given(Stage::Full) => return Err(full()),
            }
        }
        Err(Error::unavailable(format!(
            "the branch moved {ATTEMPTS} times under a conditional write: try again, or commit the change with its condition, which is decided in its turn"
        )))
    }

    /// What the paths name now, staged changes included, and what that rests on.
    async fn see(
        &self,
        changes: &[PathChange],
    ) -> Result<(BranchContext, Seen, Vec<Option<Entry>>)> {
        let paths: Vec<ObjectPath> = changes.iter().map(|change| change.path.clone()).collect();
        let Current { context, glance, staged, entries } = self.current(&paths).await?;
        let staged = |path: &ObjectPath| -> Option<Bytes> {
            let found = staged.iter().find(|value| value.path == path.as_str());
            found.map(|value| value.value.clone())
        };
        let values = paths.iter().map(staged).collect();
        let seen = Seen { done: glance.head.done, areas: glance.areas.len(), values };
        Ok((context, seen, entries))
    }

    /// What paths name now, staged over sealed over committed, from one moment.
    pub(super) async fn current(&self, paths: &[ObjectPath]) -> Result<Current> {
        let (context, glance, staged) = self.glance(paths).await?;
        let mut found: Vec<Option<Change>> = vec![None; paths.len()];
        take(&mut found, paths, &staged)?;
        for Area { id, .. } in glance.areas.iter().rev() {
            if found.iter().all(Option::is_some) {
                break;
            }
            let wanted = Wanted::Paths(&strs(paths));
            let which = Which::Area(*id);
            if let Answer::Given(area) = context.redis.staged(which, wanted).await? {
                take(&mut found, paths, &area.values)?;
            }
        }
        let mut entries = Vec::with_capacity(paths.len());
        for (path, found) in paths.iter().zip(found) {
            entries.push(match found {
                Some(change) => change.entry().cloned(),
                None => context.lake.tree().get(&glance.metarange, path).await?,
            });
        }
        Ok(Current { context, glance, staged, entries })
    }

    /// The branch as it is, with what is staged of `paths`. A branch that Redis has lost is put
    /// back first.
    async fn glance(
        &self,
        paths: &[ObjectPath],
    ) -> Result<(BranchContext, Arc<Glance>, Vec<StagedValue>)> {
        for _ in 0..LOOKS {
            let context = self.synced().await?;
            let glances = self.repo.onward.inner.glances(&context);
            match glances.look(paths.to_vec()).await? {
                Glanced::There(glance, staged) => return Ok((context, glance, staged)),
                Glanced::Deleted => self.gone(&context).await?,
                Glanced::Absent => restore(&context).await.map(drop)?,
            }
        }
        Err(self.not_there())
    }

    /// A page of what is staged, with the head of the same moment. A branch that Redis has lost
    /// is put back first.
    pub(super) async fn staged_page(
        &self,
        wanted: Wanted<'_>,
    ) -> Result<(BranchContext, StagedPage)> {
        for _ in 0..LOOKS {
            let context = self.synced().await?;
            match context.redis.staged(Which::Staged, wanted.clone()).await? {
                Answer::Absent => restore(&context).await.map(drop)?,
                Answer::Ended => self.gone(&context).await?,
                Answer::Given(page) => return Ok((context, page)),
            }
        }
        Err(self.not_there())
    }

    /// What is staged, in path order, from behind `after` on: at most `limit` changes. Changes
    /// that a commit has already taken are not shown. A page has at most 1,000.
    pub async fn status(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<PathChange>> {
        let start = ScanStart::prefix(prefix);
        let start = match after {
            Some(after) => start.after(after),
            None => start,
        };
        self.staged_from(&start, limit).await
    }

    /// The same, from some path on.
    pub(super) async fn staged_from(
        &self,
        start: &ScanStart,
        limit: usize,
    ) -> Result<Vec<PathChange>> {
        let limit = limit.min(PAGE_MAX);
        let prefix = start.prefix.as_str();
        let from = match &start.position {
            Position::After(after) if after.as_str() >= prefix => Bound::Behind(after.clone()),
            Position::At(at) if at.as_str() >= prefix => Bound::At(at.clone()),
            _ => Bound::At(prefix.to_owned()),
        };
        let (context, page) = self.staged_page(Wanted::From(&from, limit)).await?;
        let mut merged = std::collections::BTreeMap::new();
        for Area { id, .. } in page.areas.iter().filter(|area| area.owner.is_none()) {
            let wanted = Wanted::From(&from, limit);
            let which = Which::Area(*id);
            let area = context.redis.staged(which, wanted).await?.given();
            for value in area.map(|area| area.values).unwrap_or_default() {
                merged.insert(value.path, value.value);
            }
        }
        merged.extend(page.values.into_iter().map(|value| (value.path, value.value)));
        merged
            .into_iter()
            .take_while(|(path, _)| path.starts_with(prefix))
            .take(limit)
            .map(|(path, value)| {
                let (change, condition) = decode_value(&value)?;
                Ok(PathChange { path: ObjectPath::new(path)?, change, condition })
            })
            .collect()
    }

    /// Takes staged changes back: of all paths that begin with `prefix` (all, where it is empty),
    /// or of exactly one path. Returns how many.
    pub async fn reset(&self, prefix: &str, exactly: bool) -> Result<u64> {
        let (from, to) = if exactly {
            (Bound::At(prefix.to_owned()), Bound::At(prefix.to_owned()))
        } else {
            let to = text_behind_prefix(prefix).map_or(Bound::Open, Bound::Before);
            (Bound::At(prefix.to_owned()), to)
        };
        let (context, page) = self.staged_page(Wanted::Paths(&[])).await?;
        let mut areas: Vec<Which> = page
            .areas
            .iter()
            .filter(|area| area.owner.is_none())
            .map(|area| Which::Area(area.id))
            .collect();
        areas.push(Which::Staged);
        let mut total = 0;
        for which in areas {
            while let Some(count @ 1..) = context.redis.unstage(which, &from, &to).await? {
                total += count;
            }
        }
        Ok(total)
    }
}

fn strs(paths: &[ObjectPath]) -> Vec<&str> {
    paths.iter().map(ObjectPath::as_str).collect()
}

fn encode(changes: &[PathChange]) -> Result<Vec<StagedValue>> {
    changes
        .iter()
        .map(|change| {
            if let Change::Put(entry) = &change.change {
                entry.check().map_err(|error| error.context(format!("path '{}'", change.path)))?;
            }
            let mut value = Vec::new();
            encode_value(&change.change, None, &mut value);
            Ok(StagedValue { path: change.path.to_string(), value: value.into() })
        })
        .collect()
}

/// Fills in changes of paths that have none yet.
fn take(found: &mut [Option<Change>], paths: &[ObjectPath], values: &[StagedValue]) -> Result<()> {
    for (slot, path) in found.iter_mut().zip(paths).filter(|(slot, _)| slot.is_none()) {
        if let Some(value) = values.iter().find(|value| value.path == path.as_str()) {
            *slot = Some(decode_value(&value.value)?.0);
        }
    }
    Ok(())
}

fn check(changes: &[PathChange], current: &[Option<Entry>]) -> Result<()> {
    for (change, current) in changes.iter().zip(current) {
        if let Some(condition) = &change.condition {
            check_one(&change.path, condition, current.as_ref())?;
        }
    }
    Ok(())
}

fn check_one(path: &ObjectPath, condition: &Condition, current: Option<&Entry>) -> Result<()> {
    if condition.holds(current) {
        return Ok(());
    }
    Err(Error::conflict(match (condition, current) {
        (Condition::Absent, _) => {
            format!("'{path}' exists: the write asked for it to be absent")
        }
        (Condition::Checksum(wanted), None) => {
            format!("'{path}' does not exist: the write asked for checksum {wanted}")
        }
        (Condition::Checksum(wanted), Some(entry)) => {
            format!("'{path}' has checksum {}: the write asked for {wanted}", entry.checksum)
        }
    }))
}

fn full() -> Error {
    Error::new(
        crate::ErrorKind::Overloaded { retry_after: std::time::Duration::from_secs(1) },
        format!("the staging area holds {STAGED_MAX} changes: commit them first"),
    )
}
