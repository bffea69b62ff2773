//! The first part of the path: ops of many callers become elements of the queue in one call.
//!
//! [`queue`] is one branch in this process: its acceptor gathers while a call is under way. [`waiting`]
//! are those who wait for an outcome here, [`crowd`](self) and [`rate`] what is known of how they come
//! back and how fast the branch is decided, [`persist`] goes on through an outage of Redis.

mod crowd;
pub mod persist;
pub mod queue;
pub mod rate;
pub mod waiting;
