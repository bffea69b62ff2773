//! What a snapshot adds: manifests of its own, checked entry by entry.

use std::collections::HashSet;

use serde_json::Value;

use super::ahead::Brought;
use super::asked::Asked;
use super::shelf::Shelf;
use super::why::NotRebased;
use crate::table::avro::list::Entry;
use crate::table::avro::manifest::Manifest;
use crate::table::draft::Draft;
use crate::table::json::number;

/// A snapshot, and the manifests of what it adds.
pub(super) struct Own<'a> {
    pub snapshot: &'a Value,
    /// Where its client has put its list.
    pub list: &'a str,
    pub manifests: Vec<Entry>,
}

impl<'a> Own<'a> {
    /// Checks what a snapshot brings along against the table that it is to land on.
    pub(super) fn of(
        snapshot: &'a Value,
        brought: &Brought,
        asked: &Asked<'_>,
        draft: &Draft,
        shelf: &mut Shelf<'_>,
    ) -> Result<Own<'a>, NotRebased> {
        let id = number(snapshot, "snapshot-id").unwrap_or(-1);
        let schemas = known(draft, "schemas", "schema-id");
        if !asked.adds_schemas
            && number(snapshot, "schema-id").is_some_and(|schema| !schemas.contains(&schema))
        {
            return Err(NotRebased::not("its schema is not among the table's"));
        }
        let list = list_of(snapshot, draft)?;
        let specs = known(draft, "partition-specs", "spec-id");
        let mut manifests = Vec::with_capacity(brought.entries.len());
        for (entry, manifest) in brought.entries.iter().zip(&brought.manifests) {
            below(draft, &entry.path)?;
            if entry.content != 0 || entry.key_metadata.is_some() {
                return Err(NotRebased::not("a manifest of deletes, or an encrypted one"));
            }
            if !specs.contains(&entry.spec_id) {
                return Err(NotRebased::not("its partition spec is not among the table's"));
            }
            if manifest.schema_id().is_some_and(|schema| !schemas.contains(&schema))
                && !asked.adds_schemas
            {
                return Err(NotRebased::not("the schema of a manifest is not among the table's"));
            }
            manifests.extend(added(entry, manifest, id, shelf)?);
        }
        let own = Self { snapshot, list, manifests };
        own.agrees()?;
        Ok(own)
    }

    /// What the summary says was added is what was found.
    fn agrees(&self) -> Result<(), NotRebased> {
        if self.manifests.is_empty() {
            return Err(NotRebased::not("no manifest of its own adds anything"));
        }
        let files = sum(&self.manifests, |entry| entry.files.added);
        let rows = sum(&self.manifests, |entry| entry.rows.added);
        for (key, found) in [("added-data-files", files), ("added-records", rows)] {
            let said = self.snapshot.get("summary").and_then(|all| all.get(key)?.as_str());
            if said.is_some_and(|said| said.parse() != Ok(found)) {
                return Err(NotRebased::not(format!(
                    "its summary's {key} is not {found}, as in its manifests"
                )));
            }
        }
        Ok(())
    }
}

/// Where the list of a snapshot lies: below the table's folder.
pub(super) fn list_of<'a>(snapshot: &'a Value, draft: &Draft) -> Result<&'a str, NotRebased> {
    let list = snapshot.get("manifest-list").and_then(Value::as_str).unwrap_or_default();
    below(draft, list).map(|()| list)
}

/// The sum of a count over manifests.
pub(super) fn sum(manifests: &[Entry], count: impl Fn(&Entry) -> Option<i64>) -> i64 {
    manifests.iter().filter_map(count).fold(0, i64::saturating_add)
}

/// What a manifest adds, as a manifest: itself, or where it repeats older files a new one without them. None where
/// it adds nothing.
fn added(
    entry: &Entry,
    manifest: &Manifest,
    id: i64,
    shelf: &mut Shelf<'_>,
) -> Result<Option<Entry>, NotRebased> {
    if !manifest.is_of_rows() {
        return Err(NotRebased::not("a manifest of deletes"));
    }
    for one in &manifest.entries {
        if one.is_deleted() {
            return Err(NotRebased::not("a manifest with deleted files"));
        }
        if one.is_added()
            && (one.sequence.is_some()
                || one.file_sequence.is_some()
                || one.first_row_id.is_some()
                || one.encrypted
                || one.snapshot_id.is_some_and(|snapshot| snapshot != id))
        {
            return Err(NotRebased::not(
                "a manifest whose files have numbers of their own, or keys",
            ));
        }
    }
    let (mut files, mut rows) = manifest.counts();
    let mut entry = entry.clone();
    if files.added == Some(0) {
        return Ok(None);
    }
    if files.existing != Some(0) {
        let path = shelf.name(&entry.path, &format!("onward-added-{id}"));
        let bytes = manifest.of_added(shelf.sync())?;
        entry.length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        entry.path = path.clone();
        // Bounds over more files than these are true of these as well.
        shelf.write(path, bytes);
        (files.existing, rows.existing) = (Some(0), Some(0));
    }
    (entry.files, entry.rows) = (files, rows);
    Ok(Some(entry))
}

fn known(draft: &Draft, list: &str, id: &str) -> HashSet<i64> {
    let all = draft.json().get(list).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(|one| number(one, id)).collect()
}

/// Nothing is taken from elsewhere than the table's folder.
fn below(draft: &Draft, file: &str) -> Result<(), NotRebased> {
    let folder = draft.json().get("location").and_then(Value::as_str).unwrap_or_default();
    let inside = file.strip_prefix(folder.trim_end_matches('/'));
    match inside {
        Some(inside) if inside.starts_with('/') && !inside.split('/').any(|part| part == "..") => {
            Ok(())
        }
        _ => Err(NotRebased::not(format!("{file} is not below the table's location"))),
    }
}
