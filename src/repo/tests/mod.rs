//! Tests of what is stored: every kind of record, in the bytes that were ever written.

mod fixtures;
mod samples;
