//! A commit to one table: assertions and changes.

use serde_json::Value;

use super::json::{list, object};
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

    /// The ids of the snapshots that it adds: by these a repetition is known.
    pub fn snapshot_ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.updates.iter().filter_map(|update| match update {
            Update::AddSnapshot(snapshot) => super::json::number(snapshot, "snapshot-id"),
            _ => None,
        })
    }
}
