//! Records that name things for good: repositories and incarnations of branches.
//!
//! A branch's name is decided in the object store, not in Redis: its incarnations are numbered,
//! and each number is created if absent. So two Redis servers that both believe they are the
//! primary cannot give one name to two branches.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::model::codec::{check_version, pack_versioned, unpack};
use crate::model::error::{Error, Result, short};
use crate::model::ids::{BranchUid, CommitId};
use crate::model::life::RepoLife;
use crate::model::name::{BranchName, RepoName};
use crate::objects::Objects;
use crate::objects::layout::{self, BranchKey};

use super::lake::Lake;

/// How often a change of a record is made again because another process was faster, at most.
const CHANGES_MAX: usize = 8;

const VERSION: u8 = 1;

/// The version of the record of a repository whose end was begun: programs that know of no such thing
/// must not take it for one that is there.
const ENDING_VERSION: u8 = 2;

/// How far the life of a repository has come. It only ever goes on to the next of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepoState {
    /// It is there.
    #[default]
    Live,
    /// Its deletion was begun: its branches are being ended, and nothing new is made in it.
    Ending,
    /// All its branches have ended, and what it has is being removed: nothing in it counts any more.
    Removing,
    /// Nothing is left of it but this record.
    Removed,
}

impl RepoState {
    fn is_live(&self) -> bool {
        *self == Self::Live
    }

    /// Whether what lies in the repository still counts.
    pub fn counts(self) -> bool {
        self < Self::Removing
    }
}

/// The record of one life of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoRecord {
    /// Name of the repository.
    pub name: RepoName,
    /// Its default branch.
    pub default_branch: BranchName,
    /// When it was created, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// How far its life has come.
    #[serde(default, skip_serializing_if = "RepoState::is_live")]
    pub state: RepoState,
}

impl RepoRecord {
    /// The object's bytes, in the first version that has all it says.
    pub fn encode(&self) -> Result<Bytes> {
        let version = if self.state.is_live() { VERSION } else { ENDING_VERSION };
        pack_versioned("a record", version, self)
    }

    /// Reads the record of a repository from object `key`.
    pub fn decode(key: &str, bytes: &[u8]) -> Result<Self> {
        decode_up_to(ENDING_VERSION, key, bytes)
    }

    /// The record of one life, as it is now.
    pub async fn of(objects: &Objects, life: &RepoLife) -> Result<Option<Self>> {
        let key = layout::repo(life);
        match objects.get(&key).await? {
            Some(bytes) => Self::decode(&key, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// The newest life of a name and its record; `None` where the name was never taken. Costs one
    /// read where the first life goes on, else a listing of the later ones and a read more.
    pub async fn newest(objects: &Objects, name: &RepoName) -> Result<Option<(RepoLife, Self)>> {
        let first = RepoLife::first(name.clone());
        let Some(record) = Self::of(objects, &first).await? else { return Ok(None) };
        if record.state.is_live() {
            return Ok(Some((first, record)));
        }
        // A folder without a record is of a life that nobody came to begin.
        for life in Self::later(objects, name).await?.into_iter().rev() {
            if let Some(record) = Self::of(objects, &life).await? {
                return Ok(Some((life, record)));
            }
        }
        Ok(Some((first, record)))
    }

    /// The lives of a name behind the first that have a folder, oldest first.
    async fn later(objects: &Objects, name: &RepoName) -> Result<Vec<RepoLife>> {
        let folders = objects.list_dirs(&layout::lives_dir(name)).await?;
        let numbers = folders.iter().filter_map(|folder| layout::parse_life_number(folder));
        let mut lives: Vec<_> = numbers.map(|number| RepoLife::new(name.clone(), number)).collect();
        lives.sort_unstable();
        Ok(lives)
    }

    /// The life that is newest by its folder, whatever its record says.
    pub async fn newest_folder(objects: &Objects, name: &RepoName) -> Result<RepoLife> {
        let newest = Self::later(objects, name).await?.pop();
        Ok(newest.unwrap_or_else(|| RepoLife::first(name.clone())))
    }

    /// Brings the life to `state`, unless it has come that far. Returns the record as it then is.
    pub async fn bring_to(objects: &Objects, life: &RepoLife, state: RepoState) -> Result<Self> {
        let key = layout::repo(life);
        for _ in 0..CHANGES_MAX {
            let Some(bytes) = objects.get(&key).await? else {
                return Err(Error::not_found(format!("object '{key}' is missing")));
            };
            let found = Self::decode(&key, &bytes)?;
            if found.state >= state {
                return Ok(found);
            }
            let changed = Self { state, ..found };
            if objects.replace(&key, &bytes, changed.encode()?).await? {
                return Ok(changed);
            }
        }
        Err(Error::unavailable(format!(
            "others change object '{key}' all the time: try again later"
        )))
    }
}

/// One incarnation of a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchRecord {
    /// Name of the branch.
    pub name: BranchName,
    /// Which incarnation of the name this is, counted from 1.
    pub incarnation: u32,
    /// Its uid: 64 random bits.
    pub uid: BranchUid,
    /// The commit it starts from; `None` for the first branch of a repository.
    pub start: Option<CommitId>,
    /// When it was created, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// Whether lists leave it out unless they are asked for all: a branch for one transaction.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// Encodes a record with its version.
pub fn encode<T: Serialize>(record: &T) -> Result<Bytes> {
    pack_versioned("a record", VERSION, record)
}

/// Encodes a record as a version that its kind has besides the first.
pub fn encode_as<T: Serialize>(version: u8, record: &T) -> Result<Bytes> {
    pack_versioned("a record", version, record)
}

/// Reads a record from object `key`.
pub fn decode<'a, T: Deserialize<'a>>(key: &str, bytes: &'a [u8]) -> Result<T> {
    decode_up_to(VERSION, key, bytes)
}

/// Reads a record from object `key` whose kind has so many versions.
pub fn decode_up_to<'a, T: Deserialize<'a>>(known: u8, key: &str, bytes: &'a [u8]) -> Result<T> {
    let damaged = |why: String| {
        let why = short(&why);
        Error::corrupt(format!("object '{key}' is damaged ({why}): restore it from a copy"))
    };
    let Some((version, body)) = bytes.split_first() else {
        return Err(damaged("it is empty".into()));
    };
    check_version(format_args!("object '{key}'"), *version, known)?;
    unpack(body).map_err(|error| damaged(error.to_string()))
}

impl BranchRecord {
    /// The newest incarnation of `name`, and whether it has been deleted.
    pub async fn newest(lake: &Lake, name: &BranchName) -> Result<Option<(Self, bool)>> {
        let incarnations = list(lake, &layout::branch_dir(lake.life(), name)).await?;
        let Some(newest) = incarnations.iter().map(|found| found.incarnation).max() else {
            return Ok(None);
        };
        let deleted = incarnations.iter().any(|f| f.incarnation == newest && f.deleted);
        let record = Self::read(lake, name, newest).await?;
        Ok(record.map(|record| (record, deleted)))
    }

    /// Every live branch of the repository.
    pub async fn all_live(lake: &Lake) -> Result<Vec<Self>> {
        let mut live = Vec::new();
        for each in incarnations(lake).await?.iter().filter(|each| each.live) {
            live.extend(Self::read(lake, &each.name, each.number).await?);
        }
        Ok(live)
    }

    /// Reads the record of one incarnation of a name.
    pub async fn read(lake: &Lake, name: &BranchName, incarnation: u32) -> Result<Option<Self>> {
        let key = layout::branch(lake.life(), name, incarnation);
        match lake.objects().get(&key).await? {
            Some(bytes) => decode(&key, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// The incarnation of `name` that has the given uid.
    pub async fn of_uid(lake: &Lake, name: &BranchName, uid: BranchUid) -> Result<Self> {
        let found = Self::find_uid(lake, name, uid).await?;
        found.map(|(record, _)| record).ok_or_else(|| {
            Error::not_found(format!(
                "branch '{name}' ({uid}) of repository '{}' is not in the object store",
                lake.repo()
            ))
        })
    }

    /// The incarnation of `name` that has the given uid, and whether it is over: it carries the mark
    /// of its end, or there is a newer one.
    pub async fn find_uid(
        lake: &Lake,
        name: &BranchName,
        uid: BranchUid,
    ) -> Result<Option<(Self, bool)>> {
        let found = list(lake, &layout::branch_dir(lake.life(), name)).await?;
        for BranchKey { incarnation, .. } in found.iter().filter(|key| !key.deleted) {
            let record = Self::read(lake, name, *incarnation).await?;
            if let Some(record) = record.filter(|record| record.uid == uid) {
                let ends = |key: &BranchKey| {
                    key.incarnation > *incarnation || key.incarnation == *incarnation && key.deleted
                };
                return Ok(Some((record, found.iter().any(ends))));
            }
        }
        Ok(None)
    }
}

/// One incarnation of a branch, by the names of objects alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incarnation {
    /// Name of the branch.
    pub name: BranchName,
    /// Which incarnation of the name, from 1.
    pub number: u32,
    /// Whether it is the newest of its name and carries no mark of its end. Its log may still say
    /// that it has ended.
    pub live: bool,
}

/// Every incarnation of every branch, by name and number.
pub async fn incarnations(lake: &Lake) -> Result<Vec<Incarnation>> {
    let mut found: BTreeMap<(BranchName, u32), bool> = BTreeMap::new();
    let mut newest: BTreeMap<BranchName, u32> = BTreeMap::new();
    for key in list(lake, &layout::branches_dir(lake.life())).await? {
        let newest = newest.entry(key.name.clone()).or_default();
        *newest = key.incarnation.max(*newest);
        *found.entry((key.name, key.incarnation)).or_default() |= key.deleted;
    }
    let all = found.into_iter().map(|((name, number), deleted)| {
        let live = !deleted && newest.get(&name) == Some(&number);
        Incarnation { name, number, live }
    });
    Ok(all.collect())
}

async fn list(lake: &Lake, dir: &str) -> Result<Vec<BranchKey>> {
    lake.objects()
        .list(dir, None)
        .try_filter_map(|listed| async move { Ok(layout::parse_branch(&listed.key)) })
        .try_collect()
        .await
}
