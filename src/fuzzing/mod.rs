//! Hostile bytes: every decoder of bytes that this process did not just write, as a function that
//! takes any bytes. None may panic, allocate without bound or say nothing clear.
//!
//! There is one list of targets for two uses: tests drive it with random, mutated and constructed
//! bytes each time ([`tests`]), and `make fuzz` with a coverage-guided fuzzer (`fuzz/`).
//!
//! Checksums and signatures would keep a fuzzer out, so targets behind one try the bytes twice: as
//! they are, and with the checksum made right.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a target tells what it finds by panicking; none of this is in a program that is shipped"
)]

mod records;
mod replies;
mod target;
#[cfg(test)]
mod tests;
mod texts;
mod tree;

pub use target::Target;

/// Every target.
pub fn targets() -> Vec<Target> {
    [tree::TARGETS, records::TARGETS, texts::TARGETS, replies::TARGETS].concat()
}
