//! Logins of people with a browser: a session, and the cookie that stands for it.
//!
//! A session is kept nowhere. Its cookie says which access key logged in, with which secret, when, and
//! when that was last used, with a code of this deployment behind it. So every sidecar of the deployment
//! knows it, and it ends when it is old or was not used, with its key, and with the secret that the key had.
//! Logging out takes the cookie from the browser; a copy of it goes on until then.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onward::internals::clock;
use onward::internals::objects::Objects;
use onward::internals::repo::access_keys::AccessKey;
use onward::{Error, Result};
use serde::{Deserialize, Serialize};

use super::codes::Codes;
use super::keys::Keys;
use super::token::fingerprint;

/// How long a session holds that nobody uses.
pub const IDLE_MAX: Duration = Duration::from_secs(3600);

/// How long one holds at most, however much it is used.
pub const LENGTH_MAX: Duration = Duration::from_secs(12 * 3600);

/// How old what a cookie says of the last use may be until a newer one is given out.
const RENEWED_AFTER: Duration = Duration::from_secs(300);

/// The longest cookie that is looked at, in bytes.
const LEN_MAX: usize = 1024;

/// What sets these codes apart from those of tokens and upload addresses.
const PURPOSE: &[u8] = b"onward 2026 session of a browser\0";

/// What says how a session is written.
const VERSION: &str = "1.";

/// What a cookie says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    /// The access key's id.
    key: String,
    /// Which secret the key had.
    secret: String,
    /// What tells this session from others of the key.
    id: String,
    /// When it began, milliseconds since the Unix epoch.
    begun_ms: i64,
    /// When it was last used, as far as a cookie was given out for that.
    used_ms: i64,
}

impl Claims {
    /// Whether it holds by the clock.
    fn is_in_time(&self, now_ms: i64) -> bool {
        let within =
            |since: i64, most: Duration| now_ms.saturating_sub(since) < most.as_millis() as i64;
        within(self.used_ms, IDLE_MAX) && within(self.begun_ms, LENGTH_MAX)
    }
}

/// Somebody who has logged in.
#[derive(Debug, Clone)]
pub struct Session {
    /// The access key that he did it with, as it is now.
    pub key: Arc<AccessKey>,
    claims: Claims,
}

impl Session {
    /// The same session, used now, where its cookie is to say so.
    pub fn renewed(&self, now_ms: i64) -> Option<Self> {
        let age_ms = now_ms.saturating_sub(self.claims.used_ms);
        (age_ms >= RENEWED_AFTER.as_millis() as i64).then(|| {
            let claims = Claims { used_ms: now_ms, ..self.claims.clone() };
            Self { key: Arc::clone(&self.key), claims }
        })
    }
}

/// Begins and recognises sessions. Clones are the same.
#[derive(Clone)]
pub struct Sessions {
    keys: Keys,
    codes: Codes,
}

impl Sessions {
    /// Sessions of the keys of a deployment.
    pub fn new(objects: Objects, keys: Keys) -> Self {
        Self { keys, codes: Codes::new(objects, PURPOSE) }
    }

    /// A session of somebody who has shown his key and its secret.
    pub fn begin(&self, key: Arc<AccessKey>, now_ms: i64) -> Session {
        let claims = Claims {
            key: key.id.clone(),
            secret: fingerprint(&key),
            id: URL_SAFE_NO_PAD.encode(clock::random_bytes::<16>()),
            begun_ms: now_ms,
            used_ms: now_ms,
        };
        Session { key, claims }
    }

    /// The value of its cookie: letters, digits, `-`, `_` and `.`.
    pub async fn cookie(&self, session: &Session) -> Result<String> {
        let claims = serde_json::to_vec(&session.claims)
            .map_err(|error| Error::internal("a session cannot be encoded").with_source(error))?;
        self.codes.sign(&format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(claims))).await
    }

    /// The session that a cookie stands for, if it is one of ours, in time, and its key is there and has
    /// the secret it was begun with.
    pub async fn read(&self, cookie: &str, now_ms: i64) -> Result<Option<Session>> {
        if cookie.len() > LEN_MAX {
            return Ok(None);
        }
        let Some(said) = self.codes.said(cookie).await? else { return Ok(None) };
        let claims = said
            .strip_prefix(VERSION)
            .and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok())
            .and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
        match claims {
            Some(claims) => self.found(claims, now_ms).await,
            None => Ok(None),
        }
    }

    /// Whether a session that was read before goes on.
    pub async fn goes_on(&self, session: &Session, now_ms: i64) -> Result<bool> {
        Ok(self.found(session.claims.clone(), now_ms).await?.is_some())
    }

    /// What a form of this session has in it, and one of no other session.
    pub async fn form_code(&self, session: &Session) -> Result<String> {
        self.codes.code(&[b"form", session.claims.id.as_bytes()]).await
    }

    async fn found(&self, claims: Claims, now_ms: i64) -> Result<Option<Session>> {
        if !claims.is_in_time(now_ms) {
            return Ok(None);
        }
        let key = self.keys.find(&claims.key).await?;
        let key = key.filter(|key| fingerprint(key) == claims.secret);
        Ok(key.map(|key| Session { key, claims }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    async fn begun() -> (Objects, Sessions, Session) {
        let objects = Objects::open("memory://").unwrap();
        let keys = Keys::new(objects.clone());
        keys.create(Role::Write, "somebody", Some("SOMEBODY")).await.unwrap();
        let key = keys.find("SOMEBODY").await.unwrap().unwrap();
        let sessions = Sessions::new(objects.clone(), keys);
        let session = sessions.begin(key, NOW_MS);
        (objects, sessions, session)
    }

    fn ms(duration: Duration) -> i64 {
        duration.as_millis() as i64
    }

    #[tokio::test]
    async fn every_sidecar_of_a_deployment_knows_a_session_and_no_other_does() {
        let (objects, sessions, session) = begun().await;
        let cookie = sessions.cookie(&session).await.unwrap();
        assert!(cookie.len() < LEN_MAX / 2);
        let elsewhere = Sessions::new(objects.clone(), Keys::new(objects));
        let found = elsewhere.read(&cookie, NOW_MS).await.unwrap().unwrap();
        assert_eq!((found.key.name.as_str(), &found.claims), ("somebody", &session.claims));
        let code = sessions.form_code(&session).await.unwrap();
        assert_eq!(elsewhere.form_code(&found).await.unwrap(), code);
        let (_, other, second) = begun().await;
        assert!(other.read(&cookie, NOW_MS).await.unwrap().is_none());
        assert_ne!(other.form_code(&second).await.unwrap(), code);
    }

    #[tokio::test]
    async fn a_cookie_that_was_changed_is_none() {
        let (objects, sessions, session) = begun().await;
        let cookie = sessions.cookie(&session).await.unwrap();
        // The last character of a code has bits that stand for nothing.
        for at in 0..cookie.len() - 1 {
            let mut changed = cookie.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(sessions.read(&changed, NOW_MS).await.unwrap().is_none(), "{at}");
        }
        // What the deployment signs for programs is no session.
        let tokens = super::super::Tokens::new(objects, sessions.keys.clone());
        let (token, _) = tokens.issue(&session.key).await.unwrap();
        for other in ["", ".", "1.", "1..", &token, &"x".repeat(LEN_MAX + 1)] {
            assert!(sessions.read(other, NOW_MS).await.unwrap().is_none(), "{other}");
        }
    }

    #[tokio::test]
    async fn a_session_ends_when_it_is_not_used_and_when_it_is_old() {
        let (_, sessions, mut session) = begun().await;
        let (idle, length, renewed) = (ms(IDLE_MAX), ms(LENGTH_MAX), ms(RENEWED_AFTER));
        assert!(sessions.goes_on(&session, NOW_MS + idle - 1).await.unwrap());
        assert!(!sessions.goes_on(&session, NOW_MS + idle).await.unwrap());
        assert!(session.renewed(NOW_MS + renewed - 1).is_none());
        // Used all the time.
        let mut now_ms = NOW_MS;
        while now_ms < NOW_MS + length {
            assert!(sessions.goes_on(&session, now_ms).await.unwrap(), "{now_ms}");
            now_ms += renewed;
            session = session.renewed(now_ms).unwrap();
            let cookie = sessions.cookie(&session).await.unwrap();
            assert_eq!(
                sessions.read(&cookie, now_ms).await.unwrap().is_some(),
                now_ms < NOW_MS + length
            );
        }
        assert!(!sessions.goes_on(&session, now_ms).await.unwrap());
    }

    #[tokio::test]
    async fn a_session_ends_with_its_key_and_with_the_secret_that_the_key_had() {
        let (_, sessions, session) = begun().await;
        let cookie = sessions.cookie(&session).await.unwrap();
        assert!(sessions.read(&cookie, NOW_MS).await.unwrap().is_some());
        sessions.keys.rotate("SOMEBODY").await.unwrap();
        assert!(sessions.read(&cookie, NOW_MS).await.unwrap().is_none());
        let key = sessions.keys.find("SOMEBODY").await.unwrap().unwrap();
        let second = sessions.begin(key, NOW_MS);
        assert!(sessions.goes_on(&second, NOW_MS).await.unwrap());
        sessions.keys.delete("SOMEBODY").await.unwrap();
        assert!(!sessions.goes_on(&second, NOW_MS).await.unwrap());
    }
}
