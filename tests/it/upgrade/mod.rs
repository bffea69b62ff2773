//! Versions: what a newer program has written meets today's, and what today's has written meets
//! every later one.

mod data;
mod newer;
mod records;
