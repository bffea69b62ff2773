//! Signed requests: who signs shows no secret, but what only its owner can make with it.

use super::keys::{Keys, Signing};
use super::login::{Logins, braked};
use crate::error::ApiResult;
use crate::metrics::LOGINS_FAILED;

impl Logins {
    /// The key that a request from the address `from` says it is signed with; `None` where there is none
    /// of this id. Who has failed too often is not listened to for a while, and nothing is read for him,
    /// unless a signature with the secret that the key has was right from his address before: then somebody
    /// else there has guessed, and signatures tell them apart.
    pub async fn signing(&self, from: &str, id: &str) -> ApiResult<Option<Signing>> {
        if !Keys::can_be(id, "") {
            return Ok(None);
        }
        let wait = self.brake.wait(from, id);
        if let Some(wait) = wait.filter(|_| !self.brake.was_right(from, id)) {
            return Err(braked(wait));
        }
        let Some(signing) = self.keys.signing(id).await? else {
            self.told_wrong(from, id);
            return Ok(None);
        };
        match wait {
            Some(wait) if !self.keys.has_proven(&signing) => Err(braked(wait)),
            _ => Ok(Some(signing)),
        }
    }

    /// Takes down whether a signature with a key was right.
    pub fn tell_signed(&self, from: &str, signing: &Signing, is_right: bool) {
        match is_right {
            true => {
                self.keys.prove(signing);
                self.brake.right(from, &signing.key.id);
            }
            false => self.told_wrong(from, &signing.key.id),
        }
    }

    fn told_wrong(&self, from: &str, id: &str) {
        metrics::counter!(LOGINS_FAILED).increment(1);
        self.brake.failed(from, id);
    }
}

#[cfg(test)]
mod tests {
    use super::super::brake::FAILURES_MAX;
    use super::super::{Keys, Role};
    use super::*;
    use onward::internals::objects::Objects;

    #[tokio::test]
    async fn nothing_is_read_for_who_has_to_wait() {
        let objects = Objects::open("memory://").unwrap();
        let logins = Logins::new(Keys::new(objects.clone()));
        for _ in 0..FAILURES_MAX {
            assert!(logins.signing("a", "NOBODY").await.unwrap().is_none());
        }
        // That there is no such key is remembered.
        assert_eq!(objects.counters().gets, 1);
        assert!(logins.signing("a", "NOBODY").await.is_err());
        assert_eq!(objects.counters().gets, 1);
    }

    #[tokio::test]
    async fn who_was_right_elsewhere_makes_room_for_no_guesses() {
        let logins = Logins::new(Keys::new(Objects::open("memory://").unwrap()));
        logins.keys.create(Role::Read, "somebody", Some("SOMEBODY")).await.unwrap();
        let signing = || async { logins.signing("a", "SOMEBODY").await };
        let owner = signing().await.unwrap().unwrap();
        logins.tell_signed("a", &owner, true);
        for from in ["a", "b"] {
            for _ in 0..FAILURES_MAX {
                let guessed = logins.signing(from, "SOMEBODY").await.unwrap().unwrap();
                logins.tell_signed(from, &guessed, false);
            }
        }
        assert!(logins.signing("b", "SOMEBODY").await.is_err());
        assert!(signing().await.unwrap().is_some());
        // A new secret is one that nobody has shown yet.
        logins.keys.rotate("SOMEBODY").await.unwrap();
        assert!(signing().await.is_err());
    }
}
