//! For the day Redis has lost data: branches are put back from the log, and ops that somebody was
//! promised are looked up there or submitted again.

pub mod reconcile;
pub mod restore;
