//! Tests of the tree as a whole, against a plain map.

mod damage;
mod fixtures;
mod large;
mod model;
mod properties;

use std::future::Future;

/// Runs a future on a runtime of its own.
fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
