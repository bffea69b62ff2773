//! Onward: a commit coordinator for data lakes that never makes an ingestion job wait for luck.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod clock;
pub mod commit;
pub mod coord;
pub mod local;
pub mod model;
pub mod objects;
pub mod repo;
pub mod tree;

pub use model::entry::Entry;
pub use model::error::{Error, ErrorKind, Result};
pub use repo::{Config, Onward, Outcome};
