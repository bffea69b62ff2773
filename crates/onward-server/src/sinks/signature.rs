//! Signatures of webhooks, as the Standard Webhooks specification has them: HMAC-SHA256 over id, time and body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use onward::internals::clock;
use onward::{Error, Result};
use sha2::Sha256;

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// The bytes of a secret that is drawn here; the specification has 24 to 64.
const DRAWN_LEN: usize = 32;

/// A new secret.
pub fn draw() -> String {
    format!("{PREFIX}{}", STANDARD.encode(clock::random_bytes::<DRAWN_LEN>()))
}

/// Fails where a text is no secret: `whsec_`, and 24 to 64 bytes in base64.
pub fn check(secret: &str) -> Result<()> {
    match key(secret) {
        Some(key) if (24..=64).contains(&key.len()) => Ok(()),
        _ => Err(Error::invalid("a secret is whsec_ and 24 to 64 bytes in base64 behind it")),
    }
}

fn key(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()
}

/// What the header `webhook-signature` says: one signature by each secret.
pub fn sign(secrets: &[String], id: &str, seconds: i64, body: &[u8]) -> Result<String> {
    let signatures = secrets.iter().map(|secret| {
        let wrong = || Error::corrupt("the secret of a sink is damaged: rotate it");
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&key(secret).ok_or_else(wrong)?).map_err(|_| wrong())?;
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    Ok(signatures.collect::<Result<Vec<_>>>()?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_reference_implementations_do() {
        // The example that they all have in their tests.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        let signed = sign(std::slice::from_ref(&secret), id, 1_614_265_330, body).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = sign(&[draw(), secret], id, 1_614_265_330, body).unwrap();
        assert!(two.ends_with(&format!(" {signed}")) && two.matches("v1,").count() == 2);
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        check(&draw()).unwrap();
        assert_ne!(draw(), draw());
        for wrong in ["", "whsec_", "whsec_YWJj", "whsec_!", &draw()[6..]] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
