//! Signed requests: who signs shows no secret, but what only its owner can make with it.

use super::keys::{Keys, Signing};
use super::login::{Logins, braked};
use crate::error::ApiResult;
use crate::metrics::LOGINS_FAILED;

impl Logins {
    /// The key that a request from the address `from` says it is signed with; `None` where there is none
    /// of this id. Who has failed too often is not listened to for a while, unless the secret of the key was
    /// found right before: then somebody else at his address has guessed, and a signature tells them apart.
    pub async fn signing(&self, from: &str, id: &str) -> ApiResult<Option<Signing>> {
        if !Keys::can_be(id, "") {
            return Ok(None);
        }
        let wait = self.brake.wait(from, id);
        let signing = match self.keys.signing(id).await? {
            Some(signing) => signing,
            None => {
                self.told_wrong(from, id);
                return wait.map_or(Ok(None), |wait| Err(braked(wait)));
            }
        };
        match wait {
            Some(wait) if !self.keys.has_proven(&signing) => Err(braked(wait)),
            _ => Ok(Some(signing)),
        }
    }

    /// Takes down whether a signature with a key was right.
    pub fn tell_signed(&self, from: &str, signing: &Signing, is_right: bool) {
        match is_right {
            true => self.keys.prove(signing),
            false => self.told_wrong(from, &signing.key.id),
        }
    }

    fn told_wrong(&self, from: &str, id: &str) {
        metrics::counter!(LOGINS_FAILED).increment(1);
        self.brake.failed(from, id);
    }
}
