//! Tables in merges of branches: what both branches appended to a table is put together before the merge is queued,
//! on the condition that the table of the destination is as it was looked at.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use onward::internals::clock::{self, Deadline};
use onward::internals::repo::resolve::Resolve;
use onward::{ConflictPath, Entry, ObjectPath};
use tokio::sync::Mutex;

use super::deployment::Catalog;
use super::door::Who;
use super::error::{CatalogError, Kind, Result};
use super::ident::TableIdent;
use super::lane::{Lease, WAIT_MAX};
use super::loaded::Loaded;
use super::place::Place;
use super::prepare::new_uuid;
use crate::table::{Moment, NotMerged, Sides, kept_apart, merge};

/// Puts tables together that both sides of a merge into one branch have changed. Holds the tables of that branch,
/// so that no commit of this process comes in between, until it is dropped.
pub struct TableMerge {
    catalog: Catalog,
    repo: String,
    /// The branch, as the prefix of a catalog has it.
    dest: String,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    tables: BTreeSet<TableIdent>,
    leases: Vec<Lease>,
}

/// A table that both sides have changed.
struct Crossed<'a> {
    ident: TableIdent,
    path: &'a ObjectPath,
    /// What it is at the merge base, on the source and on the destination.
    entries: [&'a Entry; 3],
}

impl<'a> Crossed<'a> {
    /// The table of a conflict; none where that is of something else.
    fn of(conflict: &'a ConflictPath) -> Option<Self> {
        let ident = TableIdent::of_path(&conflict.path)?;
        let (base, source) = (conflict.base.as_ref()?, conflict.source.as_ref()?);
        let entries = [base, source, conflict.dest.as_ref()?];
        Some(Self { ident, path: &conflict.path, entries })
    }
}

/// The metadata of such a table, which may be large: in memory for one table at a time.
struct Parted {
    base: Arc<Loaded>,
    source: Arc<Loaded>,
    dest: Arc<Loaded>,
}

impl Parted {
    fn sides(&self) -> Sides<'_> {
        let Self { base, source, dest } = self;
        Sides { base: &base.metadata, source: &source.metadata, dest: &dest.metadata }
    }
}

impl Catalog {
    /// What resolves conflicts of tables in a merge into a branch.
    pub fn merging(&self, repo: &str, dest: &str) -> Arc<TableMerge> {
        let (repo, dest) = (repo.to_owned(), format!("{repo}@{dest}"));
        Arc::new(TableMerge { catalog: self.clone(), repo, dest, held: Mutex::default() })
    }
}

impl TableMerge {
    async fn place(&self) -> Result<Place> {
        self.catalog.place(&self.dest).await
    }

    /// The metadata of a table; none where it is damaged, which is told with the conflict.
    async fn parted(&self, place: &Place, table: &Crossed<'_>) -> Result<Option<Parted>> {
        let mut sides = Vec::with_capacity(table.entries.len());
        for entry in table.entries {
            match self.catalog.loaded(place, table.path, entry).await {
                Ok(loaded) => sides.push(loaded),
                Err(error) if error.kind == Kind::Unavailable => return Err(error),
                Err(_) => return Ok(None),
            }
        }
        let sides = <[Arc<Loaded>; 3]>::try_from(sides).ok();
        Ok(sides.map(|[base, source, dest]| Parted { base, source, dest }))
    }

    /// Waits until the tables are this merge's alone in this process, in the order in which everybody waits.
    async fn hold(&self, place: &Place, tables: &[Crossed<'_>]) -> Result<()> {
        let wanted: BTreeSet<TableIdent> = tables.iter().map(|table| table.ident.clone()).collect();
        let mut held = self.held.lock().await;
        if wanted.is_subset(&held.tables) {
            return Ok(());
        }
        let wanted: BTreeSet<TableIdent> = held.tables.union(&wanted).cloned().collect();
        *held = Held::default();
        let until = Deadline::after(WAIT_MAX);
        for table in &wanted {
            let lane = self.catalog.lane(place, table)?;
            held.leases.push(lane.lease(Who::default(), until).await?);
        }
        held.tables = wanted;
        Ok(())
    }

    async fn put_together(&self, conflicts: &[ConflictPath]) -> Result<Option<Vec<Entry>>> {
        let Some(tables) = conflicts.iter().map(Crossed::of).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let place = self.place().await?;
        // Nothing is read or written for one of them that would be of no use.
        for table in &tables {
            match self.parted(&place, table).await? {
                Some(parted) if kept_apart(&parted.sides()).is_none() => {}
                _ => return Ok(None),
            }
        }
        self.hold(&place, &tables).await?;
        let mut entries = Vec::with_capacity(tables.len());
        for table in &tables {
            match self.merged(&place, table).await? {
                Some(entry) => entries.push(entry),
                None => return Ok(None),
            }
        }
        Ok(Some(entries))
    }

    /// What a table becomes; none where its sides cannot be put together.
    async fn merged(&self, place: &Place, table: &Crossed<'_>) -> Result<Option<Entry>> {
        let Some(parted) = self.parted(place, table).await? else { return Ok(None) };
        let moment = Moment {
            now_ms: clock::now_ms(),
            head_location: &parted.dest.pointer.location,
            unique: new_uuid(),
            lists: self.catalog.lists(),
        };
        match merge(&parted.sides(), &moment, &place.warehouse).await {
            Ok(None) => Ok(Some(parted.dest.pointer.to_entry())),
            Ok(Some(metadata)) => {
                let site = self.catalog.site(place, &table.ident)?;
                match site.write(metadata, Some(&parted.dest)).await {
                    Ok(new) => {
                        self.catalog.kept().keep(&new.loaded);
                        Ok(Some(new.loaded.pointer.to_entry()))
                    }
                    Err(error) if error.kind == Kind::BadRequest => Ok(None),
                    Err(error) => Err(error),
                }
            }
            Err(NotMerged::Not(_)) => Ok(None),
            Err(NotMerged::Unavailable(error)) => Err(CatalogError::new(
                Kind::Unavailable,
                format!("the warehouse does not answer, and nothing was done: {error}"),
            )),
        }
    }
}

impl Resolve for TableMerge {
    fn resolve<'a>(
        &'a self,
        conflicts: &'a [ConflictPath],
    ) -> BoxFuture<'a, onward::Result<Option<Vec<Entry>>>> {
        async { self.put_together(conflicts).await.map_err(CatalogError::of_branch) }.boxed()
    }

    fn could<'a>(
        &'a self,
        conflicts: &'a [ConflictPath],
    ) -> BoxFuture<'a, onward::Result<Vec<bool>>> {
        async move {
            let mut could = Vec::with_capacity(conflicts.len());
            for conflict in conflicts {
                let told = self.catalog.table_conflict(&self.repo, conflict).await;
                let told = told.map_err(CatalogError::of_branch)?;
                could.push(told.is_some_and(|told| told.reason.is_none()));
            }
            Ok(could)
        }
        .boxed()
    }
}

impl fmt::Debug for TableMerge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableMerge").field("dest", &self.dest).finish_non_exhaustive()
    }
}
