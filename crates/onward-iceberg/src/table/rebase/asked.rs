//! Whether what a commit asks is appends and nothing that depends on what others did: pure, of the commit alone and
//! of the metadata that it would land on.

use serde_json::Value;

use super::why::NotRebased;
use crate::table::draft::Draft;
use crate::table::json::number;
use crate::table::{Commit, Requirement, Update};

/// Snapshots of one commit that are made anew at most: each is read.
const CHAIN_MAX: usize = 100;
/// Keys by which a snapshot says that it publishes another one, which is to be published once.
const PUBLISHES: [&str; 2] = ["published-wap-id", "source-snapshot-id"];

/// Appends to one branch.
pub(in crate::table) struct Asked<'a> {
    pub branch: &'a str,
    /// The new snapshots, each the parent of the next.
    pub snapshots: Vec<&'a Value>,
    /// Whether the commit brings schemas along itself.
    pub adds_schemas: bool,
}

impl<'a> Asked<'a> {
    pub(super) fn of(commit: &'a Commit, draft: &Draft) -> Result<Self, NotRebased> {
        let (branch, last) = one_branch(commit)?;
        let mut asserted = None;
        for requirement in &commit.requirements {
            match requirement {
                Requirement::RefSnapshotId { name, snapshot_id } if name == branch => {
                    asserted = *snapshot_id;
                }
                other => other
                    .holds(Some(draft.json()))
                    .map_err(|failed| NotRebased::not(failed.message()))?,
            }
        }
        let Some(asserted) = asserted else {
            return Err(NotRebased::not(
                "it asserts no snapshot: whether it read the table is not known",
            ));
        };
        let snapshots: Vec<&Value> = commit
            .updates
            .iter()
            .filter_map(|update| match update {
                Update::AddSnapshot(snapshot) => Some(snapshot),
                _ => None,
            })
            .collect();
        if snapshots.len() > CHAIN_MAX {
            let message = format!("a chain of more than {CHAIN_MAX} snapshots");
            return Err(NotRebased::not(message));
        }
        let mut parent = asserted;
        for snapshot in &snapshots {
            is_append(snapshot)?;
            if number(snapshot, "parent-snapshot-id") != Some(parent) {
                return Err(NotRebased::not(
                    "its snapshots are no chain from the one that it asserts",
                ));
            }
            parent = number(snapshot, "snapshot-id").unwrap_or(-1);
            if draft.snapshot(parent).is_some() {
                return Err(NotRebased::not(format!("snapshot {parent} is there already")));
            }
        }
        if parent != last || snapshots.is_empty() {
            return Err(NotRebased::not("its branch does not end at its last snapshot"));
        }
        let adds_schemas = commit.updates.iter().any(|one| matches!(one, Update::AddSchema(_)));
        let checked = |one: &Requirement| matches!(one, Requirement::CurrentSchemaId(_));
        if adds_schemas && !commit.requirements.iter().any(checked) {
            return Err(NotRebased::not("it changes the schema and does not assert it"));
        }
        Ok(Self { branch, snapshots, adds_schemas })
    }
}

/// The branch that a commit moves, and the snapshot that it ends at.
fn one_branch(commit: &Commit) -> Result<(&str, i64), NotRebased> {
    let mut moved: Option<(&str, i64)> = None;
    for update in &commit.updates {
        match update {
            Update::SetSnapshotRef { name, reference } => {
                let is_branch = reference.get("type").and_then(Value::as_str) == Some("branch");
                if !is_branch || moved.is_some_and(|(other, _)| other != name) {
                    return Err(NotRebased::not("it moves more than one branch, or a tag"));
                }
                moved = Some((name, number(reference, "snapshot-id").unwrap_or(-1)));
            }
            Update::AddSnapshot(_)
            | Update::AddSchema(_)
            | Update::SetCurrentSchema(_)
            | Update::SetProperties(_)
            | Update::RemoveProperties(_) => {}
            _ => {
                return Err(NotRebased::not(
                    "it has updates besides appends, properties and schemas",
                ));
            }
        }
    }
    moved.ok_or_else(|| NotRebased::not("it moves no branch"))
}

/// Fails where a snapshot is no append that may come behind others.
pub(in crate::table) fn is_append(snapshot: &Value) -> Result<(), NotRebased> {
    let summary = snapshot.get("summary").and_then(Value::as_object);
    let summary = summary.ok_or_else(|| NotRebased::not("a snapshot without a summary"))?;
    if summary.get("operation").and_then(Value::as_str) != Some("append") {
        return Err(NotRebased::not("a snapshot that is no append"));
    }
    // Its coordinator knows by these, and by the snapshot that it asserts, that no other runs.
    if summary.keys().any(|key| key.starts_with("kafka.connect.")) {
        return Err(NotRebased::not(
            "an append of Kafka Connect, whose fencing rests on what it asserts",
        ));
    }
    if PUBLISHES.iter().any(|key| summary.contains_key(*key)) {
        return Err(NotRebased::not(
            "it publishes a snapshot, which may have been published meanwhile",
        ));
    }
    if snapshot.get("key-id").is_some_and(|key| !key.is_null()) {
        return Err(NotRebased::not("an encrypted snapshot"));
    }
    Ok(())
}
