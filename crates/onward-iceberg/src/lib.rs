//! Iceberg tables on Onward.
//!
//! [`table`] knows what a table's metadata may say and how commits change it. It knows no branch and no HTTP.

pub mod table;
