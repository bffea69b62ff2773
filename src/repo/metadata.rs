//! A repository's own key-value pairs, for its users: one object, which is replaced only as it was read, so that of
//! two changes at the same moment none is lost. (On local files that is compared right before it is written.)

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::commit::log::record::{decode, encode};
use crate::model::error::{Error, Result};
use crate::objects::layout;

use super::handles::Repository;

/// Pairs of a repository, at most.
pub const PAIRS_MAX: usize = 1000;

/// What they may take together, in bytes.
pub const LEN_MAX: usize = 64 * 1024;

/// How often a change is tried that others overtake.
const ATTEMPTS_MAX: usize = 10;

/// The object as it is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredPairs {
    pairs: BTreeMap<String, String>,
}

impl Repository {
    /// The pairs, as they are now.
    pub async fn metadata(&self) -> Result<BTreeMap<String, String>> {
        let key = layout::metadata(&self.live().await?.0);
        pairs_of(&key, self.onward.coordinator().objects().get(&key).await?.as_ref())
    }

    /// Changes the pairs: adds, replaces or removes some of them, as `change` does; it is asked again where others
    /// have changed them meanwhile.
    pub async fn change_metadata(
        &self,
        mut change: impl FnMut(&mut BTreeMap<String, String>),
    ) -> Result<()> {
        let _one_at_a_time = self.onward.inner.metadata.lock().await;
        let objects = self.onward.coordinator().objects();
        for _ in 0..ATTEMPTS_MAX {
            let key = layout::metadata(&self.live().await?.0);
            let old = objects.get(&key).await?;
            let mut pairs = pairs_of(&key, old.as_ref())?;
            change(&mut pairs);
            check(&pairs)?;
            if objects.change(&key, old.as_ref(), encode(&StoredPairs { pairs })?).await? {
                return Ok(());
            }
        }
        Err(Error::unavailable(
            "others change the metadata of this repository all the time: try it again",
        ))
    }
}

fn pairs_of(key: &str, stored: Option<&Bytes>) -> Result<BTreeMap<String, String>> {
    match stored {
        Some(bytes) => Ok(decode::<StoredPairs>(key, bytes)?.pairs),
        None => Ok(BTreeMap::new()),
    }
}

fn check(pairs: &BTreeMap<String, String>) -> Result<()> {
    let len: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
    if pairs.len() > PAIRS_MAX || len > LEN_MAX {
        return Err(Error::invalid(format!(
            "{} pairs of {len} bytes are over the limits of a repository's metadata, {PAIRS_MAX} pairs and {LEN_MAX} bytes: keep more than that in an object",
            pairs.len()
        )));
    }
    Ok(())
}
