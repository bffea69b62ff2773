//! `onward kafka` as users meet it: the real binary, a local instance, and topics of librdkafka's mock cluster,
//! or of the brokers that `KAFKA_BROKERS` names (`scripts/test-kafka` starts some).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and may look at the clock of the machine it runs on"
)]

mod change_sets;
mod files;
mod refusals;
mod stop;
mod support;
#[path = "../it/support/until.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod until;
mod watching;
