//! The first part of the path: ops of many callers become elements of the queue in one call.
//!
//! [`queue`] is one branch in this process; its [`acceptor`](self) gathers ops while a call is under
//! way and makes of the answers what each submitter is told, an [`admission`]. [`shared`] is what the
//! tasks of a branch have in common, [`waiting`] those who wait for an outcome here, [`crowd`](self)
//! and [`rate`] what is known of how they come back and how fast the branch is decided. An op that
//! can wait rides along ([`rider`](self)); [`persist`] and [`submitting`] go on through an outage of
//! Redis.

pub(super) mod acceptor;
pub mod admission;
pub(super) mod crowd;
pub mod persist;
pub mod queue;
pub mod rate;
mod rider;
pub mod shared;
pub mod submitting;
pub mod waiting;
