//! Staging: changes on a branch that nobody has committed yet.
//!
//! A staged write is one atomic call. Staged changes live in Redis alone, with the durability
//! configured there.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::clock;
use crate::commit::context::BranchContext;
use crate::commit::mend::present::present;
use crate::coord::areas::Area;
use crate::coord::staging::{
    Bound, NAMED_MAX, PAGE_MAX, STAGE_BYTES, STAGE_MAX, Seen, Stage, StagedPage, StagedValue,
    Wanted, Which,
};
use crate::coord::{Answer, HeadView};
use crate::model::change::{Change, Condition, PathChange, decode_value, encode_value};
use crate::model::entry::Entry;
use crate::model::error::{Error, Result};
use crate::model::path::ObjectPath;
use crate::objects::{Objects, layout};
use crate::tree::{Position, ScanStart};

use super::current::{Asked, Current};
use super::handles::Branch;
use super::named_lives::NamedLives;
use super::overlay::{Window, text_behind_prefix};
use super::protection::Action;
use super::write_policy::Written;

/// Staged paths per branch, at most: they live in Redis's memory.
pub const STAGED_MAX: u64 = 4_000_000;

/// Attempts of a conditional write while the branch moves under it.
const ATTEMPTS: usize = 64;

impl Branch {
    /// Stages changes, in calls of at most 500, or 128 with conditions or removals among them, and 1 MiB;
    /// each call is all or none. A removal of what
    /// the branch does not have leaves nothing behind: what was only staged is taken back. Fails with
    /// [`crate::ErrorKind::Forbidden`] on a branch that is protected from it, and with
    /// [`crate::ErrorKind::InvalidInput`] where an entry names an object of an earlier life of the
    /// repository.
    pub async fn stage(&self, changes: &[PathChange]) -> Result<()> {
        self.check_protection(Action::Stage).await?;
        let named = &self.named_lives(changes)?;
        for chunk in in_calls(changes) {
            if chunk.iter().all(is_plain) {
                self.stage_plain(chunk, named).await?;
            } else {
                self.stage_judged(chunk, named).await?;
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
        self.take(reader).await
    }

    /// As [`Branch::upload`], of what is then written to `path` by the rules of writing: refused where
    /// that is.
    #[doc(hidden)]
    pub async fn upload_for(
        &self,
        path: &ObjectPath,
        reader: impl tokio::io::AsyncRead + Send,
    ) -> Result<Entry> {
        self.check_protection(match self.written(path).await? {
            Written::Staged => Action::Stage,
            Written::Committed => Action::Commit,
        })
        .await?;
        self.take(reader).await
    }

    async fn take(&self, reader: impl tokio::io::AsyncRead + Send) -> Result<Entry> {
        let life = self.repo.life().await?;
        let objects = self.repo.onward.coordinator().objects();
        let key = layout::data(&life, new_data_id(objects));
        let uploaded = objects.upload(&key, reader, self.repo.onward.inner.checksum).await?;
        self.repo.onward.coordinator().faults().pass("uploaded").await?;
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

    /// Stages changes as they are, wherever the branch stands.
    async fn stage_plain(&self, changes: &[PathChange], named: &NamedLives) -> Result<()> {
        // One call, however often it is made: what it wrote is not written once more.
        let (call, values) = (clock::new_op_id(), &encode(&newest(changes))?);
        let ask = |context: BranchContext| async move {
            self.check_named(&context, named).await?;
            context.redis.stage(call, STAGED_MAX, values, None).await
        };
        match present(self, ask).await? {
            (_, Stage::Written | Stage::Needless) => Ok(()),
            (_, Stage::Full) => Err(full()),
            (_, Stage::Moved) => {
                Err(Error::internal("an unconditional write was told to look again"))
            }
        }
    }

    /// Stages changes with conditions, and removals, by where the branch stands.
    async fn stage_judged(&self, changes: &[PathChange], named: &NamedLives) -> Result<()> {
        let newest = &newest(changes);
        let ask = |context| async move {
            self.check_named(&context, named).await?;
            self.stage_where_seen(&context, changes, newest).await
        };
        match present(self, ask).await?.1.0 {
            Stage::Written | Stage::Needless => Ok(()),
            Stage::Full => Err(full()),
            // A tombstone is right wherever the branch stands, and perhaps needless.
            Stage::Moved if changes.iter().all(|change| change.condition.is_none()) => {
                self.stage_plain(changes, named).await
            }
            Stage::Moved => Err(Error::unavailable(format!(
                "the branch moved {ATTEMPTS} times under a conditional write: try again, or commit the change with its condition, which is decided in its turn"
            ))),
        }
    }

    /// Judges changes by what the branch shows, then writes the newest of each path if nothing of that
    /// has moved.
    async fn stage_where_seen(
        &self,
        context: &BranchContext,
        changes: &[PathChange],
        newest: &[PathChange],
    ) -> Result<Answer<(Stage, Option<HeadView>)>> {
        let paths: Vec<ObjectPath> = newest.iter().map(|change| change.path.clone()).collect();
        for _ in 0..ATTEMPTS {
            let looked = self.current_in(context, &paths, Asked::EntriesAndBelow).await?;
            let current = match looked.given_or_none() {
                Ok(current) => current,
                Err(none) => return Ok(none),
            };
            check(changes, &paths, &current.entries)?;
            let (values, seen) = judged(newest, &current)?;
            if values.is_empty() {
                let head = Some(current.glance.head.clone());
                return Ok(Answer::Given((Stage::Needless, head)));
            }
            let call = clock::new_op_id();
            match context.redis.stage(call, STAGED_MAX, &values, Some(&seen)).await? {
                Answer::Given(Stage::Moved) => {}
                other => return Ok(other.map(|stage| (stage, None))),
            }
        }
        Ok(Answer::Given((Stage::Moved, None)))
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

    /// Staged changes from some path on, in path order, as [`Branch::status`] has them.
    #[doc(hidden)]
    pub async fn staged_from(&self, start: &ScanStart, limit: usize) -> Result<Vec<PathChange>> {
        let limit = limit.min(PAGE_MAX);
        let prefix = start.prefix.as_str();
        let mut from = match &start.position {
            Position::After(after) if after.as_str() >= prefix => Bound::Behind(after.clone()),
            Position::At(at) if at.as_str() >= prefix => Bound::At(at.clone()),
            _ => Bound::At(prefix.to_owned()),
        };
        let mut found = Vec::new();
        loop {
            let wanted = &Wanted::From(&from, limit - found.len());
            let ask = |context| async move { uncommitted(&context, wanted).await };
            let StagedPage { values, more, .. } = present(self, ask).await?.1;
            let last = values.last().map(|value| value.path.clone());
            for StagedValue { path, value } in values {
                if !path.starts_with(prefix) || found.len() == limit {
                    return Ok(found);
                }
                let (change, condition) = decode_value(&value)?;
                found.push(PathChange { path: ObjectPath::new(path)?, change, condition });
            }
            match last.filter(|_| more && found.len() < limit) {
                Some(last) => from = Bound::Behind(last),
                None => return Ok(found),
            }
        }
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

/// An id for what is uploaded. Its first byte names the folder: on local files that of the second, so that
/// those who upload at the same time share a sync; elsewhere any, so that they share no part of a service.
fn new_data_id(objects: &Objects) -> u128 {
    let id = clock::random_u128();
    match objects.shares_syncs() {
        true => id >> 8 | u128::from((clock::now_ms() / 1000) as u8) << 120,
        false => id,
    }
}

/// What is staged, over what was given back by commits that came to nothing.
async fn uncommitted(context: &BranchContext, wanted: &Wanted<'_>) -> Result<Answer<StagedPage>> {
    let mut page = match context.redis.staged(Which::Staged, wanted.clone()).await? {
        Answer::Given(page) => page,
        none => return Ok(none),
    };
    let mut window = Window::default();
    for Area { id, .. } in page.areas.iter().filter(|area| area.owner.is_none()) {
        match context.redis.staged(Which::Area(*id), wanted.clone()).await? {
            Answer::Given(area) => window.take(area.values, area.more),
            none => return Ok(none),
        }
    }
    window.take(page.values, page.more);
    let window = window.cut();
    page.more = window.until.is_some();
    let values = window.changes.into_iter().map(|(path, value)| StagedValue { path, value });
    page.values = values.collect();
    Ok(Answer::Given(page))
}

/// Whether a change is written as it is, whatever there is.
fn is_plain(change: &PathChange) -> bool {
    change.condition.is_none() && change.change != Change::Delete
}

/// Changes in their order, as many in a call as it may carry.
fn in_calls(changes: &[PathChange]) -> Vec<&[PathChange]> {
    let mut calls = Vec::new();
    let (mut from, mut bytes, mut all_plain) = (0, 0, true);
    for (index, change) in changes.iter().enumerate() {
        let len = change.path.as_str().len() + change.change.entry().map_or(0, Entry::encoded_len);
        (bytes, all_plain) = (bytes + len, all_plain && is_plain(change));
        let most = if all_plain { STAGE_MAX } else { NAMED_MAX };
        if index > from && (bytes > STAGE_BYTES || index - from >= most) {
            calls.extend(changes.get(from..index));
            (from, bytes, all_plain) = (index, len, is_plain(change));
        }
    }
    calls.extend(changes.get(from..).filter(|rest| !rest.is_empty()));
    calls
}

/// The last change of each path.
fn newest(changes: &[PathChange]) -> Vec<PathChange> {
    let mut last: BTreeMap<&ObjectPath, &PathChange> = BTreeMap::new();
    last.extend(changes.iter().map(|change| (&change.path, change)));
    last.into_values().cloned().collect()
}

/// What is to be written, of changes whose conditions hold, and what that rests on. What would take away
/// what is not there is left out, or takes out what is staged.
fn judged(newest: &[PathChange], current: &Current) -> Result<(Vec<StagedValue>, Seen)> {
    let staged: HashMap<&str, &Bytes> =
        current.staged.iter().map(|value| (value.path.as_str(), &value.value)).collect();
    let (mut values, mut seen) = (Vec::new(), Vec::new());
    for ((change, value), below) in newest.iter().zip(encode(newest)?).zip(&current.below) {
        let now = staged.get(change.path.as_str()).map(|value| Bytes::clone(value));
        let is_needless = change.change == Change::Delete && below.is_none();
        if is_needless && now.is_none() {
            continue;
        }
        let value = if is_needless { Bytes::new() } else { value.value };
        values.push(StagedValue { path: change.path.to_string(), value });
        seen.push(now);
    }
    let (done, areas) = (current.glance.head.done, current.glance.areas.len());
    let strict = newest.iter().any(|change| change.change == Change::Delete);
    Ok((values, Seen { done, areas, values: seen, strict }))
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

/// Whether the conditions of `changes` hold of what sorted paths name.
fn check(changes: &[PathChange], paths: &[ObjectPath], current: &[Option<Entry>]) -> Result<()> {
    for change in changes {
        if let Some(condition) = &change.condition {
            let entry = paths.binary_search(&change.path).ok().and_then(|at| current.get(at));
            check_one(&change.path, condition, entry.and_then(Option::as_ref))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn put(n: usize, len: usize) -> PathChange {
        let mut entry = Entry::new("mem://x", 1, "c");
        entry.metadata.insert("k".into(), "v".repeat(len));
        let path = format!("p/{n:06}").parse().unwrap();
        PathChange { path, change: Change::Put(entry), condition: None }
    }

    fn lens(changes: &[PathChange]) -> Vec<usize> {
        let calls = in_calls(changes);
        assert_eq!(calls.concat(), changes, "all of them, in their order");
        calls.iter().map(|call| call.len()).collect()
    }

    #[test]
    fn a_call_carries_so_many_changes_and_so_many_bytes() {
        assert_eq!(lens(&[]), [0; 0]);
        let small: Vec<_> = (0..1200).map(|n| put(n, 10)).collect();
        assert_eq!(lens(&small), [500, 500, 200]);
        let large: Vec<_> = (0..400).map(|n| put(n, 5000)).collect();
        let calls = lens(&large);
        assert!(calls.iter().all(|len| len * 5000 <= STAGE_BYTES) && calls[0] > 200, "{calls:?}");
        // One removal among them is looked at, with as many as may be looked at.
        let mut mixed = small[..300].to_vec();
        mixed[100].change = Change::Delete;
        assert_eq!(lens(&mixed), [128, 172]);
    }
}
