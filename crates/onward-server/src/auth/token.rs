//! Logins: JSON Web Tokens (RFC 7519) that this deployment signs and nobody else reads.
//!
//! One algorithm (HS256) and one shape of claims: a library for all of JOSE would be more to get
//! wrong. A token names its access key and the secret the key had; it ends with either.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::codes::Codes;
use super::keys::Keys;
use onward::internals::clock;
use onward::internals::objects::Objects;
use onward::internals::repo::access_keys::AccessKey;
use onward::{Error, Result};

/// How long a login holds.
pub const TOKEN_VALID: Duration = Duration::from_secs(3600);

/// The longest token that is looked at, in bytes.
const LEN_MAX: usize = 2048;

/// What sets these codes apart from those of upload addresses. A token's code is over
/// `header.claims`, which begins with the header: that is what sets it apart.
const PURPOSE: &[u8] = b"";

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

#[derive(Serialize, Deserialize)]
struct Claims {
    /// The access key's id.
    sub: String,
    /// When it was issued, seconds since the Unix epoch.
    iat: i64,
    /// When it ends, seconds since the Unix epoch.
    exp: i64,
    /// Which secret the key had.
    key: String,
}

/// Issues and reads tokens.
#[derive(Clone)]
pub struct Tokens {
    keys: Keys,
    codes: Codes,
}

impl Tokens {
    /// Tokens for the keys of a deployment.
    pub fn new(objects: Objects, keys: Keys) -> Self {
        Self { keys, codes: Codes::new(objects, PURPOSE) }
    }

    /// A token for `key`, and when it ends, seconds since the Unix epoch.
    pub async fn issue(&self, key: &AccessKey) -> Result<(String, i64)> {
        let iat = clock::now_ms() / 1000;
        let exp = iat + TOKEN_VALID.as_secs() as i64;
        let claims = Claims { sub: key.id.clone(), iat, exp, key: fingerprint(key) };
        let claims = serde_json::to_vec(&claims)
            .map_err(|error| Error::internal("a token cannot be encoded").with_source(error))?;
        let said = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(claims));
        Ok((self.codes.sign(&said).await?, exp))
    }

    /// The key that a token stands for, if it is one of ours and in time.
    pub async fn check(&self, token: &str) -> Result<Option<Arc<AccessKey>>> {
        if token.len() > LEN_MAX {
            return Ok(None);
        }
        let Some(said) = self.codes.said(token).await? else { return Ok(None) };
        let claims = said
            .split_once('.')
            .filter(|(header, _)| *header == URL_SAFE_NO_PAD.encode(HEADER))
            .and_then(|(_, claims)| URL_SAFE_NO_PAD.decode(claims).ok())
            .and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
        let Some(claims) = claims.filter(|claims| claims.exp > clock::now_ms() / 1000) else {
            return Ok(None);
        };
        let key = self.keys.find(&claims.sub).await?;
        Ok(key.filter(|key| fingerprint(key) == claims.key))
    }
}

/// Tells a key's secrets apart without giving one away.
pub(super) fn fingerprint(key: &AccessKey) -> String {
    let hash = blake3::derive_key("onward 2026 token of access key", key.hash.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.get(..9).unwrap_or_default())
}
