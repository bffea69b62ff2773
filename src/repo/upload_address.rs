//! Addresses for who writes an object into the storage himself and links it afterwards.
//!
//! An address is its own proof: the 128 bits of the object's id are the minute at which it ends (28),
//! chance (44), and a code over both with the repository, branch and path it was drawn for (56).
//! Nobody can stage, by way of it, an object that was uploaded for something else, and the object
//! needs no other name than the one in the address, which clients use as it is. Change sets name
//! objects by any address: a rename is one that names what was committed under another path.

use subtle::ConstantTimeEq;

use crate::clock;
use crate::model::error::{Error, Result};
use crate::model::path::ObjectPath;
use crate::objects::{Secret, layout};

use super::handles::Branch;
use super::named_lives::over;
use super::protection::Action;

/// How long an address can be linked, in minutes.
pub const VALID_MINUTES: i64 = 24 * 60;

const MINUTE_MS: i64 = 60_000;
const CODE_BITS: u32 = 56;
const CHANCE_BITS: u32 = 44;

const PURPOSE: &[u8] = b"onward upload address\0";

/// A place for one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadAddress {
    /// The key of the object in this deployment's storage.
    pub key: String,
    /// The URL of the object, which its entry will have as address.
    pub address: String,
    /// Until when it can be linked, milliseconds since the Unix epoch.
    pub expires_ms: i64,
}

/// What a code is over: everything of an id but the code.
fn said(id: u128) -> u128 {
    id >> CODE_BITS
}

fn expires_ms(id: u128) -> i64 {
    // 28 bits fit.
    (id >> (CODE_BITS + CHANCE_BITS)) as i64 * MINUTE_MS
}

impl Branch {
    /// A new place for what is to be linked as `path`. Nothing is written. Refused where staging is.
    #[doc(hidden)]
    pub async fn upload_address(&self, path: &ObjectPath) -> Result<UploadAddress> {
        self.check_protection(Action::Stage).await?;
        let life = self.head().await?.0.lake.life().clone();
        let minute = clock::now_ms() / MINUTE_MS + VALID_MINUTES;
        let chance = clock::random_u128() >> (u128::BITS - CHANCE_BITS);
        let said = (minute as u128) << CHANCE_BITS | chance;
        let id = said << CODE_BITS | self.code(path, said).await?;
        let key = layout::data(&life, id);
        let address = self.repo.onward.coordinator().objects().address(&key);
        Ok(UploadAddress { key, address, expires_ms: expires_ms(id) })
    }

    /// The size of what was uploaded to `address`, if that is the address of an upload in this
    /// deployment's storage and something was. Such an address must have been drawn for `path` of this
    /// branch, and be in time.
    #[doc(hidden)]
    pub async fn check_upload_address(
        &self,
        path: &ObjectPath,
        address: &str,
    ) -> Result<Option<u64>> {
        let objects = self.repo.onward.coordinator().objects();
        let key = objects.key_of(address).filter(|key| layout::parse_data(key).is_some());
        let Some(key) = key else { return Ok(None) };
        let refused = |why: &str| {
            Error::invalid(format!(
                "the address is refused: {why}; ask for a new one for this path, upload to it and link it"
            ))
        };
        let foreign = "it lies in this deployment's storage and was not given out for this path";
        let id = layout::parse_data(key).ok_or_else(|| refused(foreign))?;
        let life = layout::parse_life(key).ok_or_else(|| refused(foreign))?;
        if life != self.repo.life().await? {
            // What is remembered of the repository may be over.
            let (now, _) = self.repo.live().await?;
            if life.name() != now.name() {
                return Err(refused(foreign));
            }
            if life != now {
                return Err(over(address));
            }
        }
        let (code, shown) = (self.code(path, said(id)).await?, id & ((1 << CODE_BITS) - 1));
        if !bool::from(code.to_be_bytes().ct_eq(&shown.to_be_bytes())) {
            return Err(refused(foreign));
        }
        if expires_ms(id) < clock::now_ms() {
            return Err(refused("it has expired"));
        }
        objects.size(key).await
    }

    async fn code(&self, path: &ObjectPath, said: u128) -> Result<u128> {
        let objects = self.repo.onward.coordinator().objects();
        let secret = Secret::obtain(objects, layout::TOKEN_KEY, PURPOSE).await?;
        let (repo, branch) = (self.repo.name()?, self.branch_name()?);
        let code = secret.sign(&[
            repo.as_str().as_bytes(),
            branch.as_str().as_bytes(),
            path.as_str().as_bytes(),
            &said.to_be_bytes(),
        ]);
        let bytes = code.iter().take(CODE_BITS as usize / 8);
        Ok(bytes.fold(0, |number, byte| number << 8 | u128::from(*byte)))
    }
}
