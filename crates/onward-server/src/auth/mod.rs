//! Who asks, and what he may do: access keys with roles, logins, and a brake on guessing.

mod brake;
mod caller;
mod keys;
mod login;
mod token;

pub use brake::FAILURES_MAX;
pub use caller::{Admin, Caller, Reader, Writer, authenticate};
pub use keys::{AccessKey, Keys, NewKey, Role, SECRET_LEN_MIN};
pub use login::Logins;
pub use token::{TOKEN_VALID, Tokens};
