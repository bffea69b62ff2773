//! Onward: a commit coordinator for data lakes that never makes an ingestion job wait for luck.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod clock;
pub mod coord;
pub mod local;
pub mod model;
pub mod objects;
pub mod tree;

pub use model::error::{Error, ErrorKind, Result};
