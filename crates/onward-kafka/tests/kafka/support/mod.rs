//! What the tests stand on: a private deployment, clients that make topics and records, and what is on
//! the branch in the end.

pub mod lake;
#[path = "../../../../../tests/it/support/redis.rs"]
pub mod redis;
#[cfg(feature = "broker-tests")]
pub mod server;
pub mod topics;
#[path = "../../../../../tests/it/support/until.rs"]
pub mod until;
#[path = "../../../../../tests/it/support/worker.rs"]
pub mod worker;
