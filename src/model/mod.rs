//! Pure data: ids, entries, changes, commits, refs and the errors every room speaks in.
//!
//! Nothing here performs I/O, reads a clock or draws a random number.

pub mod address;
pub mod cancel;
pub mod change;
pub mod codec;
pub mod commit;
pub mod conflict;
pub mod entry;
pub mod error;
pub mod ids;
pub mod life;
pub mod name;
pub mod outcome;
pub mod path;
pub mod producer;
pub mod span;
