//! A lease: who does something that one process does for all, until it goes away. Plain commands.
//!
//! It is advice, as the turn of a branch is: a holder that is paused may find another at it, and what it writes
//! has to be fenced by other means.

use std::time::Duration;

use redis::Value;

use crate::model::error::Result;
use crate::model::name::RepoName;

use super::lanes::Lanes;

/// The lease of one thing in one Redis.
#[derive(Debug, Clone)]
pub struct Lease {
    lanes: Lanes,
    key: String,
    holder: String,
    length: Duration,
}

impl Lease {
    /// That of the sink of `repo` with this own name, for `holder`, who keeps it more often than every `length`.
    pub fn of_sink(
        lanes: Lanes,
        repo: &RepoName,
        name: &str,
        holder: String,
        length: Duration,
    ) -> Self {
        Self { lanes, key: format!("onward:{{{repo}}}:sink:{name}:lease"), holder, length }
    }

    /// Takes it if nobody has it. Returns whether it is the holder's now.
    pub async fn take(&self) -> Result<bool> {
        let mut call = redis::cmd("SET");
        call.arg(&self.key).arg(&self.holder).arg("NX").arg("PX").arg(self.ms());
        if self.lanes.call("set", &call).await? != Value::Nil {
            return Ok(true);
        }
        // It may be ours: a call whose reply was lost is made again.
        self.is_held().await
    }

    /// Keeps it for another length, or takes it again where this Redis has lost it. Returns whether it is still
    /// the holder's.
    pub async fn keep(&self) -> Result<bool> {
        // One that is another's lasts a little longer so, which harms nobody.
        let mut call = redis::cmd("GETEX");
        call.arg(&self.key).arg("PX").arg(self.ms());
        match self.lanes.call("getex", &call).await? {
            Value::Nil => self.take().await,
            found => Ok(self.is_ours(&found)),
        }
    }

    /// Gives it up, so that others need not wait for its end.
    pub async fn leave(&self) -> Result<()> {
        match self.is_held().await? {
            true => self.lanes.unlink(&[&self.key]).await,
            false => Ok(()),
        }
    }

    async fn is_held(&self) -> Result<bool> {
        let mut call = redis::cmd("GET");
        call.arg(&self.key);
        Ok(self.is_ours(&self.lanes.call("get", &call).await?))
    }

    fn is_ours(&self, found: &Value) -> bool {
        matches!(found, Value::BulkString(holder) if *holder == self.holder.as_bytes())
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX)
    }
}
