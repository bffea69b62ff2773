//! A repository's own key-value pairs, for its users. One object: of two changes at the same moment, in
//! two processes, the last one stays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::commit::log::record::{decode, encode};
use crate::model::error::{Error, Result};
use crate::objects::layout;

use super::handles::Repository;

/// Pairs of a repository, at most.
pub const PAIRS_MAX: usize = 1000;

/// What they may take together, in bytes.
pub const LEN_MAX: usize = 64 * 1024;

/// The object as it is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredPairs {
    pairs: BTreeMap<String, String>,
}

impl Repository {
    /// The pairs, as they are now.
    pub async fn metadata(&self) -> Result<BTreeMap<String, String>> {
        let key = layout::metadata(&self.live().await?.0);
        match self.onward.coordinator().objects().get(&key).await? {
            Some(bytes) => Ok(decode::<StoredPairs>(&key, &bytes)?.pairs),
            None => Ok(BTreeMap::new()),
        }
    }

    /// Changes the pairs: adds, replaces or removes some of them, as `change` does.
    pub async fn change_metadata(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<()> {
        // Of changes in one process none is lost; of two in two processes the last one stays.
        let _one_at_a_time = self.onward.inner.metadata.lock().await;
        let mut pairs = self.metadata().await?;
        change(&mut pairs);
        let len: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
        if pairs.len() > PAIRS_MAX || len > LEN_MAX {
            return Err(Error::invalid(format!(
                "{} pairs of {len} bytes are over the limits of a repository's metadata, {PAIRS_MAX} pairs and {LEN_MAX} bytes: keep more than that in an object",
                pairs.len()
            )));
        }
        let key = layout::metadata(&self.life().await?);
        self.onward.coordinator().objects().put(&key, encode(&StoredPairs { pairs })?).await
    }
}
