//! Two addresses of one repository: the second may be a ref alone.

use onward::model::address::{Address, RefExpr};
use onward::{Error, Result};

/// What `text` means beside `first`: an address of the same repository, or only a ref of it. A
/// path behind it is refused.
pub fn beside(first: &Address, text: &str) -> Result<Address> {
    let address = any_beside(first, text)?;
    without_path(&address)?;
    Ok(address)
}

/// The same for two refs that are compared: a prefix stands behind the first, and the second may
/// repeat it.
pub fn compared(first: &Address, text: &str) -> Result<Address> {
    let address = any_beside(first, text)?;
    match &address.path {
        Some(path) if !path.is_empty() && first.path.as_ref() != Some(path) => {
            Err(Error::invalid(format!(
                "'{text}' has a prefix of its own: give the prefix with the first address, it holds for both"
            )))
        }
        _ => Ok(address),
    }
}

fn any_beside(first: &Address, text: &str) -> Result<Address> {
    if !text.contains('/') {
        let reference: RefExpr = text.parse()?;
        return Ok(Address { repo: first.repo.clone(), reference: Some(reference), path: None });
    }
    let address: Address = text.parse()?;
    if address.repo != first.repo {
        return Err(Error::invalid(format!(
            "'{first}' and '{text}' are in two repositories: give refs of one"
        )));
    }
    address.require_ref()?;
    Ok(address)
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
