//! Records that name things for good: repositories and incarnations of branches.
//!
//! A branch's name is decided in the object store, not in Redis: its incarnations are numbered,
//! and each number is created if absent. So two Redis servers that both believe they are the
//! primary cannot give one name to two branches.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::model::codec::{check_version, pack_versioned, unpack};
use crate::model::error::{Error, Result, short};
use crate::model::ids::{BranchUid, CommitId};
use crate::model::name::{BranchName, RepoName};
use crate::objects::layout::{self, BranchKey};

use super::lake::Lake;

const VERSION: u8 = 1;

/// The record of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoRecord {
    /// Name of the repository.
    pub name: RepoName,
    /// Its default branch.
    pub default_branch: BranchName,
    /// When it was created, milliseconds since the Unix epoch.
    pub created_ms: i64,
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
pub fn encode<T: Serialize>(record: &T) -> Result<bytes::Bytes> {
    pack_versioned("a record", VERSION, record)
}

/// Reads a record from object `key`.
pub fn decode<'a, T: Deserialize<'a>>(key: &str, bytes: &'a [u8]) -> Result<T> {
    let damaged = |why: String| {
        let why = short(&why);
        Error::corrupt(format!("object '{key}' is damaged ({why}): restore it from a copy"))
    };
    let Some((version, body)) = bytes.split_first() else {
        return Err(damaged("it is empty".into()));
    };
    check_version(format_args!("object '{key}'"), *version, VERSION)?;
    unpack(body).map_err(|error| damaged(error.to_string()))
}

impl BranchRecord {
    /// The newest incarnation of `name`, and whether it has been deleted.
    pub async fn newest(lake: &Lake, name: &BranchName) -> Result<Option<(Self, bool)>> {
        let incarnations = list(lake, &layout::branch_dir(lake.repo(), name)).await?;
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
        let key = layout::branch(lake.repo(), name, incarnation);
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
        let found = list(lake, &layout::branch_dir(lake.repo(), name)).await?;
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
    for key in list(lake, &layout::branches_dir(lake.repo())).await? {
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
