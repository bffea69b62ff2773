//! Tables of a place: listed, made, loaded, changed, renamed, dropped, taken over.

use std::sync::Arc;

use bytes::Bytes;
use onward::internals::clock::{self, Deadline};
use onward::internals::model::error::quoted;
use onward::read::ListItem;
use onward::{Condition, Entry};
use serde_json::{Map, Value};

use super::asked::{Asked, CREATE, files_of};
use super::deployment::Catalog;
use super::door::Who;
use super::entry::{Pointer, change};
use super::error::{CatalogError, Result};
use super::ident::{Namespace, TableIdent, table_of};
use super::lane::WAIT_MAX;
use super::loaded::{Loaded, Staged};
use super::place::{Names, Page, Place};
use super::prepare::new_uuid;
use super::submit::{Decided, Said};
use super::warehouse::is_metadata;
use super::words::{CHANGES, TABLE, UUID};
use crate::table::{CreateTable, create};

/// How often a table is renamed anew when another sidecar changes it meanwhile.
const ATTEMPTS: usize = 64;
/// The property by which engines are told to remove no files: other branches, tags and history name them.
const GC_ENABLED: &str = "gc.enabled";
/// How long clients wait before they try again, in ms: the door is held meanwhile, so that nobody has to make way.
const MIN_WAIT: (&str, &str) = ("commit.retry.min-wait-ms", "10");

/// A table that was asked to be made.
pub enum Made {
    /// It is made.
    Table(Arc<Loaded>),
    /// A commit is to make it.
    Staged(Staged),
}

impl Catalog {
    /// The tables of a namespace.
    pub async fn tables(
        &self,
        place: &Place,
        namespace: &Namespace,
        page: &Page,
    ) -> Result<Names<TableIdent>> {
        place.require_namespace(namespace).await?;
        let wanted = |last: &str, item: &ListItem| {
            let ListItem::Object(..) = item else { return None };
            TableIdent::new(namespace.clone(), table_of(last)?).ok()
        };
        place.names(&namespace.folder(), page, wanted).await
    }

    /// Fails where there is no such table. Reads no metadata.
    pub async fn require_table(&self, place: &Place, ident: &TableIdent) -> Result<()> {
        place.entry(&ident.path()?).await?.map(drop).ok_or_else(|| ident.absent())
    }

    /// Loads a table. `principal` is on his way if the door is held for him.
    pub async fn load(
        &self,
        place: &Place,
        ident: &TableIdent,
        principal: &str,
    ) -> Result<Arc<Loaded>> {
        if let Some(lane) = self.known_lane(place, ident) {
            lane.seen(principal);
        }
        let path = ident.path()?;
        let entry = place.entry(&path).await?.ok_or_else(|| ident.absent())?;
        self.kept().load(&place.warehouse, &Pointer::of(&path, &entry)?).await
    }

    /// Makes a table, or only says what it would be like.
    pub async fn create_table(
        &self,
        place: &Place,
        namespace: &Namespace,
        request: &Value,
        said: Said,
    ) -> Result<Made> {
        place.branch()?;
        place.require_namespace(namespace).await?;
        let asked = CreateTable::from_json(&with_defaults(request))?;
        let site = self.site(place, &TableIdent::new(namespace.clone(), asked.name.as_str())?)?;
        if place.entry(&site.path).await?.is_some() {
            return Err(site.ident.present());
        }
        let uuid = new_uuid();
        let location = match &asked.location {
            Some(location) => {
                place.warehouse.check(location)?;
                location.trim_end_matches('/').to_owned()
            }
            None => place.warehouse.location_for(uuid)?,
        };
        let metadata = create(&asked, uuid, &location, clock::now_ms())?;
        if asked.stage {
            // DuckDB makes no folder for the first manifest, where the storage has folders.
            place.warehouse.put(&format!("{location}/metadata/.staged"), Bytes::new()).await?;
            return Ok(Made::Staged(Staged(metadata)));
        }
        let new = site.write(metadata, None).await?;
        let said = said.message(format!("create table {}", site.ident));
        let said = said
            .pair(TABLE, site.ident.to_string())
            .pair(UUID, new.loaded.pointer.uuid.clone())
            .pair(CHANGES, CREATE.to_owned());
        match place.change(vec![new.change(&site.path)], said).await? {
            Decided::Conflict => {
                site.not_landed(&new).await;
                Err(site.ident.present())
            }
            Decided::Done | Decided::Nothing => {
                site.landed(&new, std::iter::empty());
                Ok(Made::Table(new.loaded))
            }
        }
    }

    /// Commits to a table, or makes it.
    pub async fn commit(
        &self,
        place: &Place,
        ident: &TableIdent,
        asked: Asked,
    ) -> Result<Arc<Loaded>> {
        place.branch()?;
        self.lane(place, ident)?.commit(asked).await
    }

    /// Takes over a table whose metadata lies in the warehouse.
    pub async fn register(
        &self,
        place: &Place,
        ident: &TableIdent,
        location: &str,
        overwrite: bool,
        said: Said,
    ) -> Result<Arc<Loaded>> {
        place.branch()?;
        place.require_namespace(&ident.namespace).await?;
        if !is_metadata(location) {
            return Err(CatalogError::invalid(format!(
                "'{}' is not taken over: garbage collection knows metadata by a name that ends with .json or .json.gz; copy it to such a name",
                quoted(location)
            )));
        }
        let loaded = Loaded::read(&place.warehouse, location).await?;
        check_files(place, loaded.metadata.json())?;
        place.warehouse.claim(location).await?;
        let condition = (!overwrite).then_some(Condition::Absent);
        let path = ident.path()?;
        let change = change(path, Some(loaded.pointer.to_entry()), condition);
        let said = said.message(format!("register table {ident}")).pair(TABLE, ident.to_string());
        match place.change(vec![change], said).await? {
            Decided::Conflict => Err(ident.present()),
            Decided::Done | Decided::Nothing => {
                let loaded = Arc::new(loaded);
                self.kept().keep(&loaded);
                Ok(loaded)
            }
        }
    }

    /// Takes a table off the branch. Its files stay: tags, other branches and history name them.
    pub async fn drop_table(&self, place: &Place, ident: &TableIdent, said: Said) -> Result<()> {
        place.branch()?;
        self.require_table(place, ident).await?;
        let path = ident.path()?;
        let said = said.message(format!("drop table {ident}")).pair(TABLE, ident.to_string());
        match place.change(vec![change(path, None, None)], said).await? {
            Decided::Nothing => Err(ident.absent()),
            Decided::Done | Decided::Conflict => Ok(()),
        }
    }

    /// Gives a table another name, in another namespace too.
    pub async fn rename(
        &self,
        place: &Place,
        from: &TableIdent,
        to: &TableIdent,
        said: Said,
    ) -> Result<()> {
        place.branch()?;
        if from == to {
            return Err(to.present());
        }
        let lane = self.lane(place, from)?;
        // No commit of this sidecar comes in between.
        let _lease = lane.lease(Who::default(), Deadline::after(WAIT_MAX)).await?;
        let (source, target) = (from.path()?, to.path()?);
        let said = said.message(format!("rename table {from} to {to}")).pair(TABLE, to.to_string());
        for _ in 0..ATTEMPTS {
            let paths = [source.clone(), target.clone()];
            let entries: [Option<Entry>; 2] =
                place.entries(&paths).await?.try_into().unwrap_or_default();
            let [Some(entry), None] = entries else {
                let [source, _] = entries;
                return Err(if source.is_none() { from.absent() } else { to.present() });
            };
            place.require_namespace(&to.namespace).await?;
            let unchanged = Pointer::of(&source, &entry)?.unchanged();
            let changes = vec![
                change(source.clone(), None, Some(unchanged)),
                change(target.clone(), Some(entry), Some(Condition::Absent)),
            ];
            match place.change(changes, said.clone()).await? {
                Decided::Conflict => {}
                Decided::Done | Decided::Nothing => return Ok(()),
            }
        }
        Err(super::round::outrun())
    }
}

/// A request for a table with the properties that every new one has unless it says otherwise itself: engines remove
/// none of its files, and clients come back at once.
fn with_defaults(request: &Value) -> Value {
    let mut request = request.clone();
    if let Some(asked) = request.as_object_mut() {
        let properties = asked.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if properties.is_null() {
            *properties = Value::Object(Map::new());
        }
        if let Some(properties) = properties.as_object_mut() {
            for (property, value) in [(GC_ENABLED, "false"), MIN_WAIT] {
                properties.entry(property).or_insert_with(|| Value::from(value));
            }
        }
    }
    request
}

/// Fails where metadata names files that lie elsewhere.
fn check_files(place: &Place, metadata: &Value) -> Result<()> {
    let all = |key: &str| metadata.get(key).and_then(Value::as_array).into_iter().flatten();
    let statistics = all("statistics").chain(all("partition-statistics"));
    let statistics =
        statistics.filter_map(|statistics| statistics.get("statistics-path")?.as_str());
    all("snapshots")
        .flat_map(files_of)
        .chain(statistics)
        .try_for_each(|file| place.warehouse.check(file))
}
