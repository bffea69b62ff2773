//! Secrets of access keys: made, hashed, compared.
//!
//! Stored is an Argon2id hash. A secret that was found right is remembered by a hash under a key that
//! only this process has, so that it costs one Argon2 run and not one for each request.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onward::internals::clock;
use onward::internals::repo::access_keys::AccessKey;
use onward::{Error, Result};
use tokio::sync::Semaphore;

/// The shortest secret that a user may choose, in bytes.
pub const SECRET_LEN_MIN: usize = 16;

/// The longest secret that is listened to, in bytes.
pub const SECRET_LEN_MAX: usize = 256;

/// Argon2 runs at the same time, at most: each takes 19 MiB and a core.
pub const HASHES_MAX: usize = 2;

/// Random bytes of a secret that is made here.
const SECRET_LEN: usize = 30;

/// What stands for a secret in memory.
pub type Tag = [u8; 32];

/// Hashes and compares.
pub struct Secrets {
    /// What secrets are hashed under in memory.
    own: [u8; 32],
    pub(super) hashing: Semaphore,
}

impl Secrets {
    /// With a key of its own.
    pub fn new() -> Self {
        Self { own: clock::random_bytes(), hashing: Semaphore::new(HASHES_MAX) }
    }

    /// A secret that nobody can guess.
    pub fn make() -> String {
        URL_SAFE_NO_PAD.encode(clock::random_bytes::<SECRET_LEN>())
    }

    /// What is remembered of a secret.
    pub fn tag(&self, secret: &str) -> Tag {
        *blake3::keyed_hash(&self.own, secret.as_bytes()).as_bytes()
    }

    /// The hash that is stored.
    pub async fn hash(&self, secret: &str) -> Result<String> {
        let secret = secret.to_owned();
        self.compute(move || {
            let salt: [u8; 16] = clock::random_bytes();
            let hash = Argon2::default().hash_password_with_salt(secret.as_bytes(), &salt);
            hash.map(|hash| hash.to_string())
                .map_err(|error| Error::internal(format!("a secret cannot be hashed: {error}")))
        })
        .await
    }

    /// Whether this is the secret of a key.
    pub async fn matches(&self, key: &AccessKey, secret: &str) -> Result<bool> {
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
        let _permit = self.hashing.acquire().await.map_err(|_| stopped())?;
        tokio::task::spawn_blocking(work).await.map_err(|_| stopped())?
    }
}
