//! A Redis inside the test process: the commands that Onward uses, over plain collections, its
//! scripts run by a Lua 5.1 interpreter, spoken to in the real protocol by the real client.
//!
//! `scripts` holds it against the same model of the scripts as a real Redis.

mod command;
mod direct;
mod keyspace;
mod lua;
mod server;
mod wire;

pub use direct::Direct;
pub use lua::{Change, unchanged};
pub use server::{Comeback, Server, serve};
