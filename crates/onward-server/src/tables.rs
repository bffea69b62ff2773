//! Iceberg's tables in what is asked and told of branches: merges, conflicts, differences, here and at the prompt.
//! Without the feature `iceberg` no path is a table.

use onward::{ObjectPath, Outcome};
use serde_json::Value;

pub use imp::Tables;

/// What the paths of all tables begin with.
pub const ROOT: &str = "iceberg/";

/// Conflicts of which it is told what tables they are of, at most: each takes the metadata of three commits.
const CONFLICTS_TOLD: usize = 20;

/// A table, and what is to be said of it.
#[derive(Debug)]
pub struct Told {
    /// The path that names it.
    pub path: ObjectPath,
    /// Its name, with its namespace.
    pub name: String,
    /// What is to be said, for programs.
    pub json: Value,
    /// What is to be said, for people, line by line.
    pub lines: Vec<String>,
    /// Whether a merge puts both sides of a conflict together.
    pub is_mergeable: bool,
}

impl Tables {
    /// The tables that a merge was in conflict for, of the first 20 paths. Where they cannot be read now, it is told
    /// without them.
    pub async fn conflicts(&self, repo: &str, outcome: &Outcome) -> Vec<Told> {
        let Outcome::Conflict { paths, .. } = outcome else { return Vec::new() };
        let mut tables = Vec::new();
        for path in paths.iter().take(CONFLICTS_TOLD) {
            match self.conflict(repo, path).await {
                Ok(told) => tables.extend(told),
                Err(error) => {
                    tracing::debug!(%error, path = %path.path, "a table in conflict cannot be read");
                    break;
                }
            }
        }
        tables
    }
}

#[cfg(feature = "iceberg")]
mod imp {
    use onward::internals::repo::MergeBuilder;
    use onward::{ConflictPath, Entry, ObjectPath, Onward, Result};
    use onward_iceberg::catalog::{Catalog, CatalogError};

    use crate::tables::Told;
    use crate::warehouse;

    /// The tables of a deployment. Cheap to clone.
    #[derive(Clone)]
    pub struct Tables(Catalog);

    impl Tables {
        /// Those that a catalog knows.
        pub(crate) fn of(catalog: &Catalog) -> Self {
            Self(catalog.clone())
        }

        /// Those of a deployment, which lie in its own storage or below another URL.
        pub fn open(onward: &Onward, warehouse: Option<&str>) -> Result<Self> {
            let elsewhere = warehouse::open(warehouse, onward.coordinator().objects())?;
            Ok(Self(Catalog::new(onward.clone(), elsewhere)))
        }

        /// The merge into a branch, so that tables are put together which both sides have appended to.
        pub fn merging(&self, merge: MergeBuilder, repo: &str, dest: &str) -> MergeBuilder {
            merge.resolver(self.0.merging(repo, dest))
        }

        /// What a conflict is about, where it is of a table.
        pub async fn conflict(&self, repo: &str, of: &ConflictPath) -> Result<Option<Told>> {
            let told = self.0.table_conflict(repo, of).await.map_err(CatalogError::of_branch)?;
            Ok(told.map(|told| Told {
                path: of.path.clone(),
                name: told.table.to_string(),
                json: told.to_json(),
                lines: vec![told.to_string()],
                is_mergeable: told.reason.is_none(),
            }))
        }

        /// What changed of what a path names, where that is a table: from the first to the second.
        pub async fn change(
            &self,
            repo: &str,
            path: &ObjectPath,
            (before, after): (Option<&Entry>, Option<&Entry>),
        ) -> Result<Option<Told>> {
            let told = self.0.table_change(repo, path, before, after).await;
            let told = told.map_err(CatalogError::of_branch)?;
            Ok(told.map(|told| Told {
                path: path.clone(),
                name: told.table.to_string(),
                json: told.to_json(),
                lines: told.lines(),
                is_mergeable: false,
            }))
        }
    }
}

#[cfg(not(feature = "iceberg"))]
#[allow(clippy::unused_async, reason = "with tables it reads")]
mod imp {
    use onward::internals::repo::MergeBuilder;
    use onward::{ConflictPath, Entry, ObjectPath, Onward, Result};

    use crate::tables::Told;

    /// Where a program without the feature looks for tables: nowhere.
    #[derive(Clone)]
    pub struct Tables;

    impl Tables {
        /// Finds none, wherever they lie.
        pub fn open(_: &Onward, _: Option<&str>) -> Result<Self> {
            Ok(Self)
        }

        /// The merge as it is.
        pub fn merging(&self, merge: MergeBuilder, _: &str, _: &str) -> MergeBuilder {
            merge
        }

        /// Nothing: it is of no table.
        pub async fn conflict(&self, _: &str, _: &ConflictPath) -> Result<Option<Told>> {
            Ok(None)
        }

        /// Nothing: it is no table.
        pub async fn change(
            &self,
            _: &str,
            _: &ObjectPath,
            _: (Option<&Entry>, Option<&Entry>),
        ) -> Result<Option<Told>> {
            Ok(None)
        }
    }
}
