//! Access to the files of tables for clients that have no credentials for the storage: credentials that are made for
//! them, where the operator allows that.
//!
//! ```text
//! wanted     what a client says of how it wants to reach files
//! address    how clients reach a bucket
//! sigv4      signatures; policy: what a session may do; sts: a session of a role
//! vending    credentials that are given to clients; recent: those that were asked for last
//! grant      what a client is told with a table
//! ```

mod address;
mod grant;
mod policy;
mod recent;
mod sigv4;
mod sts;
mod vending;
mod wanted;

pub use grant::{Delegation, Grant};
pub use wanted::Wanted;
