//! Namespaces of a place: made, read, changed, dropped.

use std::collections::{BTreeMap, BTreeSet};

use onward::Condition;
use onward::read::ListItem;

use super::entry::{change, namespace_entry, properties_of};
use super::error::{CatalogError, Kind, Result};
use super::ident::{Namespace, ROOT, level_of};
use super::place::{Names, Page, Place};
use super::submit::{Decided, Said};

/// How often a change of properties is made anew when somebody else changes them meanwhile.
const ATTEMPTS: usize = 64;

/// Which properties a request changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Set by it.
    pub updated: Vec<String>,
    /// Taken away by it.
    pub removed: Vec<String>,
    /// Asked to be taken away, and not there.
    pub missing: Vec<String>,
}

impl Place {
    /// The namespaces directly in `parent`, or the first levels that there are.
    pub async fn namespaces(
        &self,
        parent: Option<&Namespace>,
        page: &Page,
    ) -> Result<Names<Namespace>> {
        if let Some(parent) = parent {
            self.require_namespace(parent).await?;
        }
        let above = parent.map_or(&[][..], Namespace::levels);
        let wanted = |last: &str, item: &ListItem| {
            let ListItem::CommonPrefix(_) = item else { return None };
            let level = level_of(last.strip_suffix('/')?)?;
            Namespace::new(above.iter().cloned().chain([level]).collect()).ok()
        };
        let folder = parent.map_or_else(|| ROOT.to_owned(), Namespace::folder);
        let names = self.names(&folder, page, wanted).await?;
        if names.items.is_empty() && parent.is_none() {
            self.require().await?;
        }
        Ok(names)
    }

    /// The properties of a namespace.
    pub async fn namespace(&self, namespace: &Namespace) -> Result<BTreeMap<String, String>> {
        let marker = namespace.marker()?;
        match self.entry(&marker).await? {
            Some(entry) => properties_of(&marker, &entry),
            None if self.has_below(&namespace.folder(), None).await? => Ok(BTreeMap::new()),
            None => Err(namespace.absent()),
        }
    }

    /// Fails where there is no such namespace.
    pub(super) async fn require_namespace(&self, namespace: &Namespace) -> Result<()> {
        self.namespace(namespace).await.map(drop)
    }

    /// Makes a namespace.
    pub async fn create_namespace(
        &self,
        namespace: &Namespace,
        properties: &BTreeMap<String, String>,
        said: Said,
    ) -> Result<()> {
        let entry = namespace_entry(properties)?;
        let change = change(namespace.marker()?, Some(entry), Some(Condition::Absent));
        let said = said.message(format!("create namespace {namespace}"));
        match self.change(vec![change], said).await? {
            Decided::Conflict => Err(CatalogError::new(
                Kind::AlreadyExists,
                format!("Namespace already exists: {namespace}"),
            )),
            Decided::Done | Decided::Nothing => Ok(()),
        }
    }

    /// Sets and takes away properties of a namespace.
    pub async fn update_namespace(
        &self,
        namespace: &Namespace,
        removals: &BTreeSet<String>,
        updates: &BTreeMap<String, String>,
        said: Said,
    ) -> Result<Changed> {
        if let Some(both) = removals.iter().find(|key| updates.contains_key(*key)) {
            return Err(CatalogError::new(
                Kind::Unprocessable,
                format!("property '{both}' is to be set and to be taken away: ask for one of them"),
            ));
        }
        let said = said.message(format!("change properties of namespace {namespace}"));
        let marker = namespace.marker()?;
        for _ in 0..ATTEMPTS {
            let there = self.entry(&marker).await?;
            let mut properties = match &there {
                Some(entry) => properties_of(&marker, entry)?,
                None => self.namespace(namespace).await?,
            };
            let (removed, missing) =
                removals.iter().cloned().partition(|key| properties.remove(key).is_some());
            properties.extend(updates.clone());
            let unchanged =
                there.map_or(Condition::Absent, |entry| Condition::Checksum(entry.checksum));
            let change =
                change(marker.clone(), Some(namespace_entry(&properties)?), Some(unchanged));
            match self.change(vec![change], said.clone()).await? {
                Decided::Conflict => {}
                Decided::Done | Decided::Nothing => {
                    let updated = updates.keys().cloned().collect();
                    return Ok(Changed { updated, removed, missing });
                }
            }
        }
        Err(CatalogError::new(
            Kind::Unavailable,
            "others changed the properties again and again meanwhile, and nothing was done: try again",
        ))
    }

    /// Removes an empty namespace.
    pub async fn drop_namespace(&self, namespace: &Namespace, said: Said) -> Result<()> {
        self.require_namespace(namespace).await?;
        let marker = namespace.marker()?;
        if self.has_below(&namespace.folder(), Some(&marker)).await? {
            return Err(CatalogError::new(
                Kind::NamespaceNotEmpty,
                format!("Namespace {namespace} is not empty: drop what is in it first"),
            ));
        }
        let said = said.message(format!("drop namespace {namespace}"));
        match self.change(vec![change(marker, None, None)], said).await? {
            Decided::Nothing => Err(namespace.absent()),
            Decided::Done | Decided::Conflict => Ok(()),
        }
    }
}
