//! The guarantees, against real servers: one binary, so that the crate is linked once.

// Futures of tests hold those of the whole library.
#![recursion_limit = "256"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and may look at the clock of the machine it runs on"
)]
#![allow(
    missing_docs,
    dead_code,
    reason = "support serves many tests, not all in every feature set"
)]
mod support;

mod campaign;
mod cli;
mod commits;
mod events;
mod exporting;
mod gc;
mod guarantees;
mod history;
mod iceberg;
mod import;
mod lives;
mod local;
mod merge_trial;
mod merging;
mod model;
mod objects;
mod page;
mod pages;
mod protection;
mod reading;
mod relay;
mod removals;
mod s3;
mod scripts;
mod server;
#[cfg(feature = "simulation")]
mod simulation;
mod telling;
mod tidy;
mod topology;
#[cfg(feature = "aws")]
mod unsafe_storage;
mod upgrade;
mod verify;
mod worker;
mod write_policy;
