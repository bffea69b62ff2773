//! What commits that wait make of a table: judged against its head, and written to the warehouse, before anything of
//! it comes into Onward's queue.

use std::sync::Arc;

use onward::internals::clock;
use onward::internals::model::error::quoted;
use onward::{Condition, Entry, ObjectPath, PathChange};
use uuid::Uuid;

use super::asked::{Asked, Mode, ReadAhead};
use super::entry::{Lost, Pointer, change};
use super::error::{CatalogError, Kind, Result};
use super::ident::TableIdent;
use super::learned::Learned;
use super::loaded::Loaded;
use super::packed;
use super::place::Place;
use super::shared::Shared;
use super::warehouse::first_of;
use crate::table::{Ahead, How, Landing, Metadata, Moment, NotApplied, Refused, Waiting, land};

/// A table of a place.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) shared: Arc<Shared>,
    pub(super) place: Place,
    pub(super) ident: TableIdent,
    /// The name, as commits of the branch say it.
    pub(super) name: String,
    pub(super) path: ObjectPath,
}

/// What becomes of one commit, if what was prepared is committed.
#[derive(Debug)]
pub(super) enum Judged {
    /// It lands with what was prepared.
    Lands,
    /// It has landed before: this is the table now.
    Known(Arc<Loaded>),
    /// Others were first.
    Stale(CatalogError),
    /// It is refused.
    Refused(CatalogError),
    /// It is judged in the next round.
    Later,
    /// So it is, and more of the log is read for it then.
    Sought,
}

/// What a table would become.
pub(super) struct Prepared {
    /// The table as it was; none where there is none.
    pub(super) head: Option<Arc<Loaded>>,
    /// One for each commit, in their order.
    pub(super) judged: Vec<Judged>,
    /// The table with all that lands; none where nothing does.
    pub(super) new: Option<New>,
}

/// What a table loses with new metadata.
pub(super) struct Listed {
    /// What the entry says of it.
    pub(super) lost: Lost,
    /// Files that were written for it, and are nobody's should that come to nothing.
    pub(super) files: Vec<String>,
}

/// New metadata, which lies in the warehouse and is named by nothing yet.
pub(super) struct New {
    pub(super) loaded: Arc<Loaded>,
    condition: Condition,
    /// Files that were written with it.
    files: Vec<String>,
}

impl New {
    /// The change of the branch that makes it the table's.
    pub(super) fn change(&self, path: &ObjectPath) -> PathChange {
        change(path.clone(), Some(self.loaded.pointer.to_entry()), Some(self.condition.clone()))
    }
}

impl Site {
    /// What tells its table from all others.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.place.prefix(), self.path)
    }

    /// Judges commits in their order, each on top of those before it, and writes what comes of them.
    pub(super) async fn prepare(
        &self,
        entry: Option<&Entry>,
        asked: &[&Asked],
        learned: &mut Learned,
    ) -> Result<Prepared> {
        let Some(entry) = entry else { return self.begin(asked, learned).await };
        let pointer = Pointer::of(&self.path, entry)?;
        let head = self.shared.kept.load(&self.place.warehouse, &pointer).await?;
        let judged = self.judge_known(Some(&head), asked, learned).await?;
        let open: Vec<&Asked> = asked
            .iter()
            .zip(&judged)
            .filter(|(_, judged)| judged.is_none())
            .map(|(asked, _)| *asked)
            .collect();
        let (mut results, new) = match open.is_empty() {
            true => (Vec::new(), None),
            false => self.land(&head, &open).await,
        };
        self.judge_stale(&head, &open, &mut results, learned).await;
        let mut results = results.into_iter();
        let judged = judged
            .into_iter()
            .map(|alone| alone.or_else(|| results.next()).unwrap_or(Judged::Later))
            .collect();
        Ok(Prepared { head: Some(head), judged, new })
    }

    /// Brings commits onto the head and writes what comes of them.
    ///
    /// Where all of them together make more than metadata may be, the first goes alone and the others wait: who is
    /// refused is refused for what he asks himself.
    async fn land(&self, head: &Arc<Loaded>, open: &[&Asked]) -> (Vec<Judged>, Option<New>) {
        let waiting: Vec<Waiting<'_>> = open
            .iter()
            .map(|asked| Waiting {
                commit: &asked.commit,
                commutes: match asked.mode {
                    Mode::Usual => None,
                    Mode::Commute => Some(true),
                    Mode::Optimistic => Some(false),
                },
                ahead: asked.ahead.as_ref().map(|ahead| &ahead.read),
            })
            .collect();
        let moment = Moment {
            now_ms: clock::now_ms(),
            head_location: &head.pointer.location,
            unique: new_uuid(),
            lists: &self.shared.lists,
        };
        let landing = land(&head.metadata, &waiting, &moment, &self.place.warehouse).await;
        let stands: Vec<bool> =
            open.iter().map(|asked| landing.has(&asked.commit, &head.metadata)).collect();
        let Landing { metadata, results } = landing;
        let is_new = metadata.is_some();
        let mut judged: Vec<Judged> = results
            .into_iter()
            .zip(stands)
            .map(|(result, stands)| match result {
                Ok(_) if stands && !is_new => Judged::Known(Arc::clone(head)),
                // It is known by one of these that did not land, or that another of these took away again.
                Ok(How::Known) if !stands => Judged::Later,
                Ok(_) => Judged::Lands,
                Err(refused) => told(refused),
            })
            .collect();
        let Some(metadata) = metadata else { return (judged, None) };
        match self.write(metadata, Some(head)).await {
            Ok(new) => (judged, Some(new)),
            Err(error) if error.kind == Kind::BadRequest && open.len() > 1 => {
                Box::pin(self.land(head, open.get(..1).unwrap_or_default())).await
            }
            Err(error) => {
                let lands = judged.iter_mut().filter(|judged| matches!(judged, Judged::Lands));
                lands.for_each(|judged| *judged = Judged::Refused(error.clone()));
                (judged, None)
            }
        }
    }

    /// What the table, and what this sidecar remembers, say of a commit without its requirements.
    pub(super) fn judge_alone(&self, head: Option<&Arc<Loaded>>, asked: &Asked) -> Option<Judged> {
        let known = |head: &Arc<Loaded>| Judged::Known(Arc::clone(head));
        let Some(head) = head else { return self.landed_elsewhere(asked) };
        let uuid = &head.pointer.uuid;
        if asked.creates() {
            return (asked.makes() == Some(uuid.as_str())).then(|| known(head));
        }
        if asked.is_of_another(uuid) {
            return self.landed_elsewhere(asked);
        }
        let snapshots = &asked.who.snapshots;
        let has_landed =
            |id: &i64| self.has_landed(uuid, *id) || head.metadata.snapshot(*id).is_some();
        (!snapshots.is_empty() && snapshots.iter().all(has_landed)).then(|| known(head))
    }

    /// Makes the table, where one of the commits does.
    async fn begin(&self, asked: &[&Asked], learned: &mut Learned) -> Result<Prepared> {
        self.place.require_namespace(&self.ident.namespace).await?;
        let mut prepared = Prepared { head: None, judged: Vec::new(), new: None };
        for (asked, known) in asked.iter().zip(self.judge_known(None, asked, learned).await?) {
            let judged = match (&prepared.new, known) {
                (Some(_), _) => Judged::Later,
                (None, Some(known)) => known,
                (None, None) => match self.make(asked).await {
                    Ok(new) => {
                        prepared.new = Some(new);
                        Judged::Lands
                    }
                    Err(error) => Judged::Refused(error),
                },
            };
            prepared.judged.push(judged);
        }
        Ok(prepared)
    }

    async fn make(&self, asked: &Asked) -> Result<New> {
        let metadata =
            asked.commit.apply(None, clock::now_ms(), None).map_err(|error| match error {
                NotApplied::Invalid(invalid) => CatalogError::from(invalid),
                NotApplied::Stale(failed) => CatalogError::from(failed),
            })?;
        self.place.warehouse.check(metadata.location())?;
        self.write(metadata, None).await
    }

    /// What is said of a commit that has landed, where the table is not here any more.
    fn landed_elsewhere(&self, asked: &Asked) -> Option<Judged> {
        let uuid = asked.of_table().filter(|uuid| self.has_all_landed(uuid, asked))?;
        Some(Judged::Refused(elsewhere(uuid)))
    }

    /// The table as it is, where it is known here without looking that a commit to it has landed: such a one waits
    /// for nobody.
    pub(super) async fn known(&self, asked: &Asked) -> Option<Arc<Loaded>> {
        let uuid = asked.of_table().filter(|uuid| self.has_all_landed(uuid, asked))?;
        let entry = self.place.entry(&self.path).await.ok()??;
        let pointer = Pointer::of(&self.path, &entry).ok()?;
        let is_the_same = pointer.uuid.eq_ignore_ascii_case(uuid);
        let head = is_the_same.then(|| self.shared.kept.load(&self.place.warehouse, &pointer));
        head?.await.ok()
    }

    /// Reads what a commit brings along before its turn comes, where there is a place for it; else its round does.
    pub(super) async fn read_ahead(&self, asked: &mut Asked) {
        if let Ok(place) = Arc::clone(&self.shared.ahead).try_acquire_owned() {
            let read = Ahead::read(&asked.commit, &self.place.warehouse).await;
            asked.ahead = Some(Arc::new(ReadAhead { read, _place: Some(place) }));
        }
    }

    /// Writes new metadata to the warehouse, and what the table loses with it.
    pub(super) async fn write(
        &self,
        metadata: Metadata,
        previous: Option<&Arc<Loaded>>,
    ) -> Result<New> {
        let name = match previous {
            // Of the chance only so much that tries of one table differ: some storages have narrow names.
            None => format!("{}{:012x}", first_of(metadata.uuid()), new_uuid().as_u128() >> 80),
            Some(previous) => {
                format!("{:05}-{}", version_of(&previous.pointer.location) + 1, new_uuid())
            }
        };
        let location = format!(
            "{}/metadata/{name}{}",
            metadata.location().trim_end_matches('/'),
            packed::ends(&metadata)
        );
        let previous = previous.map(Arc::as_ref);
        let lost = self.list_lost(&metadata, previous);
        let (mut loaded, bytes) = Loaded::new(location, metadata.clone())?;
        let written = self.place.warehouse.put(&loaded.pointer.location, bytes);
        let (Listed { lost, files }, ()) = tokio::try_join!(lost, written)?;
        loaded.pointer.lost = lost;
        let faults = self.shared.onward.coordinator().faults();
        faults.pass("iceberg-written").await?;
        let condition = previous.map_or(Condition::Absent, |previous| previous.pointer.unchanged());
        Ok(New { loaded: Arc::new(loaded), condition, files })
    }

    /// Takes down that new metadata is the table's.
    pub(super) fn landed<'a>(&self, new: &New, asked: impl Iterator<Item = &'a Asked>) {
        self.shared.kept.keep(&new.loaded);
        let uuid = &new.loaded.pointer.uuid;
        for id in asked.flat_map(|asked| &asked.who.snapshots) {
            self.shared.landed.insert(self.landed_key(uuid, *id), ());
        }
    }

    /// Takes down that new metadata is nothing that anybody will ever name.
    pub(super) async fn not_landed(&self, new: &New) {
        for file in new.files.iter().chain([&new.loaded.pointer.location]) {
            self.place.warehouse.forget(file).await;
        }
    }

    fn has_all_landed(&self, uuid: &str, asked: &Asked) -> bool {
        let ids = &asked.who.snapshots;
        !ids.is_empty() && ids.iter().all(|id| self.has_landed(uuid, *id))
    }

    fn has_landed(&self, uuid: &str, snapshot: i64) -> bool {
        self.shared.landed.get(&self.landed_key(uuid, snapshot)).is_some()
    }

    fn landed_key(&self, uuid: &str, snapshot: i64) -> [u8; 32] {
        let uuid = uuid.to_ascii_lowercase();
        let text = format!("{} {uuid} {snapshot}", self.place.prefix());
        *blake3::hash(text.as_bytes()).as_bytes()
    }
}

/// What a client is told whose commit has landed in a table that is not under its name any more.
pub(super) fn elsewhere(uuid: &str) -> CatalogError {
    CatalogError::new(
        Kind::CommitStateUnknown,
        format!(
            "it was committed to the table of uuid {}, which was renamed or dropped since: nothing is to be sent again",
            quoted(uuid)
        ),
    )
}

/// A uuid of chance.
pub(super) fn new_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(clock::random_bytes()).into_uuid()
}

/// The number that the name of a file of metadata begins with, which counts the versions of a table.
pub(super) fn version_of(location: &str) -> u64 {
    let name = location.rsplit('/').next().unwrap_or_default();
    let name = name.strip_prefix('v').unwrap_or(name);
    let digits = name.split(['-', '.']).next().unwrap_or_default();
    digits.parse::<u64>().unwrap_or_default().min(u64::MAX - 1)
}

fn told(refused: Refused) -> Judged {
    match refused {
        Refused::Invalid(invalid) => Judged::Refused(invalid.into()),
        Refused::Stale { failed, not_rebasable } => {
            Judged::Stale(CatalogError::commit_failed(format!(
                "Requirement failed: {}; not brought onto the head: {not_rebasable}",
                failed.message()
            )))
        }
        Refused::Unavailable(error) => Judged::Refused(CatalogError::new(
            Kind::Unavailable,
            format!("the warehouse does not answer, and nothing was done: {error}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_counted_by_the_names_of_files() {
        for (location, version) in [
            ("file:///w/t/metadata/00041-0f3a.metadata.json", 41),
            ("s3://b/t/metadata/v7.metadata.json", 7),
            ("s3://b/t/metadata/odd.json", 0),
            ("99999999999999999999-x", 0),
            ("", 0),
        ] {
            assert_eq!(version_of(location), version, "{location}");
        }
    }
}
