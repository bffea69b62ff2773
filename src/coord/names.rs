//! Names of a repository's branches: plain commands and `unname.lua`.
//!
//! The object store decides what a name stands for; Redis has a copy that is repaired by use.

use redis::Value;

use crate::model::error::{Error, Result};
use crate::model::ids::BranchUid;
use crate::model::name::BranchName;

use super::call::ScriptCall;
use super::lanes::Lanes;
use super::reply::{Reply, int};
use super::script::UNNAME;

/// Names of a page, about.
const PAGE: usize = 500;

/// The field that says that all names were put here: no name of a branch is empty. It goes when the
/// names are lost.
const WHOLE: &str = "";

/// The names of one repository's branches in one Redis.
#[derive(Debug, Clone)]
pub struct RedisNames {
    lanes: Lanes,
    key: String,
}

impl RedisNames {
    /// The names that are kept under `key`, see [`branches_key`](super::keys::branches_key).
    pub fn new(lanes: Lanes, key: String) -> Self {
        Self { lanes, key }
    }

    /// The incarnation that `name` stands for, as this Redis knows it.
    pub async fn find(&self, name: &BranchName) -> Result<Option<BranchUid>> {
        let mut call = redis::cmd("HGET");
        call.arg(&self.key).arg(name.as_str());
        match self.lanes.call("hget", &call).await? {
            Value::BulkString(text) => parse_uid(&text).map(Some),
            _ => Ok(None),
        }
    }

    /// Makes `name` stand for `uid`. The object store has decided that it does.
    pub async fn name(&self, name: &BranchName, uid: BranchUid) -> Result<()> {
        let mut call = redis::cmd("HSET");
        call.arg(&self.key).arg(name.as_str()).arg(uid.to_string());
        self.lanes.call("hset", &call).await.map(drop)
    }

    /// Makes `name` stand for `uid` unless it stands for something already.
    pub async fn name_anew(&self, name: &BranchName, uid: BranchUid) -> Result<()> {
        let mut call = redis::cmd("HSETNX");
        call.arg(&self.key).arg(name.as_str()).arg(uid.to_string());
        self.lanes.call("hsetnx", &call).await.map(drop)
    }

    /// Whether all names were put here once, and were not lost since.
    pub async fn are_whole(&self) -> Result<bool> {
        let mut call = redis::cmd("HGET");
        call.arg(&self.key).arg(WHOLE);
        Ok(self.lanes.call("hget", &call).await? != Value::Nil)
    }

    /// Notes that all names are here.
    pub async fn note_whole(&self) -> Result<()> {
        let mut call = redis::cmd("HSET");
        call.arg(&self.key).arg(WHOLE).arg("1");
        self.lanes.call("hset", &call).await.map(drop)
    }

    /// A page of the names, from 0 on, and which comes next: 0 behind the last. A name that was there
    /// all the time is on one of them at least.
    pub async fn page(&self, page: u64) -> Result<(Vec<(BranchName, BranchUid)>, u64)> {
        let mut call = redis::cmd("HSCAN");
        call.arg(&self.key).arg(page).arg("COUNT").arg(PAGE);
        let mut reply = Reply::new("hscan", self.lanes.call("hscan", &call).await?)?;
        let next = reply.text()?.parse().map_err(|_| Error::internal("HSCAN gave no cursor"))?;
        let mut names = Vec::new();
        let mut flat = reply.list()?.into_iter();
        while let (Some(name), Some(uid)) = (flat.next(), flat.next()) {
            let name = std::str::from_utf8(&name).ok().and_then(|name| BranchName::new(name).ok());
            if let Some(name) = name {
                names.push((name, parse_uid(&uid)?));
            }
        }
        Ok((names, next))
    }

    /// Removes `name` if it stands for `uid`. Returns whether it did.
    pub async fn unname(&self, name: &BranchName, uid: BranchUid) -> Result<bool> {
        let mut call = ScriptCall::on(&UNNAME, &[&self.key]);
        call.bytes(name.as_str()).text(uid);
        Ok(int(UNNAME.name, &self.lanes.run(&call).await?)? == 1)
    }

    /// Forgets all names: their repository is deleted.
    pub async fn forget(&self) -> Result<()> {
        self.lanes.unlink(&[&self.key]).await
    }
}

pub(crate) fn parse_uid(text: &[u8]) -> Result<BranchUid> {
    String::from_utf8_lossy(text)
        .parse()
        .map_err(|error: Error| Error::corrupt(format!("a branch uid in Redis: {error}")))
}
