//! Metadata that other programs made, and what ours make of it.

mod creating;
mod fixture;
mod hostile;
mod oracle;
mod requirements;
mod updates;
