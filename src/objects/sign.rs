//! Addresses that anybody can use for a while.

use std::time::Duration;

use super::key;
use super::store::Objects;
use crate::model::error::{Error, Result};

impl Objects {
    /// Whether it can make addresses that anybody can use for a while.
    pub fn signs(&self) -> bool {
        self.signing.is_some()
    }

    /// A URL by which anybody can read (or write, as `write` says) object `key` for as long as
    /// `valid`. Fails with [`crate::ErrorKind::InvalidInput`] where the store has none.
    pub async fn signed_url(&self, key: &str, write: bool, valid: Duration) -> Result<String> {
        let path = key::object(key)?;
        let Some(signing) = &self.signing else {
            return Err(Error::invalid(format!(
                "the storage {} cannot sign addresses: read and write through Onward",
                self.url()
            )));
        };
        let path = match &signing.prefix {
            Some(prefix) => prefix.parts().chain(path.parts()).collect(),
            None => path,
        };
        let method = if write { http::Method::PUT } else { http::Method::GET };
        let call = self.named("sign an address of", key);
        let signed = signing.signer.sign(method, &path, valid);
        let url = self.within(call, signed).await.map_err(|trouble| trouble.into_error(call))?;
        Ok(url.into())
    }
}
