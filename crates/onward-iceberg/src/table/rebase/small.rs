//! Many small manifests become one, as a merge append of Iceberg's reference implementation does it: otherwise each
//! append would write a list that is longer by one than the last.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;

use super::shelf::Shelf;
use super::why::NotRebased;
use crate::table::AVRO_BYTES_MAX;
use crate::table::avro::list::{Entry, List};
use crate::table::avro::manifest::{self, Manifest, Moved};
use crate::table::draft::Draft;

/// Manifests that become one, unless the table says another number (`commit.manifest.min-count-to-merge`).
const MERGED_FROM: usize = 100;
/// Manifests that become one at most.
const MERGED_MAX: usize = 1_000;
/// A manifest of as many bytes is not small (`commit.manifest.target-size-bytes`).
const TARGET_BYTES: i64 = 8 << 20;

/// The snapshot that a merged manifest is added by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adding {
    pub snapshot_id: i64,
    pub sequence: i64,
}

/// The list, with its small manifests merged where there are many of one kind. Manifests are of one kind that have
/// about as many files as each other (powers of the number that are merged), so that no file is written again and
/// again. What cannot be merged stays as it is.
pub(super) async fn merged(
    list: List,
    by: Adding,
    draft: &Draft,
    shelf: &mut Shelf<'_>,
) -> Result<List, NotRebased> {
    if draft.property("commit.manifest-merge.enabled") == Some("false") {
        return Ok(list);
    }
    let number = |name: &str| draft.property(name).and_then(|text| text.parse::<i64>().ok());
    let from = number("commit.manifest.min-count-to-merge").and_then(|n| usize::try_from(n).ok());
    let from = from.unwrap_or(MERGED_FROM).clamp(2, MERGED_MAX);
    let target = number("commit.manifest.target-size-bytes").unwrap_or(TARGET_BYTES);
    let target = target.min(i64::try_from(AVRO_BYTES_MAX).unwrap_or(TARGET_BYTES));
    let version = draft.version();
    let Some(small) = chosen(list.entries(), version, from, target) else {
        return Ok(list);
    };
    let paths: Vec<&str> = small.iter().map(|entry| entry.path.as_str()).collect();
    let Ok(files) = shelf.read_all(&paths).await else {
        return Ok(list);
    };
    let is_whole =
        |(entry, file): (&&Entry, &Bytes)| usize::try_from(entry.length) == Ok(file.len());
    if !small.iter().zip(&files).all(is_whole) {
        return Ok(list);
    }
    let Ok(read) = files.iter().map(Manifest::read).collect::<Result<Vec<_>, _>>() else {
        return Ok(list);
    };
    let Some((gone, one)) = one_of(&small, &read, version, by, shelf) else {
        return Ok(list);
    };
    let rest = list.entries().iter().filter(|entry| !gone.contains(entry.path.as_str())).cloned();
    Ok(List::of(version, std::iter::once(one).chain(rest).collect()))
}

/// The manifests to merge: of one spec, of rows, small, and alike in how many files they have.
fn chosen(entries: &[Entry], version: u8, from: usize, target: i64) -> Option<Vec<&Entry>> {
    let mut kinds: BTreeMap<(i64, u32), Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let files =
            entry.files.added.unwrap_or(0).saturating_add(entry.files.existing.unwrap_or(0));
        let tier = usize::try_from(files).unwrap_or(0).max(1).ilog(from);
        // Those of a time when the table had version 1 have no place for numbers that must be written out.
        let has_numbers = version < 2 || entry.sequence > 0;
        if entry.content == 0
            && entry.key_metadata.is_none()
            && entry.length < target
            && has_numbers
        {
            kinds.entry((entry.spec_id, tier)).or_default().push(entry);
        }
    }
    let mut many = kinds.into_values().find(|some| some.len() >= from)?;
    many.truncate(MERGED_MAX);
    let mut bytes = 0i64;
    let fits = |entry: &&Entry| {
        bytes = bytes.saturating_add(entry.length);
        bytes <= target
    };
    Some(many.into_iter().take_while(fits).collect())
}

/// The manifest of all that have most in common, and the paths of those.
fn one_of<'a>(
    small: &[&'a Entry],
    read: &[Manifest],
    version: u8,
    by: Adding,
    shelf: &mut Shelf<'_>,
) -> Option<(HashSet<&'a str>, Entry)> {
    let mut groups: BTreeMap<_, Vec<(&'a Entry, &Manifest)>> = BTreeMap::new();
    for (entry, manifest) in small.iter().zip(read) {
        groups.entry(manifest::common(manifest)).or_default().push((*entry, manifest));
    }
    let group = groups.into_values().max_by_key(Vec::len).filter(|group| group.len() > 1)?;
    let (first, like) = *group.first()?;
    let mut moved = Vec::new();
    for (entry, manifest) in &group {
        moved.extend(inherited(entry, manifest, version)?);
    }
    let path = shelf.name(&first.path, "onward-merged");
    let bytes = manifest::of_existing(like, &moved, shelf.sync()).ok()?;
    let members: Vec<&'a Entry> = group.iter().map(|(entry, _)| *entry).collect();
    let one = entry_of(&members, &moved, path.clone(), bytes.len(), by);
    shelf.write(path, bytes);
    Some((members.iter().map(|entry| entry.path.as_str()).collect(), one))
}

/// The files that are still in a manifest, with what they have from it. None where that cannot be said.
fn inherited<'a>(entry: &Entry, manifest: &'a Manifest, version: u8) -> Option<Vec<Moved<'a>>> {
    let mut next_row = entry.first_row_id;
    let mut moved = Vec::new();
    for one in &manifest.entries {
        // What is deleted takes no ids.
        if one.is_deleted() {
            continue;
        }
        let first_row_id = match one.first_row_id {
            Some(id) => Some(id),
            None => {
                let id = next_row;
                next_row = next_row.map(|row| row.saturating_add(one.rows));
                id
            }
        };
        if version > 2 && first_row_id.is_none() {
            return None;
        }
        let added = one.is_added();
        // What a file does not say of itself it has from its manifest; only what was added there may say nothing.
        let said = |number: Option<i64>| number.or(added.then_some(entry.sequence));
        let old = entry.sequence == 0;
        let sequence = said(one.sequence).or(old.then_some(0))?;
        let file_sequence = said(one.file_sequence).or(old.then_some(0))?;
        moved.push(Moved {
            entry: one,
            snapshot_id: one.snapshot_id.unwrap_or(entry.snapshot_id),
            sequences: (version > 1).then_some((sequence, file_sequence)),
            first_row_id: first_row_id.filter(|_| version > 2),
        });
    }
    Some(moved)
}

/// What a list says of a merged manifest.
fn entry_of(
    members: &[&Entry],
    moved: &[Moved<'_>],
    path: String,
    bytes: usize,
    by: Adding,
) -> Entry {
    let mut entry = members.first().copied().cloned().unwrap_or_default();
    (entry.snapshot_id, entry.sequence) = (by.snapshot_id, by.sequence);
    let files = i64::try_from(moved.len()).unwrap_or(i64::MAX);
    let rows = moved.iter().map(|file| file.entry.rows).fold(0, i64::saturating_add);
    entry.path = path;
    entry.length = i64::try_from(bytes).unwrap_or(i64::MAX);
    entry.files = counts(files);
    entry.rows = counts(rows);
    entry.min_sequence = moved
        .iter()
        .filter_map(|file| file.sequences)
        .map(|(sequence, _)| sequence)
        .min()
        .unwrap_or(entry.min_sequence);
    entry.first_row_id = members.iter().filter_map(|one| one.first_row_id).min();
    // Ranges of other manifests may be wider; that they are the same can be said without their types.
    if members.iter().any(|one| one.partitions != entry.partitions) {
        entry.partitions = None;
    }
    entry
}

fn counts(existing: i64) -> crate::table::avro::list::Counts {
    crate::table::avro::list::Counts { added: Some(0), existing: Some(existing), deleted: Some(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_file_takes_no_ids_of_rows_from_those_behind_it() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/plain/16fdbafe-7698-40ae-a3e9-4cf9f140f010-m0.avro"
        );
        let mut manifest = Manifest::read(&std::fs::read(file).unwrap().into()).unwrap();
        let mut added = manifest.entries.remove(0);
        (added.status, added.first_row_id) = (1, None);
        let mut deleted = added.clone();
        deleted.status = 2;
        manifest.entries = vec![deleted, added.clone(), added.clone()];
        let entry = Entry { first_row_id: Some(100), ..Entry::default() };
        let moved = inherited(&entry, &manifest, 3).unwrap();
        let ids: Vec<Option<i64>> = moved.iter().map(|one| one.first_row_id).collect();
        assert_eq!(ids, [Some(100), Some(100 + added.rows)]);
    }
}
