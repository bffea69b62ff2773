//! Iceberg tables on Onward.
//!
//! [`table`] knows what a table's metadata may say and how commits change it; it knows no branch and no HTTP.
//! [`catalog`] keeps tables and namespaces on Onward's branches.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod catalog;
pub mod table;
