//! `demo`: the main job on real files, and the proof of its result.

pub mod writer;

use std::path::PathBuf;

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::Out;

#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// A directory tree [default: the Rust toolchain's share folder, or this directory]
    pub dir: Option<PathBuf>,
    /// At most so many files
    #[arg(long, default_value_t = 4000, value_name = "N")]
    pub files: u64,
}

/// Runs it.
pub async fn run(_global: &Global, _out: &Out, _args: DemoArgs) -> Done {
    Ok(Exit::Done)
}
