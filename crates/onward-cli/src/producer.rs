//! `producer`: how far a producer is decided, for one that starts again.

use clap::Subcommand;
use onward::internals::model::address::Address;
use onward::{Error, LastDecided};
use serde_json::json;

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, printable};
use super::session::{branch_of, with};

#[derive(Debug, Subcommand)]
pub enum ProducerVerb {
    /// The last epoch and sequence of a producer that were decided on a branch
    #[command(
        after_help = "Example: onward producer show lake/main orders-0\n\nA producer that starts again goes on behind it. Ops of the producer that wait on the branch are\nhelped to their end first."
    )]
    Show {
        /// REPO/BRANCH
        branch: Address,
        /// The producer
        name: String,
    },
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: ProducerVerb) -> Done {
    let ProducerVerb::Show { branch: address, name } = verb;
    with(global, async |onward| {
        let last = branch_of(&onward, &address)?.producer(&name).await?;
        let LastDecided { epoch, sequence, commit, .. } = last.ok_or_else(|| {
            let name = printable(&name);
            Error::not_found(format!("nothing of producer '{name}' was decided on '{address}'"))
        })?;
        out.data(
            || json!({"producer": name, "epoch": epoch, "sequence": sequence, "commit": commit}),
            || {
                let commit = commit.map(|id| format!("\t{id}")).unwrap_or_default();
                format!("epoch {epoch}\tsequence {sequence}{commit}")
            },
        )?;
        Ok(Exit::Done)
    })
    .await
}
