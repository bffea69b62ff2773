//! Access keys as a deployment keeps them: in its object store, one object for each, which a change
//! overwrites.
//!
//! This room keeps them and does not judge them: how a secret is hashed and proven, and what a role may
//! do, is for the one who asks for a key (the sidecar).

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::commit::log::record::{decode, encode};
use crate::model::error::{Error, Result, quoted};
use crate::objects::{Created, Objects, layout};

/// What a key allows; each role allows what those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looking at everything.
    Read,
    /// Changing what is in repositories.
    Write,
    /// Making and deleting repositories, rules, and whatever else there is.
    Admin,
}

impl Role {
    /// The name of the role, as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Read, Self::Write, Self::Admin]
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "'{}' is not a role: there are read, write and admin",
                    quoted(text)
                ))
            })
    }
}

/// An access key, without its secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct AccessKey {
    /// The id, by which it is asked for.
    pub id: String,
    /// Whose it is: the name on commits.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// When it got its present secret, milliseconds since the Unix epoch.
    pub rotated_ms: i64,
    /// The secret's hash, in the PHC string format.
    pub hash: String,
    /// The secret, sealed under a secret of the deployment: what SigV4 needs. `None` in keys of programs
    /// that did not know S3, which drop it with the secret that they replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).field("role", &self.role).finish()
    }
}

/// An access key as it was read, which can be replaced while it is still so.
pub struct StoredKey {
    /// The key that was read.
    pub key: AccessKey,
    bytes: Bytes,
}

/// The access keys in the storage of a deployment.
#[derive(Debug, Clone)]
pub struct AccessKeys(Objects);

impl AccessKeys {
    /// Those in this storage.
    pub fn new(objects: Objects) -> Self {
        Self(objects)
    }

    /// Whether a key may have this id: 4 to 64 letters, digits, `-` and `_`.
    pub fn can_be(id: &str) -> bool {
        layout::is_access_key_id(id)
    }

    /// Keeps the folder of keys and secrets from other users of this machine, where the storage is a
    /// file system.
    pub async fn keep_private(&self) -> Result<()> {
        self.0.keep_private(layout::PRIVATE_DIR).await
    }

    /// Whether there is none yet.
    pub async fn is_empty(&self) -> Result<bool> {
        let mut listed = self.0.list(&layout::access_keys_dir(), None);
        Ok(listed.try_next().await?.is_none())
    }

    /// All of them, by id.
    pub async fn list(&self) -> Result<Vec<AccessKey>> {
        let mut keys: Vec<AccessKey> = self
            .0
            .list(&layout::access_keys_dir(), None)
            .try_filter_map(|listed| async move {
                Ok(match layout::parse_access_key(&listed.key) {
                    Some(id) => self.read(id).await?.map(|stored| stored.key),
                    None => None,
                })
            })
            .try_collect()
            .await?;
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(keys)
    }

    /// The key of this id, if there is one.
    pub async fn read(&self, id: &str) -> Result<Option<StoredKey>> {
        if !Self::can_be(id) {
            return Ok(None);
        }
        let object = layout::access_key(id);
        match self.0.get(&object).await? {
            Some(bytes) => Ok(Some(StoredKey { key: decode(&object, &bytes)?, bytes })),
            None => Ok(None),
        }
    }

    /// Keeps a new key. Returns false where there is one of its id, which stays.
    pub async fn create(&self, key: &AccessKey) -> Result<bool> {
        let created = self.0.create(&layout::access_key(&key.id), encode(key)?).await?;
        Ok(matches!(created, Created::Written))
    }

    /// Keeps a key whether there is one of its id or not.
    pub async fn put(&self, key: &AccessKey) -> Result<()> {
        self.0.put(&layout::access_key(&key.id), encode(key)?).await
    }

    /// Puts `key` in the place of what was read under its id. Returns false where somebody else has
    /// changed or deleted that since.
    pub async fn replace(&self, read: &StoredKey, key: &AccessKey) -> Result<bool> {
        self.0.replace(&layout::access_key(&key.id), &read.bytes, encode(key)?).await
    }

    /// Removes the key of this id, if there is one.
    pub async fn delete(&self, id: &str) -> Result<()> {
        self.0.delete(&layout::access_key(id)).await
    }
}
