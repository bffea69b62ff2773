//! The protocol: from a submitted op to a decided, durable, published commit.
//!
//! The rooms in the order in which a commit passes them:
//!
//! 1. [`op`]: what is asked for, as it lies in the queue, and what was decided about it.
//! 2. [`accept`]: one call that puts the ops of many callers into the queue; those who wait.
//! 3. [`help`](self): whose turn is it? Rounds are run, or those of others followed.
//! 4. [`round`]: view → prepare → judge → build → decide → publish.
//! 5. [`log`]: the entry whose creation is the moment of decision, and all that is read back.
//! 6. [`merge`]: the commit graph, and what a merge brings.
//! 7. [`mend`]: for the day Redis has lost data.
//!
//! Arrows point from [`help`](self) down to [`op`]: a round knows the log and not who waits for it.

pub mod accept;
pub mod contact;
pub mod context;
pub mod coordinator;
pub mod counters;
pub mod faults;
pub mod gathering;
mod help;
pub mod log;
pub mod mend;
pub mod merge;
pub mod op;
pub mod round;
pub mod sharing;
pub mod tasks;

pub use coordinator::{Coordinator, CoordinatorOptions};
