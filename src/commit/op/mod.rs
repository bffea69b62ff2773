//! What is asked for and what became of it: the records of ops.
//!
//! [`request`] is what is asked, [`merge`] of it what a merge asks, [`producers`] whose op it is,
//! [`queued`] the element of the queue,
//! [`named`] what an op needs of the object store until it is decided, [`verdict`] the one outcome that
//! the log keeps, [`lost`] an op that Redis has lost, [`upkeep`] one that nobody has asked for.

pub mod lost;
pub mod merge;
pub mod named;
pub mod producers;
pub mod queued;
pub mod request;
pub mod upkeep;
pub mod verdict;
