//! Access keys: an id that is known, a secret that is not, and a role.
//!
//! The deployment's object store keeps them, one object for each, with the secret as an Argon2id
//! hash. A process reads a key again when what it knows of it is older than 5 s, so a key that
//! is deleted or rotated elsewhere stops working here that long after, at the latest after
//! 30 s where the storage is slow. A secret that was found right is remembered by a hash
//! under a key that only this process has, so that it costs one Argon2 run and not one for each
//! request.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::clock::{self, Stopwatch};
use crate::commit::record::{decode, encode};
use crate::model::error::{Error, Result, quoted};
use crate::objects::{Created, Objects, layout};

/// The shortest secret that a user may choose, in bytes.
pub const SECRET_LEN_MIN: usize = 16;

/// The longest.
const SECRET_LEN_MAX: usize = 256;

/// The longest name of a key's owner, in bytes.
const NAME_LEN_MAX: usize = 100;

/// How long what is known of a key is used without a look at the storage.
const FRESH: Duration = Duration::from_secs(5);

/// How long it is used while the look is under way.
const STALE_MAX: Duration = Duration::from_secs(30);

/// How long the one who looks waits for the storage before he goes by what is known.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);

/// Keys that a process knows, at most.
const KNOWN_MAX: usize = 10_000;

/// Argon2 runs at the same time, at most: each takes 19 MiB and a core.
const HASHES_MAX: usize = 2;

/// Random bytes of a secret that is made here.
const SECRET_LEN: usize = 30;

/// What a key allows.
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
    /// Its name.
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
    /// Its id.
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
    pub(super) hash: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).field("role", &self.role).finish()
    }
}

/// A key with its secret: the only time that it is seen.
pub struct NewKey {
    /// The key.
    pub key: AccessKey,
    /// Its secret.
    pub secret: String,
}

#[derive(Clone)]
struct Known {
    key: Arc<AccessKey>,
    read: Stopwatch,
    /// Whether somebody looks whether it is still so.
    refreshing: bool,
    /// The last secret that was found right, under this process's own hash.
    proven: Option<[u8; 32]>,
}

/// The access keys of a deployment. Clones are the same.
#[derive(Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

struct Inner {
    objects: Objects,
    known: Mutex<HashMap<String, Known>>,
    /// What secrets are hashed under in memory.
    own: [u8; 32],
    hashing: Semaphore,
}

impl Keys {
    /// The keys in a deployment's storage.
    pub fn new(objects: Objects) -> Self {
        Self {
            inner: Arc::new(Inner {
                objects,
                known: Mutex::default(),
                own: clock::random_bytes(),
                hashing: Semaphore::new(HASHES_MAX),
            }),
        }
    }

    /// Whether the deployment has no key yet.
    pub async fn is_empty(&self) -> Result<bool> {
        let mut listed = self.inner.objects.list(&layout::access_keys_dir(), None);
        Ok(listed.try_next().await?.is_none())
    }

    /// All keys, by id.
    pub async fn list(&self) -> Result<Vec<AccessKey>> {
        let objects = &self.inner.objects;
        let mut keys: Vec<AccessKey> = objects
            .list(&layout::access_keys_dir(), None)
            .try_filter_map(|listed| async move {
                Ok(match layout::parse_access_key(&listed.key) {
                    Some(id) => self.read(id).await?,
                    None => None,
                })
            })
            .try_collect()
            .await?;
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(keys)
    }

    /// Makes a key with a secret of its own. Fails with [`crate::ErrorKind::Conflict`] when there is
    /// one of this id.
    pub async fn create(&self, role: Role, name: &str, id: Option<&str>) -> Result<NewKey> {
        let id = id.map_or_else(new_id, str::to_owned);
        let secret = new_secret();
        let key = self.make(role, name, &id, &secret).await?;
        match self.inner.objects.create(&layout::access_key(&id), encode(&key)?).await? {
            Created::Written => Ok(NewKey { key, secret }),
            Created::Found(_) => Err(Error::conflict(format!(
                "access key '{id}' exists: rotate it to give it a new secret, or choose another id"
            ))),
        }
    }

    /// Makes sure that there is a key with this id, this secret and the role of an administrator.
    pub async fn ensure_admin(&self, id: &str, secret: &str) -> Result<()> {
        if let Some(key) = self.read(id).await?
            && key.role == Role::Admin
            && self.matches(&key, secret).await?
        {
            return Ok(());
        }
        let key = self.make(Role::Admin, id, id, secret).await?;
        self.inner.objects.put(&layout::access_key(id), encode(&key)?).await
    }

    /// Gives a key a new secret. The old one stops working at once here, elsewhere within
    /// 5 s.
    pub async fn rotate(&self, id: &str) -> Result<NewKey> {
        let old = self.require(id).await?;
        let secret = new_secret();
        let made = self.make(old.role, &old.name, id, &secret).await?;
        let key = AccessKey { created_ms: old.created_ms, ..made };
        self.inner.objects.put(&layout::access_key(id), encode(&key)?).await?;
        self.forget(id);
        Ok(NewKey { key, secret })
    }

    /// Removes a key.
    pub async fn delete(&self, id: &str) -> Result<()> {
        self.require(id).await?;
        self.inner.objects.delete(&layout::access_key(id)).await?;
        self.forget(id);
        Ok(())
    }

    /// The key of this id and secret, if there is one. What is wrong with them is nobody's business.
    pub async fn check(&self, id: &str, secret: &str) -> Result<Option<Arc<AccessKey>>> {
        if secret.len() > SECRET_LEN_MAX {
            return Ok(None);
        }
        let Some(known) = self.known(id).await? else { return Ok(None) };
        if self.is_proven(&known, secret) {
            return Ok(Some(known.key));
        }
        let mut known = known;
        if !self.matches(&known.key, secret).await? {
            // It may have got a new secret a moment ago.
            let Some(newer) = self.refresh(id).await? else { return Ok(None) };
            let same = newer.key.hash == known.key.hash;
            known = newer;
            if same || !self.matches(&known.key, secret).await? {
                return Ok(None);
            }
        }
        if let Some(entry) = self.lock().get_mut(id).filter(|e| e.key.hash == known.key.hash) {
            entry.proven = Some(*blake3::keyed_hash(&self.inner.own, secret.as_bytes()).as_bytes());
        }
        Ok(Some(known.key))
    }

    /// The key of this id if the secret is known to be right, without an Argon2 run.
    pub async fn proven(&self, id: &str, secret: &str) -> Result<Option<Arc<AccessKey>>> {
        let known = self.known(id).await?;
        Ok(known.filter(|known| self.is_proven(known, secret)).map(|known| known.key))
    }

    fn is_proven(&self, known: &Known, secret: &str) -> bool {
        let tag = blake3::keyed_hash(&self.inner.own, secret.as_bytes());
        known.proven.is_some_and(|proven| proven.ct_eq(tag.as_bytes()).into())
    }

    /// The key of this id, if there is one.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<AccessKey>>> {
        Ok(self.known(id).await?.map(|known| known.key))
    }

    async fn known(&self, id: &str) -> Result<Option<Known>> {
        if !layout::is_access_key_id(id) {
            return Ok(None);
        }
        let found = {
            let mut known = self.lock();
            let entry = known.get_mut(id);
            entry.and_then(|entry| {
                let age = entry.read.elapsed();
                let refresh = age > FRESH && !entry.refreshing;
                entry.refreshing |= refresh;
                (age < STALE_MAX).then(|| (entry.clone(), refresh))
            })
        };
        match found {
            Some((known, false)) => Ok(Some(known)),
            // One looks whether it is still so, and waits for that a moment.
            Some((known, true)) => {
                let (keys, id) = (self.clone(), id.to_owned());
                let looking = tokio::spawn(async move { keys.refresh(&id).await });
                match tokio::time::timeout(LOOK_PATIENCE, looking).await {
                    Ok(Ok(Ok(found))) => Ok(found),
                    _ => Ok(Some(known)),
                }
            }
            None => self.refresh(id).await,
        }
    }

    async fn refresh(&self, id: &str) -> Result<Option<Known>> {
        let read = Stopwatch::start();
        let found = self.read(id).await;
        let mut known = self.lock();
        match found {
            Ok(Some(key)) => {
                let same = known.get(id).filter(|entry| entry.key.hash == key.hash);
                let proven = same.and_then(|entry| entry.proven);
                let entry = Known { key: Arc::new(key), read, refreshing: false, proven };
                if known.len() >= KNOWN_MAX {
                    known.clear();
                }
                known.insert(id.to_owned(), entry.clone());
                Ok(Some(entry))
            }
            Ok(None) => {
                known.remove(id);
                Ok(None)
            }
            Err(error) => {
                if let Some(entry) = known.get_mut(id) {
                    entry.refreshing = false;
                }
                Err(error.context("access keys cannot be read"))
            }
        }
    }

    async fn read(&self, id: &str) -> Result<Option<AccessKey>> {
        if !layout::is_access_key_id(id) {
            return Ok(None);
        }
        let key = layout::access_key(id);
        match self.inner.objects.get(&key).await? {
            Some(bytes) => decode(&key, &bytes).map(Some),
            None => Ok(None),
        }
    }

    async fn require(&self, id: &str) -> Result<AccessKey> {
        self.read(id).await?.ok_or_else(|| {
            Error::not_found(format!(
                "there is no access key '{}': `onward key list` shows what there is",
                quoted(id)
            ))
        })
    }

    async fn make(&self, role: Role, name: &str, id: &str, secret: &str) -> Result<AccessKey> {
        if !layout::is_access_key_id(id) {
            return Err(Error::invalid(format!(
                "'{}' cannot be the id of an access key: use 4 to 64 letters, digits, '-' and '_'",
                quoted(id)
            )));
        }
        if name.is_empty() || name.len() > NAME_LEN_MAX || name.chars().any(char::is_control) {
            return Err(Error::invalid(format!(
                "a key's name is the one on commits: 1 to {NAME_LEN_MAX} bytes without control characters"
            )));
        }
        if !(SECRET_LEN_MIN..=SECRET_LEN_MAX).contains(&secret.len()) {
            return Err(Error::invalid(format!(
                "the secret has {} bytes: give one of {SECRET_LEN_MIN} to {SECRET_LEN_MAX}",
                secret.len()
            )));
        }
        let hash = self.hash(secret).await?;
        let now = clock::now_ms();
        let (id, name) = (id.to_owned(), name.to_owned());
        Ok(AccessKey { id, name, role, created_ms: now, rotated_ms: now, hash })
    }

    async fn hash(&self, secret: &str) -> Result<String> {
        let secret = secret.to_owned();
        self.compute(move || {
            let salt: [u8; 16] = clock::random_bytes();
            let hash = Argon2::default().hash_password_with_salt(secret.as_bytes(), &salt);
            hash.map(|hash| hash.to_string())
                .map_err(|error| Error::internal(format!("a secret cannot be hashed: {error}")))
        })
        .await
    }

    async fn matches(&self, key: &AccessKey, secret: &str) -> Result<bool> {
        let (id, hash, secret) = (key.id.clone(), key.hash.clone(), secret.to_owned());
        self.compute(move || {
            let parsed = PasswordHash::new(&hash).map_err(|_| {
                Error::corrupt(format!("the hash of access key '{id}' is damaged: rotate the key"))
            })?;
            Ok(Argon2::default().verify_password(secret.as_bytes(), &parsed).is_ok())
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let stopped = || Error::unavailable("this process is shutting down");
        let _permit = self.inner.hashing.acquire().await.map_err(|_| stopped())?;
        tokio::task::spawn_blocking(work).await.map_err(|_| stopped())?
    }

    fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_id() -> String {
    let letters: String = clock::random_bytes::<8>().iter().map(|b| format!("{b:02X}")).collect();
    format!("ONWARD{letters}")
}

fn new_secret() -> String {
    URL_SAFE_NO_PAD.encode(clock::random_bytes::<SECRET_LEN>())
}
