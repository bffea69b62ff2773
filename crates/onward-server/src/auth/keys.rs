//! Access keys: an id that is known, a secret that is not, and a role.
//!
//! The deployment's object store keeps them, one object for each, with the secret as an Argon2id
//! hash. A process reads a key again when what it knows of it is older than 5 s, so a key that
//! is deleted or rotated elsewhere stops working here that long after, at the latest after
//! 30 s where the storage is slow. That there is no key of an id is remembered as long. A secret that
//! was found right is remembered by a hash under a key that only this process has, so that it
//! costs one Argon2 run and not one for each request.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use onward::internals::clock::{self, Stopwatch};
use onward::internals::commit::log::record::{decode, encode};
use onward::internals::model::error::quoted;
use onward::internals::objects::{Created, Objects, layout};
use onward::{Error, Result};

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

/// Ids of which a process knows that there is no key, at most.
const ABSENT_MAX: usize = 10_000;

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

/// What is known of an id.
pub struct Look {
    id: String,
    found: Option<Known>,
    /// Whether it was read for this look, not before.
    is_new: bool,
}

impl Look {
    /// The hash of the key's secret.
    fn hash(&self) -> Option<&str> {
        self.found.as_ref().map(|known| known.key.hash.as_str())
    }
}

/// What a process remembers.
#[derive(Default)]
struct Memory {
    known: HashMap<String, Known>,
    /// When an id was looked for that no key has.
    absent: HashMap<String, Stopwatch>,
}

impl Memory {
    fn know(&mut self, id: &str, known: Known) {
        self.absent.remove(id);
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(id.to_owned(), known);
    }

    fn miss(&mut self, id: &str, read: Stopwatch) {
        self.known.remove(id);
        if self.absent.len() >= ABSENT_MAX {
            self.absent.clear();
        }
        self.absent.insert(id.to_owned(), read);
    }

    fn forget(&mut self, id: &str) {
        self.known.remove(id);
        self.absent.remove(id);
    }
}

/// The access keys of a deployment. Clones are the same.
#[derive(Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

struct Inner {
    objects: Objects,
    memory: Mutex<Memory>,
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
                memory: Mutex::default(),
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
                    Some(id) => self.read(id).await?.map(|(key, _)| key),
                    None => None,
                })
            })
            .try_collect()
            .await?;
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(keys)
    }

    /// Makes a key with a secret of its own. Fails with [`onward::ErrorKind::Conflict`] when there is
    /// one of this id.
    pub async fn create(&self, role: Role, name: &str, id: Option<&str>) -> Result<NewKey> {
        let id = id.map_or_else(new_id, str::to_owned);
        let secret = new_secret();
        let key = self.make(role, name, &id, &secret).await?;
        match self.inner.objects.create(&layout::access_key(&id), encode(&key)?).await? {
            Created::Written => {
                self.lock().forget(&id);
                Ok(NewKey { key, secret })
            }
            Created::Found(_) => Err(Error::conflict(format!(
                "access key '{id}' exists: rotate it to give it a new secret, or choose another id"
            ))),
        }
    }

    /// Makes sure that there is a key with this id, this secret and the role of an administrator.
    pub async fn ensure_admin(&self, id: &str, secret: &str) -> Result<()> {
        if let Some((key, _)) = self.read(id).await?
            && key.role == Role::Admin
            && self.matches(&key, secret).await?
        {
            return Ok(());
        }
        let key = self.make(Role::Admin, id, id, secret).await?;
        self.inner.objects.put(&layout::access_key(id), encode(&key)?).await
    }

    /// Gives a key a new secret. The old one stops working at once here, elsewhere within
    /// 5 s. Fails with [`onward::ErrorKind::Conflict`] when somebody else changed or deleted the key
    /// meanwhile.
    pub async fn rotate(&self, id: &str) -> Result<NewKey> {
        let (old, stored) = self.require(id).await?;
        let secret = new_secret();
        let made = self.make(old.role, &old.name, id, &secret).await?;
        let key = AccessKey { created_ms: old.created_ms, ..made };
        let object = layout::access_key(id);
        if !self.inner.objects.replace(&object, &stored, encode(&key)?).await? {
            return Err(Error::conflict(format!(
                "access key '{id}' was changed or deleted meanwhile: look at it with `onward key list`, and rotate it again if it is there"
            )));
        }
        self.lock().forget(id);
        Ok(NewKey { key, secret })
    }

    /// Removes a key.
    pub async fn delete(&self, id: &str) -> Result<()> {
        self.require(id).await?;
        self.inner.objects.delete(&layout::access_key(id)).await?;
        self.lock().forget(id);
        Ok(())
    }

    /// Whether there can be a key of this id and secret.
    pub fn can_be(id: &str, secret: &str) -> bool {
        layout::is_access_key_id(id) && secret.len() <= SECRET_LEN_MAX
    }

    /// The key of this id if the secret is known to be right, without an Argon2 run. Nothing is read
    /// for who shows another secret.
    pub async fn proven(&self, id: &str, secret: &str) -> Result<Option<Arc<AccessKey>>> {
        let tag = self.tag(secret);
        let is_known = self.lock().known.get(id).is_some_and(|known| is_proven(known, &tag));
        if !is_known {
            return Ok(None);
        }
        let known = self.look(id).await?.found;
        Ok(known.filter(|known| is_proven(known, &tag)).map(|known| known.key))
    }

    /// The key that was looked for, if there is one and this is its secret. What is wrong with them is
    /// nobody's business, so both cost the same: one Argon2 run, and one read if the look had none.
    pub async fn check(&self, look: Look, secret: &str) -> Result<Option<Arc<AccessKey>>> {
        let key = self.judge(&look, secret).await?;
        if key.is_some() || look.is_new {
            return Ok(key);
        }
        // It may have been made, or have got a new secret, a moment ago.
        let newer = self.refresh(&look.id).await?;
        if newer.hash() == look.hash() {
            return Ok(None);
        }
        self.judge(&newer, secret).await
    }

    async fn judge(&self, look: &Look, secret: &str) -> Result<Option<Arc<AccessKey>>> {
        let Some(known) = &look.found else {
            self.hash(secret).await?;
            return Ok(None);
        };
        if !self.matches(&known.key, secret).await? {
            return Ok(None);
        }
        let mut memory = self.lock();
        let entry = memory.known.get_mut(&look.id);
        if let Some(entry) = entry.filter(|entry| entry.key.hash == known.key.hash) {
            entry.proven = Some(self.tag(secret));
        }
        Ok(Some(Arc::clone(&known.key)))
    }

    /// What is remembered of a secret.
    fn tag(&self, secret: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.inner.own, secret.as_bytes()).as_bytes()
    }

    /// The key of this id, if there is one.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<AccessKey>>> {
        Ok(self.look(id).await?.found.map(|known| known.key))
    }

    /// What there is under an id: from memory where that is fresh enough, else from the storage.
    pub async fn look(&self, id: &str) -> Result<Look> {
        match self.remembered(id) {
            None => self.refresh(id).await,
            Some((look, false)) => Ok(look),
            // One looks whether it is still so, and waits for that a moment.
            Some((look, true)) => {
                let (keys, id) = (self.clone(), id.to_owned());
                let looking = tokio::spawn(async move { keys.refresh(&id).await });
                match tokio::time::timeout(LOOK_PATIENCE, looking).await {
                    Ok(Ok(Ok(newer))) => Ok(newer),
                    _ => Ok(look),
                }
            }
        }
    }

    /// What is remembered of an id and can be used, and whether the caller has to look whether it is
    /// still so.
    fn remembered(&self, id: &str) -> Option<(Look, bool)> {
        let mut memory = self.lock();
        let look = |found| Look { id: id.to_owned(), found, is_new: false };
        if memory.absent.get(id).is_some_and(|read| read.elapsed() <= FRESH) {
            return Some((look(None), false));
        }
        let entry = memory.known.get_mut(id)?;
        let age = entry.read.elapsed();
        let refresh = age > FRESH && !entry.refreshing;
        entry.refreshing |= refresh;
        (age < STALE_MAX).then(|| (look(Some(entry.clone())), refresh))
    }

    async fn refresh(&self, id: &str) -> Result<Look> {
        let read = Stopwatch::start();
        let found = self.read(id).await;
        let mut memory = self.lock();
        let found = match found {
            Ok(Some((key, _))) => {
                let same = memory.known.get(id).filter(|entry| entry.key.hash == key.hash);
                let proven = same.and_then(|entry| entry.proven);
                let known = Known { key: Arc::new(key), read, refreshing: false, proven };
                memory.know(id, known.clone());
                Some(known)
            }
            Ok(None) => {
                memory.miss(id, read);
                None
            }
            Err(error) => {
                if let Some(entry) = memory.known.get_mut(id) {
                    entry.refreshing = false;
                }
                return Err(error.context("access keys cannot be read"));
            }
        };
        Ok(Look { id: id.to_owned(), found, is_new: true })
    }

    /// A key with the bytes that it is stored as.
    async fn read(&self, id: &str) -> Result<Option<(AccessKey, Bytes)>> {
        if !layout::is_access_key_id(id) {
            return Ok(None);
        }
        let object = layout::access_key(id);
        match self.inner.objects.get(&object).await? {
            Some(bytes) => Ok(Some((decode(&object, &bytes)?, bytes))),
            None => Ok(None),
        }
    }

    async fn require(&self, id: &str) -> Result<(AccessKey, Bytes)> {
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

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.inner.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_proven(known: &Known, tag: &[u8; 32]) -> bool {
    known.proven.is_some_and(|proven| proven.ct_eq(tag).into())
}

fn new_id() -> String {
    let letters: String = clock::random_bytes::<8>().iter().map(|b| format!("{b:02X}")).collect();
    format!("ONWARD{letters}")
}

fn new_secret() -> String {
    URL_SAFE_NO_PAD.encode(clock::random_bytes::<SECRET_LEN>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_id_that_no_key_has_costs_an_argon2_run_too() {
        let keys = Keys::new(Objects::open("memory://").unwrap());
        let held = keys.inner.hashing.acquire_many(HASHES_MAX as u32).await.unwrap();
        let look = keys.look("nobody").await.unwrap();
        let checking = keys.check(look, "a secret");
        tokio::pin!(checking);
        let waited = tokio::time::timeout(Duration::from_secs(1), &mut checking).await;
        assert!(waited.is_err(), "it waits for its turn to hash");
        drop(held);
        assert!(checking.await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_looked_for_again_at_once() {
        let objects = Objects::open("memory://").unwrap();
        let (keys, elsewhere) = (Keys::new(objects.clone()), Keys::new(objects.clone()));
        assert!(keys.find("nobody").await.unwrap().is_none());
        let before = objects.counters().gets;
        assert!(keys.find("nobody").await.unwrap().is_none());
        assert_eq!(objects.counters().gets, before);
        // A key that is made meanwhile works at once.
        let new = elsewhere.create(Role::Read, "somebody", Some("nobody")).await.unwrap();
        let look = keys.look("nobody").await.unwrap();
        assert!(keys.check(look, &new.secret).await.unwrap().is_some());
        assert!(keys.find("nobody").await.unwrap().is_some());
    }

    #[test]
    fn misses_are_remembered_up_to_a_limit() {
        let mut memory = Memory::default();
        for n in 0..2 * ABSENT_MAX {
            memory.miss(&format!("junk{n}"), Stopwatch::start());
            assert!(memory.absent.len() <= ABSENT_MAX);
        }
    }
}
