//! The sidecar over real connections.

mod access;
mod bodies;
mod changes;
mod conditions;
mod connections;
mod described;
mod edges;
mod events;
mod imports;
mod jobs;
mod keys;
mod lakefs;
mod objects;
#[cfg(feature = "aws")]
mod presigned;
mod refs;
mod rules;
mod standing;
mod texts;
mod uploads;
mod valid_through;

/// The lakeFS API of `lake`.
const LAKE: &str = "/api/v1/repositories/lake";

/// Onward's own API of the branch `main` of `lake`.
const MAIN: &str = "/onward/v1/repositories/lake/branches/main";
