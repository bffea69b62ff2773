//! Two addresses of one repository: the second may be a ref alone.

use onward::internals::model::address::Address;
use onward::{Error, Result};

use super::session::ref_in;

/// What `text` means beside `first`: an address of the same repository, or only a ref of it. A
/// path behind it is refused.
pub fn beside(first: &Address, text: &str) -> Result<Address> {
    let reference = Some(ref_in(&first.repo, text)?);
    Ok(Address { repo: first.repo.clone(), reference, path: None })
}

/// The same for two refs that are compared: a prefix stands behind the first, and the second may
/// repeat it.
pub fn compared(first: &Address, text: &str) -> Result<Address> {
    let again = first.path.as_ref().filter(|path| !path.is_empty());
    let without = again.and_then(|path| text.strip_suffix(&format!("/{path}")));
    beside(first, without.unwrap_or(text))
}

/// Refuses a path where only `REPO/REF` is expected.
pub fn without_path(address: &Address) -> Result<()> {
    match address.path.as_deref() {
        None | Some("") => Ok(()),
        Some(path) => Err(Error::invalid(format!(
            "'{address}' has a path ('{path}') where only REPO/REF is expected"
        ))),
    }
}
