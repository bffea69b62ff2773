//! Metadata that other programs made, and what ours make of it.

mod client;
mod creating;
mod fixture;
mod hostile;
mod oracle;
mod rebasing;
mod requirements;
mod updates;
