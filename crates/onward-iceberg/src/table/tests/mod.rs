//! Metadata that other programs made, and what ours make of it.

mod client;
mod creating;
mod describing;
mod fixture;
mod hostile;
mod merging;
mod naming;
mod oracle;
mod rebasing;
mod requirements;
mod trimming;
mod updates;
