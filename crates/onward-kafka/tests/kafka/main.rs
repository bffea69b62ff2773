//! The sink against librdkafka's mock cluster, and against a real broker where there is one
//! (`scripts/test-kafka`): the mock proves neither isolation nor fencing nor added partitions.

#![recursion_limit = "256"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and may look at the clock of the machine it runs on"
)]
#![allow(missing_docs, dead_code, reason = "support serves the tests on both clusters")]

#[cfg(feature = "broker-tests")]
mod broker;
mod change_sets;
mod checked;
#[cfg(feature = "broker-tests")]
mod example;
mod mock;
mod support;
mod worker;
