//! Parquet: records that are JSON objects as rows of a schema that does not change while a sink runs.

mod append;
mod fits;
mod infer;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

pub use schema::Schema;
pub use writer::{Codec, Parquet};
