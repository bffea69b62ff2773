//! The protocol: from a submitted op to a decided, durable, published commit.
//!
//! The path of one commit: [`op`] (its record) → [`queue`] (accepted, together with others) →
//! [`helper`](self) (whose turn is it?) → [`round`] (view) → [`prepare`] (load its changes) →
//! [`judge`] (decide) → [`build`] (write runs, put the log entry together) → [`lake`]
//! (create the log entry: the moment of decision) → [`round`] (publish) → [`waiting`] (tell).
//!
//! [`restore`] and [`reconcile`](self) are for the day Redis loses data.

mod align;
pub mod ancestry;
pub mod build;
pub mod coordinator;
pub mod counters;
mod crowd;
pub mod faults;
pub mod graph;
pub mod head;
mod helper;
mod inspect;
pub mod judge;
mod judge_merge;
pub mod lake;
mod large;
mod load;
pub mod log;
mod lookup;
pub mod merge;
pub mod named;
pub mod op;
pub mod persist;
pub mod prepare;
pub mod queue;
pub mod rate;
mod reconcile;
pub mod record;
mod rescue;
pub mod restore;
pub mod round;
mod state;
mod upkeep;
pub mod verdict;
pub mod waiting;

pub use coordinator::{Coordinator, CoordinatorOptions};
pub use reconcile::{find_in_log, lost};
