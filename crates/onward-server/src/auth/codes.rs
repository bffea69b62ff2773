//! Texts that this deployment has signed: what is kept by others, and must come back as it was.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onward::Result;
use onward::internals::objects::{Objects, Secret, layout};
use tokio::sync::OnceCell;

/// Signs and checks texts of one purpose, by a secret that all sidecars of a deployment share. Clones
/// are the same.
#[derive(Clone)]
pub struct Codes {
    objects: Objects,
    purpose: &'static [u8],
    secret: Arc<OnceCell<Secret>>,
}

impl Codes {
    /// Codes of one purpose, by the secret in a deployment's storage.
    pub fn new(objects: Objects, purpose: &'static [u8]) -> Self {
        Self { objects, purpose, secret: Arc::default() }
    }

    /// A text with its code behind it: `SAID.CODE`.
    pub async fn sign(&self, said: &str) -> Result<String> {
        let code = self.secret().await?.sign(&[said.as_bytes()]);
        Ok(format!("{said}.{}", URL_SAFE_NO_PAD.encode(code)))
    }

    /// What is said by a text that [`Self::sign`] has made, here or in another sidecar.
    pub async fn said<'a>(&self, signed: &'a str) -> Result<Option<&'a str>> {
        let Some((said, code)) = signed.rsplit_once('.') else { return Ok(None) };
        let Ok(code) = URL_SAFE_NO_PAD.decode(code) else { return Ok(None) };
        Ok(self.secret().await?.verifies(&[said.as_bytes()], &code).then_some(said))
    }

    /// The code for several parts alone, which is none of [`Self::sign`].
    #[cfg(feature = "page")]
    pub async fn code(&self, parts: &[&[u8]]) -> Result<String> {
        Ok(URL_SAFE_NO_PAD.encode(self.secret().await?.sign(parts)))
    }

    async fn secret(&self) -> Result<&Secret> {
        let read = || Secret::obtain(&self.objects, layout::TOKEN_KEY, self.purpose);
        self.secret.get_or_try_init(read).await
    }
}
