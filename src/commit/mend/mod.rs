//! For the day Redis has lost data: the one place that knows what to do where a Redis does not have
//! a branch ([`present`]), and how a branch is put back from the log ([`restore`]).

mod asking;
mod next_step;
pub mod present;
mod question;
pub mod restore;
