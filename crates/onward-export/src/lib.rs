//! Listings, history and differences as tables, for whoever reads tables and knows nothing of Onward.
//!
//! [`objects`], [`commits`] and [`changes`] open a [`Table`]: its columns, which are a promise, and its rows, which are
//! read while they are written. [`Table::encoded`] makes a file of it, piece by piece, in a [`Format`]. What is held in
//! memory is limited, however many rows there are: a page of what is read, and 16 MiB of what is written.
//!
//! A file is whole when its stream has ended without an error, and not before: of Parquet the last piece has what
//! makes it readable, and CSV and lines of JSON have nothing that says so. Whoever keeps a file moves it to its name
//! at the end.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod cell;
mod column;
mod encode;
mod format;
mod table;
mod tables;

pub use column::{Column, Kind, Schema};
pub use format::Format;
pub use table::{Piece, Table};
pub use tables::{CHANGES, COMMITS, CommitsRequest, OBJECTS, changes, commits, objects};
