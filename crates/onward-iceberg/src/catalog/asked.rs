//! A commit to a table, as it was asked for: read once, with all that is decided by the request alone.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::door::Who;
use super::error::{CatalogError, Result};
use super::place::Place;
use super::submit::Said;
use crate::table::{Ahead, Commit, Requirement, Update};

/// What a commit that makes a table says that it does.
pub(super) const CREATE: &str = "create";

/// How a stale commit is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Brought onto the head where the table says that appends commute; else the door is held for it.
    #[default]
    Usual,
    /// The client says that its appends commute, whatever the table says.
    Commute,
    /// Told at once, and nothing is held: what a catalog does that knows no better.
    Optimistic,
}

/// What a commit to one table asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub(super) commit: Commit,
    pub(super) mode: Mode,
    pub(super) who: Who,
    pub(super) said: Said,
    /// The uuid that it gives to the table.
    makes: Option<String>,
    /// The request, as another sidecar can read it; null where it is offered to none.
    pub(super) request: Value,
    /// Whether an earlier round has offered it to other sidecars: one of them may be landing it.
    pub(super) was_offered: bool,
    /// Pieces of the log that were read to say whether it has landed before, and do not say it yet.
    pub(super) pieces: usize,
    /// What was read of its files while it waited.
    pub(super) ahead: Option<Arc<ReadAhead>>,
    /// What it does, in words: `append 17`, `set-properties`.
    pub(super) does: Vec<String>,
}

/// What was read of the files of a commit, and its place among all that is.
#[derive(Debug)]
pub(super) struct ReadAhead {
    pub(super) read: Ahead,
    /// None of what another sidecar offers: its round has room for that.
    pub(super) _place: Option<OwnedSemaphorePermit>,
}

impl Asked {
    /// Reads a `CommitTableRequest`.
    ///
    /// Fails where it has something unknown, or names files that lie outside of the warehouse.
    pub fn read(
        request: &Value,
        place: &Place,
        mode: Mode,
        principal: &str,
        said: Said,
    ) -> Result<Self> {
        let commit = Commit::from_json(request)?;
        let updates = request.get("updates").and_then(Value::as_array);
        let updates = updates.map_or(&[][..], Vec::as_slice);
        let (mut makes, mut does) = (None, Vec::new());
        for update in updates {
            locations(update).try_for_each(|location| place.warehouse.check(location))?;
            let action = text(update, "action").unwrap_or_default();
            match action {
                "assign-uuid" => {
                    makes = text(update, "uuid").map(str::to_owned);
                    let is_made = commit.requirements.contains(&Requirement::Create);
                    does.extend(is_made.then(|| CREATE.to_owned()));
                }
                "add-snapshot" => does.push(snapshot(update)),
                "set-snapshot-ref" => {}
                other => does.push(other.to_owned()),
            }
        }
        let mut snapshots: Vec<i64> = commit.snapshot_ids().collect();
        snapshots.sort_unstable();
        let who = Who { snapshots, principal: principal.to_owned() };
        let part = |key: &str| request.get(key).cloned().unwrap_or_default();
        let request = match commit.is_appends() && mode != Mode::Optimistic {
            true => json!({"requirements": part("requirements"), "updates": part("updates")}),
            false => Value::Null,
        };
        Ok(Self {
            commit,
            mode,
            who,
            said,
            makes,
            request,
            was_offered: false,
            pieces: 0,
            ahead: None,
            does,
        })
    }

    /// Whether it makes the table.
    pub(super) fn creates(&self) -> bool {
        self.commit.requirements.contains(&Requirement::Create)
    }

    /// The uuid that it gives to the table.
    pub(super) fn makes(&self) -> Option<&str> {
        self.makes.as_deref()
    }

    /// The folder that it gives to the table.
    pub(super) fn location(&self) -> Option<&str> {
        self.commit.updates.iter().find_map(|update| match update {
            Update::SetLocation(location) => Some(location.as_str()),
            _ => None,
        })
    }

    /// The uuid of the table that it is about, where it says so.
    pub(super) fn of_table(&self) -> Option<&str> {
        self.commit.requirements.iter().find_map(|requirement| match requirement {
            Requirement::TableUuid(uuid) => Some(uuid.as_str()),
            _ => None,
        })
    }

    /// Whether it can be seen of a table that this has landed there.
    pub(super) fn is_recognisable(&self) -> bool {
        self.creates() || !self.who.snapshots.is_empty()
    }

    /// Whether it is about another table than the one with this uuid.
    pub(super) fn is_of_another(&self, uuid: &str) -> bool {
        let other = |requirement: &Requirement| matches!(requirement, Requirement::TableUuid(of) if !of.eq_ignore_ascii_case(uuid));
        self.commit.requirements.iter().any(other)
    }
}

#[cfg(test)]
impl Asked {
    /// Adds a snapshot.
    pub(super) fn of_snapshot(id: i64, principal: &str, does: String, committer: String) -> Self {
        Self {
            commit: Commit { requirements: Vec::new(), updates: Vec::new() },
            mode: Mode::Usual,
            who: Who { snapshots: vec![id], principal: principal.to_owned() },
            said: Said::of(committer, None),
            makes: None,
            request: Value::Null,
            was_offered: false,
            pieces: 0,
            ahead: None,
            does: vec![does],
        }
    }
}

/// The name of the table that an entry of a transaction is about.
pub(super) fn identifier(request: &Value) -> Result<(Vec<String>, String)> {
    let levels = request.pointer("/identifier/namespace").and_then(Value::as_array);
    let levels = levels.and_then(|levels| {
        levels.iter().map(|level| level.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    let name = request.pointer("/identifier/name").and_then(Value::as_str);
    match (levels, name) {
        (Some(levels), Some(name)) => Ok((levels, name.to_owned())),
        _ => Err(CatalogError::invalid(
            "each change of a transaction has an identifier with a namespace and a name",
        )),
    }
}

/// The files that a snapshot names.
pub(super) fn files_of(snapshot: &Value) -> impl Iterator<Item = &str> {
    let listed = snapshot.get("manifests").and_then(Value::as_array).into_iter().flatten();
    snapshot.get("manifest-list").into_iter().chain(listed).filter_map(Value::as_str)
}

/// The files that an update names.
fn locations(update: &Value) -> impl Iterator<Item = &str> {
    let places =
        ["/location", "/statistics/statistics-path", "/partition-statistics/statistics-path"];
    places
        .into_iter()
        .filter_map(|place| update.pointer(place).and_then(Value::as_str))
        .chain(update.get("snapshot").into_iter().flat_map(files_of))
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn snapshot(update: &Value) -> String {
    let id = update.pointer("/snapshot/snapshot-id").map(Value::to_string).unwrap_or_default();
    let operation = update.pointer("/snapshot/summary/operation").and_then(Value::as_str);
    format!("{} {id}", operation.unwrap_or("snapshot"))
}
