//! The catalogs of a deployment: its places, and a lane for each table that is at work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onward::internals::objects::Objects;
use onward::{Onward, RepoName};

use super::error::Result;
use super::garbage::{Garbage, GarbageOptions};
use super::ident::TableIdent;
use super::lane::Lane;
use super::loaded::Kept;
use super::measured::Looked;
use super::place::Place;
use super::prepare::Site;
use super::shared::Shared;
use super::warehouse::Warehouse;
use crate::table::Lists;

/// Lanes that are kept; those that nothing waits in go first.
const LANES_MAX: usize = 4096;

/// The catalogs of a deployment. Cheap to clone.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    /// Where tables lie, if not in the deployment's own storage.
    elsewhere: Option<Objects>,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
}

impl Catalog {
    /// The catalogs of a deployment, whose tables lie in its own storage or below another root.
    pub fn new(onward: Onward, elsewhere: Option<Objects>) -> Self {
        let shared = Arc::new(Shared::new(onward));
        Self(Arc::new(Inner { shared, elsewhere, lanes: Mutex::default() }))
    }

    /// The place that a warehouse or a prefix names.
    pub async fn place(&self, text: &str) -> Result<Place> {
        let warehouse = |repo: &RepoName| match &self.0.elsewhere {
            Some(objects) => Warehouse::below(objects, repo),
            None => Warehouse::own(self.0.shared.onward.coordinator().objects(), repo),
        };
        Place::find(&self.0.shared.onward, text, warehouse).await
    }

    /// A collection of the files of a repository's tables, beside that of the repository.
    ///
    /// # Errors
    ///
    /// Where the grace period is too short, or there is no room for temporary files.
    pub fn garbage(
        &self,
        repo: &RepoName,
        options: GarbageOptions,
    ) -> onward::Result<Arc<Garbage>> {
        let onward = self.0.shared.onward.clone();
        let own = Warehouse::own(onward.coordinator().objects(), repo);
        let elsewhere = self.0.elsewhere.as_ref().map(|root| Warehouse::below(root, repo));
        Garbage::new(own, elsewhere, options, onward)
    }

    /// Of commits that were on offer to other sidecars: how often this one was beaten behind an offer, at most, and
    /// how many versions of its table came by without it.
    #[must_use]
    pub fn beaten_and_passed_by(&self) -> (u64, u64) {
        self.0.shared.measured.most()
    }

    /// What was looked at to say whether commits have landed.
    #[must_use]
    pub fn looked(&self) -> Looked {
        self.0.shared.measured.looked()
    }

    /// Metadata that was read or written lately.
    pub(super) fn kept(&self) -> &Kept {
        &self.0.shared.kept
    }

    /// Manifest lists that were written lately.
    pub(super) fn lists(&self) -> &Lists {
        &self.0.shared.lists
    }

    /// A table of a place.
    pub(super) fn site(&self, place: &Place, ident: &TableIdent) -> Result<Site> {
        let path = ident.path()?;
        Ok(Site {
            shared: Arc::clone(&self.0.shared),
            place: place.clone(),
            ident: ident.clone(),
            name: ident.to_string(),
            path,
        })
    }

    /// The lane of a table.
    pub(super) fn lane(&self, place: &Place, ident: &TableIdent) -> Result<Arc<Lane>> {
        let site = self.site(place, ident)?;
        let key = site.key();
        let mut lanes = self.lanes();
        if let Some(lane) = lanes.get(&key) {
            return Ok(Arc::clone(lane));
        }
        if lanes.len() >= LANES_MAX {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || !lane.is_idle());
        }
        let lane = Arc::new(Lane::new(site));
        lanes.insert(key, Arc::clone(&lane));
        Ok(lane)
    }

    /// The lane of a table, if anybody has waited in it.
    pub(super) fn known_lane(&self, place: &Place, ident: &TableIdent) -> Option<Arc<Lane>> {
        let key = self.site(place, ident).ok()?.key();
        self.lanes().get(&key).map(Arc::clone)
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<String, Arc<Lane>>> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
