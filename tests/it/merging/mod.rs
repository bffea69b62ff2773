//! Merges: always what a merge from scratch would give, never lost to a race.

mod bases;
mod histories;
mod model;
mod races;
