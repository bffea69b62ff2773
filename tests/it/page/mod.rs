//! The sidecar's page, as far as that takes no browser: `scripts/test-page` has one.

mod access;
mod browser;
mod content;
mod limits;
mod live;
mod queue;
mod sinks;

/// The page of the queue of `main` of `lake`.
const QUEUE: &str = "/ui/repos/lake/branches/main/queue";
