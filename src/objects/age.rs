//! How old an object is, by the one clock that counts for that: the store's.

use bytes::Bytes;

use super::backend::ObjectStoreExt;
use super::key;
use super::list::Listed;
use super::store::Objects;
use crate::model::error::{Error, Result};

impl Objects {
    /// What a listing says of one object, now; `None` if absent.
    pub async fn look(&self, key: &str) -> Result<Option<Listed>> {
        let path = key::object(key)?;
        let call = self.named("look at", key);
        self.meter.get();
        match self.within(call, self.store.head(&path)).await {
            Ok(meta) => Ok(Some(Listed {
                key: key.to_owned(),
                size: meta.size,
                modified_ms: meta.last_modified.timestamp_millis(),
            })),
            Err(trouble) => self.found_absent(call, trouble).await,
        }
    }

    /// The time by the store's clock, in milliseconds since the Unix epoch: that of a small object
    /// written for it, which does not stay. Three calls.
    pub async fn store_now_ms(&self) -> Result<i64> {
        let key = self.probe_key();
        self.put(&key, Bytes::from_static(b"now")).await?;
        let looked = self.look(&key).await;
        self.delete(&key).await?;
        let listed = looked?.ok_or_else(|| {
            Error::unavailable(format!(
                "{} does not show '{key}' right after it was written: try again",
                self.url()
            ))
        })?;
        Ok(listed.modified_ms)
    }
}
