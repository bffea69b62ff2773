//! Who asks, and what he may do: access keys with roles, logins, and a brake on guessing.

mod brake;
mod caller;
mod codes;
mod keys;
mod login;
mod memory;
mod sealing;
mod secrets;
#[cfg(feature = "page")]
mod sessions;
#[cfg(feature = "s3")]
mod signed;
mod token;

pub use brake::FAILURES_MAX;
#[cfg(feature = "iceberg")]
pub(crate) use caller::basic;
pub use caller::{Admin, Caller, Reader, Writer, authenticate};
#[cfg(feature = "page")]
pub(crate) use caller::{admit, require_own_page};
pub use keys::{Keys, NewKey, Signing};
pub use login::Logins;
pub use onward::internals::repo::access_keys::{AccessKey, Role};
pub(crate) use sealing::Sealing;
pub use secrets::SECRET_LEN_MIN;
#[cfg(feature = "page")]
pub use sessions::{Session, Sessions};
pub use token::{TOKEN_VALID, Tokens};
