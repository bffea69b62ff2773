//! A writer process of the demo.

use onward::model::address::Address;

use super::super::args::Global;
use super::super::exit::{Done, Exit};

#[derive(Debug, clap::Args)]
pub struct WriterArgs {
    /// REPO/BRANCH
    pub branch: Address,
}

/// Runs it.
pub async fn run(_global: &Global, _args: WriterArgs) -> Done {
    Ok(Exit::Done)
}
