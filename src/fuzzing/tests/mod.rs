//! The targets in every test run: random bytes, good bytes that were damaged, what campaigns have
//! found, and bytes that were made to be large, deep or from the future.

mod bombs;
mod damage;
mod newer;
#[path = "../../../tests/it/support/seed.rs"]
#[allow(clippy::disallowed_methods, reason = "chance of tests is seeded by the machine")]
mod seed;

use std::panic::{catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use super::{Target, targets};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn by_name(name: &str) -> Target {
    targets().into_iter().find(|target| target.name == name).expect("a target")
}

/// What decoding so many bytes may allocate at any time: a block of zstd takes four bytes and
/// becomes 128 KiB, a path that shares all but a byte takes six and becomes a KiB and more. And
/// never more than the limits of the records together.
fn allowed(len: usize) -> u64 {
    (16 << 20) + (len as u64 * (33 << 10)).min(2 << 30)
}

/// Runs a target and holds it to its memory.
fn run(target: &Target, bytes: &[u8]) {
    let mut end = Ok(());
    // Counting must not be left by a panic.
    let used = allocation_counter::measure(|| end = catch_unwind(|| (target.run)(bytes))).bytes_max;
    end.unwrap_or_else(|panic| resume_unwind(panic));
    assert!(
        used <= allowed(bytes.len()),
        "{}: {} bytes became {used} of memory",
        target.name,
        bytes.len()
    );
}
