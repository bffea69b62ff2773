//! Finding out whether a store keeps what this program relies on.

use bytes::Bytes;

use super::failure::{Refusal, refused};
use super::layout;
use super::store::Objects;
use super::write::Created;
use crate::clock;
use crate::model::error::Result;

impl Objects {
    /// Finds out whether the store can be written, read, listed and deleted from, and whether its
    /// put-if-absent really refuses the second writer: a store that ignores the condition would
    /// let a branch have two histories. Leaves nothing behind.
    pub async fn probe(&self) -> Result<()> {
        let key = self.probe_key();
        let outcome = self.probe_with(&key).await;
        let cleaned = self.delete(&key).await;
        outcome
            .and(cleaned)
            .map_err(|error| error.context(format!("the storage {} cannot be used", self.url())))
    }

    /// A fresh key for something that is removed again.
    pub fn probe_key(&self) -> String {
        layout::probe(clock::random_u64())
    }

    async fn probe_with(&self, key: &str) -> Result<()> {
        let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
        let call = self.named("probe", key);
        let written = self.create(key, first.clone()).await?;
        let found = self.create(key, second).await?;
        if written != Created::Written || found != Created::Found(first) {
            return Err(refused(call, Refusal::Unsupported));
        }
        Ok(())
    }
}
