//! Staging: changes on a branch that nobody has committed yet.
//!
//! A staged write is one atomic call. Staged changes live in Redis alone, with the durability
//! configured there.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::clock;
use crate::commit::context::BranchContext;
use crate::commit::mend::present::present;
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

use super::current::Current;
use super::handles::Branch;
use super::overlay::text_behind_prefix;
use super::protection::Action;

/// Staged paths per branch, at most: they live in Redis's memory.
pub const STAGED_MAX: u64 = 4_000_000;

/// Attempts of a conditional write while the branch moves under it.
const ATTEMPTS: usize = 64;

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

    async fn stage_plain(&self, changes: &[PathChange]) -> Result<()> {
        // One call, however often it is made: what it wrote is not written once more.
        let (call, values) = (clock::new_op_id(), &encode(changes)?);
        let ask = |context: BranchContext| async move {
            context.redis.stage(call, STAGED_MAX, values, None).await
        };
        match present(self, ask).await? {
            (_, Stage::Written) => Ok(()),
            (_, Stage::Full) => Err(full()),
            (_, Stage::Moved) => {
                Err(Error::internal("an unconditional write was told to look again"))
            }
        }
    }

    async fn stage_conditional(&self, changes: &[PathChange]) -> Result<()> {
        let values = &encode(changes)?;
        let ask = |context| async move { self.stage_if_it_holds(&context, changes, values).await };
        match present(self, ask).await? {
            (_, Stage::Written) => Ok(()),
            (_, Stage::Full) => Err(full()),
            (_, Stage::Moved) => Err(Error::unavailable(format!(
                "the branch moved {ATTEMPTS} times under a conditional write: try again, or commit the change with its condition, which is decided in its turn"
            ))),
        }
    }

    /// Judges the conditions by what the branch shows, then writes if nothing of that has moved.
    async fn stage_if_it_holds(
        &self,
        context: &BranchContext,
        changes: &[PathChange],
        values: &[StagedValue],
    ) -> Result<Answer<Stage>> {
        let paths: Vec<ObjectPath> = changes.iter().map(|change| change.path.clone()).collect();
        for _ in 0..ATTEMPTS {
            let current = match self.current_in(context, &paths).await?.given_or_none() {
                Ok(current) => current,
                Err(none) => return Ok(none),
            };
            check(changes, &current.entries)?;
            let (call, seen) = (clock::new_op_id(), seen(&paths, &current));
            match context.redis.stage(call, STAGED_MAX, values, Some(&seen)).await? {
                Answer::Given(Stage::Moved) => {}
                other => return Ok(other),
            }
        }
        Ok(Answer::Given(Stage::Moved))
    }

    /// A page of what is staged, with the head of the same moment.
    pub(super) async fn staged_page(
        &self,
        wanted: &Wanted<'_>,
    ) -> Result<(BranchContext, StagedPage)> {
        let ask = |context: BranchContext| async move {
            context.redis.staged(Which::Staged, wanted.clone()).await
        };
        present(self, ask).await
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

    /// Staged changes from some path on, in path order.
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
        let wanted = &Wanted::From(&from, limit);
        let ask = |context| async move { uncommitted(&context, wanted).await };
        let (_, page) = present(self, ask).await?;
        page.values
            .into_iter()
            .take_while(|value| value.path.starts_with(prefix))
            .take(limit)
            .map(|StagedValue { path, value }| {
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
        let (context, page) = self.staged_page(&Wanted::Paths(&[])).await?;
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

/// What is staged, over what was given back by commits that came to nothing.
async fn uncommitted(context: &BranchContext, wanted: &Wanted<'_>) -> Result<Answer<StagedPage>> {
    let mut page = match context.redis.staged(Which::Staged, wanted.clone()).await? {
        Answer::Given(page) => page,
        none => return Ok(none),
    };
    let mut merged = BTreeMap::new();
    let mut take = |values: Vec<StagedValue>| {
        merged.extend(values.into_iter().map(|value| (value.path, value.value)));
    };
    for Area { id, .. } in page.areas.iter().filter(|area| area.owner.is_none()) {
        match context.redis.staged(Which::Area(*id), wanted.clone()).await? {
            Answer::Given(area) => take(area.values),
            none => return Ok(none),
        }
    }
    take(page.values);
    page.values = merged.into_iter().map(|(path, value)| StagedValue { path, value }).collect();
    Ok(Answer::Given(page))
}

/// What a conditional write rests on.
fn seen(paths: &[ObjectPath], current: &Current) -> Seen {
    let staged = |path: &ObjectPath| -> Option<Bytes> {
        let found = current.staged.iter().find(|value| value.path == path.as_str());
        found.map(|value| value.value.clone())
    };
    let (done, areas) = (current.glance.head.done, current.glance.areas.len());
    Seen { done, areas, values: paths.iter().map(staged).collect() }
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
