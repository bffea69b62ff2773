//! The catalog: Iceberg's namespaces and tables as entries of Onward's branches.
//!
//! A table is one entry of a branch, which names the table's present `metadata.json`; a namespace is one as well. A
//! change of either is a commit of the branch, on the condition that the entry is what it was: so log, diff, tags,
//! branches, merges and reverts are those that every branch has.
//!
//! ```text
//! ident      names, and the paths that stand for them
//! entry      what a branch says of a table and a namespace
//! place      a repository at a ref: what there is
//! warehouse  where files of tables lie; loaded: metadata read from there
//! asked      a commit as it was asked for
//! door       who is let through first; lane: all that wait for a table
//! prepare    what commits make of a table; round: one commit of the branch for all of them
//! submit     a change set on its way to its outcome
//! ```
//!
//! Everything of Iceberg is done before Onward's queue: what comes into that is a change set of a few hundred bytes.

mod asked;
mod door;
mod entry;
mod error;
mod ident;
mod known;
mod lane;
mod loaded;
mod namespaces;
mod place;
mod prepare;
mod round;
mod submit;
mod tables;
mod transaction;
mod warehouse;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use onward::internals::objects::Objects;
use onward::{Onward, RepoName};

pub use asked::{Asked, Mode};
pub use error::{CatalogError, Kind, Result};
pub use ident::{Namespace, SEPARATOR, TableIdent};
pub use known::{REMEMBERED, Recent};
pub use loaded::{Loaded, Snapshots};
pub use namespaces::Changed;
pub use place::{NAMES_MAX, Names, Page, Place};
pub use submit::Said;
pub use tables::Made;
pub use transaction::Changes;
pub use warehouse::Warehouse;

use lane::Lane;
use loaded::Kept;
use prepare::Site;

/// Lanes that are kept; those that nothing waits in go first.
const LANES_MAX: usize = 4096;
/// Snapshots that are known to have landed when the table has them no more.
const LANDED_MAX: usize = 200_000;

/// The catalogs of a deployment. Cheap to clone.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    onward: Onward,
    /// Where tables lie, if not in the deployment's own storage.
    elsewhere: Option<Objects>,
    kept: Kept,
    landed: Recent<[u8; 32], ()>,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
}

impl Catalog {
    /// The catalogs of a deployment, whose tables lie in its own storage or below another root.
    pub fn new(onward: Onward, elsewhere: Option<Objects>) -> Self {
        let landed = Recent::new(LANDED_MAX);
        Self(Arc::new(Inner {
            onward,
            elsewhere,
            kept: Kept::default(),
            landed,
            lanes: Mutex::default(),
        }))
    }

    /// The place that a warehouse or a prefix names.
    pub async fn place(&self, text: &str) -> Result<Place> {
        let warehouse = |repo: &RepoName| match &self.0.elsewhere {
            Some(objects) => Warehouse::below(objects, repo),
            None => Warehouse::own(self.0.onward.coordinator().objects(), repo),
        };
        Place::find(&self.0.onward, text, warehouse).await
    }

    fn site(&self, place: &Place, ident: &TableIdent) -> Result<Site> {
        let path = ident.path()?;
        Ok(Site { catalog: Arc::clone(&self.0), place: place.clone(), ident: ident.clone(), path })
    }

    /// The lane of a table.
    fn lane(&self, place: &Place, ident: &TableIdent) -> Result<Arc<Lane>> {
        let site = self.site(place, ident)?;
        let key = format!("{} {}", place.prefix(), site.path);
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= LANES_MAX && !lanes.contains_key(&key) {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || !lane.is_idle());
        }
        Ok(Arc::clone(lanes.entry(key).or_insert_with(|| Arc::new(Lane::new(site)))))
    }

    /// The lane of a table, if anybody has waited in it.
    fn known_lane(&self, place: &Place, ident: &TableIdent) -> Option<Arc<Lane>> {
        let key = format!("{} {}", place.prefix(), ident.path().ok()?);
        let lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.get(&key).map(Arc::clone)
    }
}
