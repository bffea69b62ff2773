//! Secrets that all processes of a deployment share: drawn once, kept in the object store, never
//! shown. Who has one can make what only the deployment should make.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::store::Objects;
use super::write::Created;
use crate::clock;
use crate::model::error::{Error, Result};

/// The length of a secret and of the codes made with it, in bytes.
pub const SECRET_LEN: usize = 32;

/// The length of a block of SHA-256, in bytes.
const BLOCK_LEN: usize = 64;

/// A secret for codes of one purpose.
#[derive(Clone)]
pub struct Secret {
    bytes: [u8; SECRET_LEN],
    /// What sets its codes apart from those for other things.
    purpose: &'static [u8],
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The secret for `purpose` made of `bytes`.
    pub fn new(bytes: [u8; SECRET_LEN], purpose: &'static [u8]) -> Self {
        Self { bytes, purpose }
    }

    /// The secret under `key`; made when it is first asked for.
    pub async fn obtain(objects: &Objects, key: &str, purpose: &'static [u8]) -> Result<Self> {
        let found = match objects.get(key).await? {
            Some(found) => found,
            None => {
                let fresh = Bytes::copy_from_slice(&clock::random_bytes::<SECRET_LEN>());
                match objects.create(key, fresh.clone()).await? {
                    Created::Written => fresh,
                    Created::Found(theirs) => theirs,
                }
            }
        };
        let bytes = <[u8; SECRET_LEN]>::try_from(&*found).map_err(|_| {
            Error::corrupt(format!(
                "object '{key}' is damaged: delete it; what was signed with it becomes invalid, nothing else does"
            ))
        })?;
        Ok(Self::new(bytes, purpose))
    }

    /// The code for `parts`, which is another one for every other way to cut the same bytes.
    pub fn sign(&self, parts: &[&[u8]]) -> Vec<u8> {
        self.mac(parts).finalize().into_bytes().to_vec()
    }

    /// Whether `code` is the code for `parts`. Takes the same time wherever they differ.
    pub fn verifies(&self, parts: &[&[u8]], code: &[u8]) -> bool {
        self.mac(parts).verify_slice(code).is_ok()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // A key shorter than a block counts as if zeros were behind it.
        let mut block = [0; BLOCK_LEN];
        block.iter_mut().zip(self.bytes).for_each(|(to, from)| *to = from);
        let mut mac = Hmac::<Sha256>::new(&block.into()).chain_update(self.purpose);
        if let [alone] = parts {
            return mac.chain_update(alone);
        }
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_for_its_parts_and_its_purpose_alone() {
        let secret = Secret::new([7; SECRET_LEN], b"one\0");
        let code = secret.sign(&[b"ab", b"c"]);
        assert!(secret.verifies(&[b"ab", b"c"], &code));
        assert!(!secret.verifies(&[b"a", b"bc"], &code));
        assert!(!secret.verifies(&[b"ab", b"c"], &code[1..]));
        assert!(!Secret::new([7; SECRET_LEN], b"two\0").verifies(&[b"ab", b"c"], &code));
        assert!(!Secret::new([8; SECRET_LEN], b"one\0").verifies(&[b"ab", b"c"], &code));
    }
}
