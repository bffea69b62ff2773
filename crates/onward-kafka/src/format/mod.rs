//! The formats of files.
