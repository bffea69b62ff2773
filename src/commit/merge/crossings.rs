//! Crossings: changes of a merge whose paths the branch has changed since the merge was worked out.
//!
//! Whatever the branch does afterwards, only they can come out differently. They alone are decided
//! again, by the same rule and from the same base, so the result is what a merge from scratch would
//! have given at that moment.

use futures::TryStreamExt;

use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::path::ObjectPath;
use crate::tree::{Metarange, ScanStart};

use super::three_way::STEP;
use crate::commit::log::lake::Lake;
use crate::commit::op::merge::{PreparedMerge, Survivors};

/// A change of a merge whose path the branch has changed since the merge was worked out.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossing {
    /// The path that both sides changed.
    pub path: ObjectPath,
    /// What both sides began with.
    pub base: Option<Entry>,
    /// What the merge brings.
    pub source: Option<Entry>,
    /// What the branch had when the merge was worked out.
    pub before: Option<Entry>,
}

impl Crossing {
    /// What it takes in memory, roughly.
    pub fn bytes(&self) -> usize {
        let entries = [&self.base, &self.source, &self.before];
        entries.iter().map(|entry| bytes_of(&self.path, entry.as_ref())).sum()
    }
}

/// What a path with what it names takes in memory, roughly.
pub fn bytes_of(path: &ObjectPath, entry: Option<&Entry>) -> usize {
    path.as_str().len() + 128 + entry.map_or(0, Entry::memory_bytes)
}

/// A path that the branch has changed, with what was there.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The path that was changed.
    pub path: ObjectPath,
    /// What it had before.
    pub before: Option<Entry>,
}

/// The crossings of a merge of many changes, between the head it was worked out against and
/// `head`. `None` when they are more than `max`, or take more bytes than that.
///
/// Cost: the difference between the two heads within the span of the merge.
pub async fn crossings(
    lake: &Lake,
    merge: &PreparedMerge,
    survivors: &Survivors,
    head: &Metarange,
    (max, max_bytes): (usize, usize),
) -> Result<Option<Vec<Crossing>>> {
    let Some((first, last)) = &survivors.span else { return Ok(Some(Vec::new())) };
    let against = lake.content(merge.against).await?;
    let start = ScanStart::all().at(first.as_str());
    let mut changed = lake.diff(against, head.clone(), start).try_chunks(STEP);
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(step) = changed.try_next().await.map_err(|error| error.1)? {
        let ended = step.last().is_some_and(|diff| diff.path > *last);
        let inside = step.into_iter().filter(|diff| diff.path <= *last);
        let inside = inside.map(|diff| Changed { path: diff.path, before: diff.before }).collect();
        let crossings = crossing(lake, merge, inside).await?;
        bytes += crossings.iter().map(Crossing::bytes).sum::<usize>();
        found.extend(crossings);
        if found.len() > max || bytes > max_bytes {
            return Ok(None);
        }
        if ended {
            break;
        }
    }
    Ok(Some(found))
}

/// Those of the `changed` paths, sorted, that are among the changes of the merge.
pub async fn crossing(
    lake: &Lake,
    merge: &PreparedMerge,
    changed: Vec<Changed>,
) -> Result<Vec<Crossing>> {
    let paths: Vec<ObjectPath> = changed.iter().map(|changed| changed.path.clone()).collect();
    let base = lake.content(merge.base).await?;
    let source = lake.content(merge.source).await?;
    let (base, source) = futures::try_join!(
        lake.tree().get_many(&base, &paths),
        lake.tree().get_many(&source, &paths)
    )?;
    let sides = changed.into_iter().zip(base).zip(source);
    Ok(sides
        .filter(|((_, base), source)| !crate::tree::rule::same(base.as_ref(), source.as_ref()))
        .map(|((Changed { path, before }, base), source)| Crossing { path, base, source, before })
        .collect())
}
