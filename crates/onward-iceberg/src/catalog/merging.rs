//! Tables in merges of branches: what both branches appended to a table is put together before the merge is queued,
//! on the condition that the table of the destination is as it was looked at.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use onward::internals::clock::{self, Deadline};
use onward::internals::repo::resolve::Resolve;
use onward::{ConflictPath, Entry};
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
struct Crossed {
    ident: TableIdent,
    base: Arc<Loaded>,
    source: Arc<Loaded>,
    dest: Arc<Loaded>,
}

impl Crossed {
    fn sides(&self) -> Sides<'_> {
        let Self { base, source, dest, .. } = self;
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

    /// The tables of conflicts; none where one is of something else.
    async fn crossed(&self, conflicts: &[ConflictPath]) -> Result<Option<Vec<Crossed>>> {
        let place = self.place().await?;
        let mut tables = Vec::with_capacity(conflicts.len());
        for conflict in conflicts {
            let Some(ident) = TableIdent::of_path(&conflict.path) else { return Ok(None) };
            let ConflictPath { base: Some(base), source: Some(source), dest: Some(dest), .. } =
                conflict
            else {
                return Ok(None);
            };
            let mut sides = Vec::with_capacity(3);
            for entry in [base, source, dest] {
                match self.catalog.loaded(&place, &conflict.path, entry).await {
                    Ok(loaded) => sides.push(loaded),
                    Err(error) if error.kind == Kind::Unavailable => return Err(error),
                    // Damage is told with the conflict.
                    Err(_) => return Ok(None),
                }
            }
            let Ok([base, source, dest]) = <[Arc<Loaded>; 3]>::try_from(sides) else {
                return Ok(None);
            };
            tables.push(Crossed { ident, base, source, dest });
        }
        Ok(Some(tables))
    }

    /// Waits until the tables are this merge's alone in this process, in the order in which everybody waits.
    async fn hold(&self, place: &Place, tables: &[Crossed]) -> Result<()> {
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
        let Some(tables) = self.crossed(conflicts).await? else { return Ok(None) };
        // Nothing is read or written for one of them that would be of no use.
        if tables.iter().any(|table| kept_apart(&table.sides()).is_some()) {
            return Ok(None);
        }
        let place = self.place().await?;
        self.hold(&place, &tables).await?;
        let mut entries = Vec::with_capacity(tables.len());
        for table in &tables {
            let moment = Moment {
                now_ms: clock::now_ms(),
                head_location: &table.dest.pointer.location,
                unique: new_uuid(),
            };
            let pointer = match merge(&table.sides(), &moment, &place.warehouse).await {
                Ok(None) => table.dest.pointer.clone(),
                Ok(Some(metadata)) => {
                    let site = self.catalog.site(&place, &table.ident)?;
                    match site.write(metadata, Some(&table.dest.pointer)).await {
                        Ok(new) => {
                            self.catalog.kept().keep(&new.loaded);
                            new.loaded.pointer.clone()
                        }
                        Err(error) if error.kind == Kind::BadRequest => return Ok(None),
                        Err(error) => return Err(error),
                    }
                }
                Err(NotMerged::Not(_)) => return Ok(None),
                Err(NotMerged::Unavailable(error)) => {
                    return Err(CatalogError::new(
                        Kind::Unavailable,
                        format!("the warehouse does not answer, and nothing was done: {error}"),
                    ));
                }
            };
            entries.push(pointer.to_entry());
        }
        Ok(Some(entries))
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
