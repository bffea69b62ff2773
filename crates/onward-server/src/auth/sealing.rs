//! Secrets of access keys and of sinks that can be read again: sealed under a secret of the deployment.
//!
//! HTTP shows a secret, and a hash is enough to judge it. SigV4 shows a code made with the secret, and only
//! who has the secret can make the code again. So beside its hash a key has its secret sealed: XChaCha20 and
//! Poly1305 over the secret, bound to the key's id, under what is derived from `_onward/seal-key`.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use onward::internals::clock;
use onward::internals::objects::{Objects, Secret, layout};
use onward::{Error, Result};
use tokio::sync::OnceCell;

/// What sets what is derived from the deployment's secret apart from all else.
const PURPOSE: &[u8] = b"onward 2026 sealed secrets of access keys\0";

/// What says how a secret was sealed.
const VERSION: &str = "1.";

/// The length of a nonce, in bytes: so long that drawn ones never meet.
const NONCE_LEN: usize = 24;

/// Whose secrets are sealed: what is sealed for one kind is not opened for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    AccessKey,
    Sink,
}

impl Owner {
    /// What its cipher is derived by.
    fn label(self) -> &'static [u8] {
        match self {
            Self::AccessKey => b"cipher",
            Self::Sink => b"cipher of sinks",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::AccessKey => "access key",
            Self::Sink => "sink",
        }
    }

    fn way_out(self) -> &'static str {
        match self {
            Self::AccessKey => "rotate the key",
            Self::Sink => "rotate its secret, or make it anew",
        }
    }
}

/// Seals and opens. Clones are the same.
#[derive(Clone)]
pub struct Sealing {
    objects: Objects,
    owner: Owner,
    cipher: Arc<OnceCell<XChaCha20Poly1305>>,
}

impl Sealing {
    /// Of access keys, under the secret of the deployment with this storage.
    pub fn new(objects: Objects) -> Self {
        Self { objects, owner: Owner::AccessKey, cipher: Arc::default() }
    }

    /// Of sinks, under a cipher that opens no access key.
    pub fn of_sinks(objects: Objects) -> Self {
        Self { owner: Owner::Sink, ..Self::new(objects) }
    }

    /// What is stored of the secret of `id`.
    pub async fn seal(&self, id: &str, secret: &str) -> Result<String> {
        let nonce: [u8; NONCE_LEN] = clock::random_bytes();
        let payload = Payload { msg: secret.as_bytes(), aad: id.as_bytes() };
        let sealed = self.cipher().await?.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| Error::internal("a secret cannot be sealed"))?;
        Ok(format!("{VERSION}{}", URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())))
    }

    /// The secret of `id`. Fails with [`onward::ErrorKind::Corrupt`] where it was not sealed for that, here.
    pub async fn open(&self, id: &str, sealed: &str) -> Result<String> {
        let cipher = self.cipher().await?;
        let opened = || {
            let bytes = URL_SAFE_NO_PAD.decode(sealed.strip_prefix(VERSION)?).ok()?;
            let (nonce, msg) = bytes.split_first_chunk::<NONCE_LEN>()?;
            let payload = Payload { msg, aad: id.as_bytes() };
            String::from_utf8(cipher.decrypt(&XNonce::from(*nonce), payload).ok()?).ok()
        };
        opened().ok_or_else(|| {
            Error::corrupt(format!(
                "the secret of {} '{id}' cannot be opened, because it or '{}' is damaged or of a newer program: {}",
                self.owner.name(),
                layout::SEAL_KEY,
                self.owner.way_out()
            ))
        })
    }

    async fn cipher(&self) -> Result<&XChaCha20Poly1305> {
        let derive = || async {
            let secret = Secret::obtain(&self.objects, layout::SEAL_KEY, PURPOSE).await?;
            XChaCha20Poly1305::new_from_slice(&secret.sign(&[self.owner.label()]))
                .map_err(|_| Error::internal("what secrets are sealed with has a wrong length"))
        };
        self.cipher.get_or_try_init(derive).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealing() -> Sealing {
        Sealing::new(Objects::open("memory://").unwrap())
    }

    #[tokio::test]
    async fn a_secret_is_opened_for_its_key_in_its_deployment_alone() {
        let here = sealing();
        let sealed = here.seal("KEY-ONE", "a secret of mine").await.unwrap();
        assert!(!sealed.contains("secret"));
        let elsewhere = Sealing::new(here.objects.clone());
        assert_eq!(elsewhere.open("KEY-ONE", &sealed).await.unwrap(), "a secret of mine");
        assert_ne!(here.seal("KEY-ONE", "a secret of mine").await.unwrap(), sealed);
        assert!(here.open("KEY-TWO", &sealed).await.is_err(), "of another key");
        assert!(sealing().open("KEY-ONE", &sealed).await.is_err(), "in another deployment");
        let sinks = Sealing::of_sinks(here.objects.clone());
        assert!(sinks.open("KEY-ONE", &sealed).await.is_err(), "as that of a sink");
    }

    #[tokio::test]
    async fn what_was_changed_is_not_opened() {
        let sealing = sealing();
        let sealed = sealing.seal("KEY", "a secret of mine").await.unwrap();
        let body = URL_SAFE_NO_PAD.decode(&sealed[VERSION.len()..]).unwrap();
        for at in 0..body.len() {
            let mut other = body.clone();
            other[at] ^= 1;
            let other = format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(other));
            assert!(sealing.open("KEY", &other).await.is_err(), "{at}");
        }
        for other in ["", "1.", "1.AAAA", "2.AAAA", sealed.trim_start_matches(VERSION)] {
            let error = sealing.open("KEY", other).await.unwrap_err();
            assert!(error.message().contains("rotate"), "{error}");
        }
    }
}
