//! Iceberg's tables in what is asked and told of branches: merges, conflicts, differences, here and at the prompt.
//! Without the feature `iceberg` no path is a table.

use std::time::Duration;

use onward::admin::Tally;
use onward::{ObjectPath, Outcome};
use serde_json::Value;

pub use imp::{Garbage, Tables};

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

/// How the files of tables are collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collecting {
    /// How old a file must be to go; by default seven days.
    pub grace: Option<Duration>,
    /// The caller's word that nobody else works on the repository before this is done.
    pub exclusive: bool,
    /// Whether files go at all, and are not only counted.
    pub removes: bool,
    /// The caller's word that no other deployment keeps tables below the same warehouse.
    pub sole: bool,
    /// Whether each file that goes is told.
    pub list: bool,
}

/// What became of the files of tables.
#[derive(Debug, Default)]
pub struct Collected {
    /// Folders that have files, by their location.
    pub folders: Vec<CollectedFolder>,
    /// Metadata files, manifest lists and manifests that were read.
    pub read: [u64; 3],
    /// Files that could not be read, whose folders are left alone; the first hundred.
    pub unreadable: Vec<Unreadable>,
    /// Why nothing was removed at all.
    pub halted: Option<String>,
    /// Whether files went, and were not only counted.
    pub removed: bool,
}

/// A folder of a table.
#[derive(Debug)]
pub struct CollectedFolder {
    /// Where it is.
    pub location: String,
    /// The path of a table that lies there, where one is known.
    pub table: Option<String>,
    /// What became of its files.
    pub files: Tally,
    /// Whether it is left alone, as something cannot be read.
    pub is_alone: bool,
}

/// A file that cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Where it lies.
    pub location: String,
    /// The path of a table that needs it; empty where no branch names that yet.
    pub table: String,
    /// What is wrong with it.
    pub reason: String,
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
    use std::sync::Arc;

    use onward::internals::repo::MergeBuilder;
    use onward::internals::repo::gc::Beside;
    use onward::{ConflictPath, Entry, ObjectPath, Onward, RepoName, Result};
    use onward_iceberg::catalog::{self, Catalog, CatalogError, GarbageOptions, TABLES_GRACE};

    use crate::tables::{Collected, CollectedFolder, Collecting, Told, Unreadable};
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

        /// A collection of the files of a repository's tables.
        pub fn garbage(&self, repo: &RepoName, how: &Collecting) -> Result<Garbage> {
            let Collecting { grace, exclusive, removes, sole, list } = *how;
            let grace = grace.unwrap_or(TABLES_GRACE);
            let options = GarbageOptions { grace, exclusive, removes, sole, list, now_ms: None };
            self.0.garbage(repo, options).map(Garbage)
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

    /// A collection of the files of tables.
    pub struct Garbage(Arc<catalog::Garbage>);

    impl Garbage {
        /// It, for the collection of the repository.
        pub fn beside(&self) -> Option<Arc<dyn Beside>> {
            let beside: Arc<dyn Beside> = Arc::<catalog::Garbage>::clone(&self.0);
            Some(beside)
        }

        /// What was done.
        pub fn collected(&self) -> Collected {
            let catalog::GarbageReport { folders, read, unread: lost, halted, removed } =
                self.0.report();
            let folder = |folder: catalog::Folder| CollectedFolder {
                location: folder.location,
                table: folder.table,
                files: folder.files,
                is_alone: folder.is_alone,
            };
            let unread = |catalog::Unread { location, table, why }| Unreadable {
                location,
                table,
                reason: why,
            };
            Collected {
                folders: folders.into_iter().map(folder).collect(),
                read: [read.metadata, read.lists, read.manifests],
                unreadable: lost.into_iter().map(unread).collect(),
                halted,
                removed,
            }
        }
    }
}

#[cfg(not(feature = "iceberg"))]
#[allow(clippy::unused_async, reason = "with tables it reads")]
mod imp {
    use std::sync::Arc;

    use onward::internals::repo::MergeBuilder;
    use onward::internals::repo::gc::Beside;
    use onward::{ConflictPath, Entry, ObjectPath, Onward, RepoName, Result};

    use crate::tables::{Collected, Collecting, Told};

    /// Where a program without the feature looks for tables: nowhere.
    #[derive(Clone)]
    pub struct Tables;

    impl Tables {
        /// Finds none, wherever they lie.
        pub fn open(_: &Onward, _: Option<&str>) -> Result<Self> {
            Ok(Self)
        }

        /// Nothing, of no tables.
        pub fn garbage(&self, _: &RepoName, _: &Collecting) -> Result<Garbage> {
            Ok(Garbage)
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
    /// A collection of no tables.
    pub struct Garbage;

    impl Garbage {
        /// Nobody: no file is one of a table.
        pub fn beside(&self) -> Option<Arc<dyn Beside>> {
            None
        }

        /// Nothing was done, as there are none.
        pub fn collected(&self) -> Collected {
            Collected::default()
        }
    }
}
