//! What tests stand on: real Redis servers, an S3 over HTTP, and things that go wrong on purpose.

pub mod branch;
pub mod clock;
pub mod disk;
pub mod faulty_store;
pub mod lake;
pub mod load;
pub mod redis;
pub mod relay;
pub mod root;
#[cfg(feature = "aws")]
pub mod s3;
pub mod seed;
pub mod sidecar;
pub mod topology;
pub mod until;
pub mod verify;
pub mod worker;
