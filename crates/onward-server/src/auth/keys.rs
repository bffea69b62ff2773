//! Access keys: an id that is known, a secret that is not, and a role.
//!
//! The deployment's object store keeps them (`AccessKeys` of the library). A process reads a key again
//! when what it knows of it is older than 5 s, so a key that is deleted or rotated elsewhere stops working
//! here that long after, at the latest after 30 s where the storage is slow. That there is no key of an id
//! is remembered as long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onward::internals::clock::{self, Stopwatch};
use onward::internals::model::error::quoted;
use onward::internals::objects::Objects;
use onward::internals::repo::access_keys::{AccessKey, AccessKeys, Role, StoredKey};
use onward::{Error, ErrorKind, Result};

use super::memory::{Known, Memory, Remembered};
use super::sealing::Sealing;
use super::secrets::{SECRET_LEN_MAX, SECRET_LEN_MIN, Secrets};

/// The longest name of a key's owner, in bytes.
const NAME_LEN_MAX: usize = 100;

/// How long the one who looks waits for the storage before he goes by what is known.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);

/// A key with its secret: the only time that it is seen.
pub struct NewKey {
    /// The key, as it is kept.
    pub key: AccessKey,
    /// Its secret, which is shown this once.
    pub secret: String,
}

/// A key with what its signatures are made with.
pub struct Signing {
    /// The key, with the role that its owner has.
    pub key: Arc<AccessKey>,
    /// Its secret, which signatures are made with.
    pub secret: String,
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

/// The access keys of a deployment. Clones are the same.
#[derive(Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

struct Inner {
    stored: AccessKeys,
    memory: Mutex<Memory>,
    secrets: Secrets,
    sealing: Sealing,
}

impl Keys {
    /// The keys in a deployment's storage.
    pub fn new(objects: Objects) -> Self {
        Self {
            inner: Arc::new(Inner {
                stored: AccessKeys::new(objects.clone()),
                memory: Mutex::default(),
                secrets: Secrets::new(),
                sealing: Sealing::new(objects),
            }),
        }
    }

    /// Keeps them from other users of this machine.
    pub async fn keep_private(&self) -> Result<()> {
        self.inner.stored.keep_private().await
    }

    /// Whether the deployment has no key yet.
    pub async fn is_empty(&self) -> Result<bool> {
        self.inner.stored.is_empty().await
    }

    /// All keys, by id.
    pub async fn list(&self) -> Result<Vec<AccessKey>> {
        self.inner.stored.list().await
    }

    /// Makes a key with a secret of its own. Fails with [`onward::ErrorKind::Conflict`] when there is
    /// one of this id.
    pub async fn create(&self, role: Role, name: &str, id: Option<&str>) -> Result<NewKey> {
        let id = id.map_or_else(new_id, str::to_owned);
        let secret = Secrets::make();
        let key = self.make(role, name, &id, &secret).await?;
        if !self.inner.stored.create(&key).await? {
            return Err(Error::conflict(format!(
                "access key '{id}' exists: rotate it to give it a new secret, or choose another id"
            )));
        }
        self.lock().forget(&id);
        Ok(NewKey { key, secret })
    }

    /// Makes sure that there is a key with this id, this secret and the role of an administrator, which
    /// can sign too.
    pub async fn ensure_admin(&self, id: &str, secret: &str) -> Result<()> {
        if let Some(stored) = self.inner.stored.read(id).await?
            && stored.key.role == Role::Admin
            && stored.key.sealed.is_some()
            && self.inner.secrets.matches(&stored.key, secret).await?
        {
            return Ok(());
        }
        self.inner.stored.put(&self.make(Role::Admin, id, id, secret).await?).await
    }

    /// A key, without its secret.
    pub async fn show(&self, id: &str) -> Result<AccessKey> {
        Ok(self.require(id).await?.key)
    }

    /// Gives a key a new secret. The old one stops working at once here, elsewhere within
    /// 5 s. Fails with [`onward::ErrorKind::Conflict`] when somebody else changed or deleted the key
    /// meanwhile.
    pub async fn rotate(&self, id: &str) -> Result<NewKey> {
        let old = self.require(id).await?;
        let secret = Secrets::make();
        let made = self.make(old.key.role, &old.key.name, id, &secret).await?;
        let key = AccessKey { created_ms: old.key.created_ms, ..made };
        if !self.inner.stored.replace(&old, &key).await? {
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
        self.inner.stored.delete(id).await?;
        self.lock().forget(id);
        Ok(())
    }

    /// Whether there can be a key of this id and secret.
    pub fn can_be(id: &str, secret: &str) -> bool {
        AccessKeys::can_be(id) && secret.len() <= SECRET_LEN_MAX
    }

    /// The key of this id if the secret is known to be right, without an Argon2 run. Nothing is read
    /// for who shows another secret.
    pub async fn proven(&self, id: &str, secret: &str) -> Result<Option<Arc<AccessKey>>> {
        let tag = self.inner.secrets.tag(secret);
        if !self.lock().is_proven(id, &tag) {
            return Ok(None);
        }
        let known = self.look(id).await?.found;
        Ok(known.filter(|known| known.is_proven(&tag)).map(|known| known.key))
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
        let secrets = &self.inner.secrets;
        let Some(known) = &look.found else {
            secrets.hash(secret).await?;
            return Ok(None);
        };
        if !secrets.matches(&known.key, secret).await? {
            return Ok(None);
        }
        self.lock().prove(&look.id, &known.key.hash, secrets.tag(secret));
        Ok(Some(Arc::clone(&known.key)))
    }

    /// The key of this id and what its signatures are made with; `None` where there is no key of it. Fails
    /// with [`onward::ErrorKind::Forbidden`] where the key is of a program that did not keep that.
    pub async fn signing(&self, id: &str) -> Result<Option<Signing>> {
        let Some(Known { key, .. }) = self.look(id).await?.found else { return Ok(None) };
        let Some(sealed) = &key.sealed else {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!(
                    "access key '{id}' was made before keys could sign requests: an administrator has to give it a new secret"
                ),
            )
            .at_the_prompt(format!("`onward key rotate {id}` does")));
        };
        let secret = self.inner.sealing.open(id, sealed).await?;
        Ok(Some(Signing { key, secret }))
    }

    /// The key of this id, if there is one.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<AccessKey>>> {
        Ok(self.look(id).await?.found.map(|known| known.key))
    }

    /// Remembers that a secret is right, because a signature that was made with it came.
    #[cfg(feature = "s3")]
    pub fn prove(&self, signing: &Signing) {
        let tag = self.inner.secrets.tag(&signing.secret);
        let mut memory = self.lock();
        if !memory.is_proven(&signing.key.id, &tag) {
            memory.prove(&signing.key.id, &signing.key.hash, tag);
        }
    }

    /// Whether the secret was found right before.
    #[cfg(feature = "s3")]
    pub fn has_proven(&self, signing: &Signing) -> bool {
        let tag = self.inner.secrets.tag(&signing.secret);
        self.lock().is_proven(&signing.key.id, &tag)
    }

    /// What there is under an id: from memory where that is fresh enough, else from the storage.
    pub async fn look(&self, id: &str) -> Result<Look> {
        let remembered = self.lock().recall(id);
        let old = |found| Look { id: id.to_owned(), found, is_new: false };
        match remembered {
            Remembered::Nothing => self.refresh(id).await,
            Remembered::Usable(found) => Ok(old(found)),
            // One looks whether it is still so, and waits for that a moment.
            Remembered::Aging(known) => {
                let (keys, id) = (self.clone(), id.to_owned());
                let looking = tokio::spawn(async move { keys.refresh(&id).await });
                match tokio::time::timeout(LOOK_PATIENCE, looking).await {
                    Ok(Ok(Ok(newer))) => Ok(newer),
                    _ => Ok(old(Some(known))),
                }
            }
        }
    }

    async fn refresh(&self, id: &str) -> Result<Look> {
        let read = Stopwatch::start();
        let stored = self.inner.stored.read(id).await;
        let mut memory = self.lock();
        let found = match stored {
            Ok(Some(stored)) => Some(memory.know(id, stored.key, read)),
            Ok(None) => {
                memory.miss(id, read);
                None
            }
            Err(error) => {
                memory.failed(id);
                return Err(error.context("access keys cannot be read"));
            }
        };
        Ok(Look { id: id.to_owned(), found, is_new: true })
    }

    async fn require(&self, id: &str) -> Result<StoredKey> {
        self.inner.stored.read(id).await?.ok_or_else(|| {
            Error::not_found(format!("there is no access key '{}'", quoted(id)))
                .at_the_prompt("`onward key list` shows what there is")
        })
    }

    async fn make(&self, role: Role, name: &str, id: &str, secret: &str) -> Result<AccessKey> {
        if !AccessKeys::can_be(id) {
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
        let hash = self.inner.secrets.hash(secret).await?;
        let sealed = Some(self.inner.sealing.seal(id, secret).await?);
        let now = clock::now_ms();
        let (id, name) = (id.to_owned(), name.to_owned());
        Ok(AccessKey { id, name, role, created_ms: now, rotated_ms: now, hash, sealed })
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.inner.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_id() -> String {
    let letters: String = clock::random_bytes::<8>().iter().map(|b| format!("{b:02X}")).collect();
    format!("ONWARD{letters}")
}

#[cfg(test)]
mod tests {
    use super::super::secrets::HASHES_MAX;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_id_that_no_key_has_costs_an_argon2_run_too() {
        let keys = Keys::new(Objects::open("memory://").unwrap());
        let held = keys.inner.secrets.hashing.acquire_many(HASHES_MAX as u32).await.unwrap();
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

    #[tokio::test]
    async fn what_a_key_signs_with_is_its_secret_until_it_is_rotated_or_deleted() {
        let objects = Objects::open("memory://").unwrap();
        let (keys, elsewhere) = (Keys::new(objects.clone()), Keys::new(objects.clone()));
        let new = elsewhere.create(Role::Write, "somebody", Some("SOMEBODY")).await.unwrap();
        let found = keys.signing("SOMEBODY").await.unwrap().unwrap();
        assert_eq!((found.secret, found.key.role), (new.secret.clone(), Role::Write));
        let rotated = keys.rotate("SOMEBODY").await.unwrap();
        assert_ne!(rotated.secret, new.secret);
        assert_eq!(keys.signing("SOMEBODY").await.unwrap().unwrap().secret, rotated.secret);
        keys.delete("SOMEBODY").await.unwrap();
        assert!(keys.signing("SOMEBODY").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_key_of_an_older_program_signs_once_it_has_a_new_secret() {
        let objects = Objects::open("memory://").unwrap();
        let (keys, stored) = (Keys::new(objects.clone()), AccessKeys::new(objects.clone()));
        let secret = "a-secret-of-16-bytes-or-more";
        for id in ["OLD-KEY", "OLD-ADMIN"] {
            let made = keys.make(Role::Admin, id, id, secret).await.unwrap();
            stored.put(&AccessKey { sealed: None, ..made }).await.unwrap();
            let error = keys.signing(id).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Forbidden);
            assert!(error.to_string().contains("new secret"), "{error}");
        }
        let rotated = keys.rotate("OLD-KEY").await.unwrap();
        assert_eq!(keys.signing("OLD-KEY").await.unwrap().unwrap().secret, rotated.secret);
        // The administrator's pair of the settings needs no new one.
        keys.ensure_admin("OLD-ADMIN", secret).await.unwrap();
        let anew = Keys::new(objects);
        assert_eq!(anew.signing("OLD-ADMIN").await.unwrap().unwrap().secret, secret);
    }
}
