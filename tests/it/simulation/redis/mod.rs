//! A Redis inside the test process: the commands that Onward uses, over plain collections, its
//! scripts run by a Lua 5.1 interpreter, spoken to in the real protocol by the real client.
//!
//! It is held against a real Redis in `differential.rs`.

mod command;
mod keyspace;
mod lua;
mod server;
mod wire;

pub use lua::{Change, unchanged};
pub use server::{Comeback, Server, serve};
