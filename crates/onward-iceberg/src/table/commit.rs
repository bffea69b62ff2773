//! A commit to one table: assertions and changes.

use std::collections::HashMap;

use serde_json::Value;

use super::json::{list, number, object};
use super::{Failed, Invalid, Metadata, NotApplied, Requirement, UPDATES_MAX, Update, apply};

/// What the specification's `CommitTableRequest` asks for, without the name of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// What must hold.
    pub requirements: Vec<Requirement>,
    /// What is changed, in order.
    pub updates: Vec<Update>,
}

impl Commit {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// Where it has something unknown or wrong, or more than [`UPDATES_MAX`] of either.
    pub fn from_json(request: &Value) -> Result<Self, Invalid> {
        let request = object(request, "the commit")?;
        let requirements = list(request, "requirements", "the commit")?;
        let updates = list(request, "updates", "the commit")?;
        for (name, many) in [("requirements", requirements.len()), ("updates", updates.len())] {
            if many > UPDATES_MAX {
                let message = format!("{many} {name}: a commit has at most {UPDATES_MAX}");
                return Err(Invalid::new(message));
            }
        }
        Ok(Self {
            requirements: requirements
                .iter()
                .map(Requirement::from_json)
                .collect::<Result<_, _>>()?,
            updates: updates.iter().map(Update::from_json).collect::<Result<_, _>>()?,
        })
    }

    /// Whether all its requirements hold.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn check(&self, table: Option<&Metadata>) -> Result<(), Failed> {
        self.requirements.iter().try_for_each(|requirement| requirement.check(table))
    }

    /// Checks, and applies: see [`apply`].
    ///
    /// # Errors
    ///
    /// As of [`Commit::check`] and [`apply`].
    pub fn apply(
        &self,
        base: Option<&Metadata>,
        now_ms: i64,
        previous_location: Option<&str>,
    ) -> Result<Metadata, NotApplied> {
        self.check(base)?;
        apply(base, &self.updates, now_ms, previous_location)
    }

    /// Whether a table has the snapshots that this begins on, each on the branch that it moves: then it has all that
    /// landed there since. What moves no branch that is there has it where the table has it; what begins on nothing,
    /// where the branch has all that it ever had. True of what adds no snapshot.
    #[must_use]
    pub fn begins_on(&self, table: &Metadata) -> bool {
        let is_whole = |head: i64| {
            let oldest = table.ancestors(head).last().and_then(|id| table.snapshot(id));
            oldest.is_some_and(|oldest| number(oldest, "parent-snapshot-id").is_none())
        };
        self.chains().into_iter().all(|(name, base)| {
            let head = name.and_then(|name| table.reference(name)).map(|head| head.snapshot_id);
            match (head, base) {
                (Some(head), Some(base)) => table.ancestors(head).any(|id| id == base),
                (Some(head), None) => is_whole(head),
                (None, Some(base)) => table.snapshot(base).is_some(),
                (None, None) => table.current_snapshot_id().is_none(),
            }
        })
    }

    /// The snapshots that what it adds is made on: it cannot have landed before any of them.
    pub fn bases(&self) -> impl Iterator<Item = i64> {
        self.chains().into_iter().filter_map(|(_, base)| base)
    }

    /// What it adds, chain by chain: the branch that each becomes, and the snapshot that it stands on. Where no
    /// branch is moved each snapshot is told for itself.
    fn chains(&self) -> Vec<(Option<&str>, Option<i64>)> {
        let own: HashMap<i64, Option<i64>> = self
            .updates
            .iter()
            .filter_map(|update| match update {
                Update::AddSnapshot(snapshot) => {
                    let parent = number(snapshot, "parent-snapshot-id");
                    Some((number(snapshot, "snapshot-id")?, parent))
                }
                _ => None,
            })
            .collect();
        let base_of = |id: i64| {
            let parent = |id: &i64| own.get(id).copied().flatten();
            // As many steps as there are snapshots, whatever they say of their parents.
            std::iter::successors(Some(id), parent)
                .take(own.len() + 1)
                .find(|id| !own.contains_key(id))
        };
        let moved = self.updates.iter().filter_map(|update| match update {
            Update::SetSnapshotRef { name, reference } => {
                let head = number(reference, "snapshot-id").filter(|id| own.contains_key(id))?;
                Some((Some(name.as_str()), base_of(head)))
            }
            _ => None,
        });
        let moved: Vec<_> = moved.collect();
        match moved.is_empty() {
            true => own.keys().map(|id| (None, base_of(*id))).collect(),
            false => moved,
        }
    }

    /// Whether it adds snapshots, and moves branches that it asserts to these, and no more.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.updates.iter().all(|update| match update {
            Update::AddSnapshot(_) => true,
            Update::SetSnapshotRef { name, reference } => {
                let is_asserted = |one: &Requirement| matches!(one, Requirement::RefSnapshotId { name: of, snapshot_id: Some(_) } if of == name);
                let head = number(reference, "snapshot-id");
                reference.get("type").and_then(Value::as_str) == Some("branch")
                    && self.snapshot_ids().any(|id| Some(id) == head)
                    && self.requirements.iter().any(is_asserted)
            }
            _ => false,
        })
    }

    /// Whether it is appends and no more.
    #[must_use]
    pub fn is_appends(&self) -> bool {
        let mut added = self.updates.iter().filter_map(|update| match update {
            Update::AddSnapshot(snapshot) => Some(snapshot),
            _ => None,
        });
        let is_append = |snapshot: &Value| {
            snapshot.pointer("/summary/operation").and_then(Value::as_str) == Some("append")
        };
        self.is_plain() && self.snapshot_ids().next().is_some() && added.all(is_append)
    }

    /// The ids of the snapshots that it adds: by these a repetition is known.
    pub fn snapshot_ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.updates.iter().filter_map(|update| match update {
            Update::AddSnapshot(snapshot) => number(snapshot, "snapshot-id"),
            _ => None,
        })
    }
}
