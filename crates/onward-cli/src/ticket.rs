//! `ticket`: ops that were accepted, by their id.

use std::time::Duration;

use clap::Subcommand;
use onward::internals::model::address::Address;
use onward::internals::repo::ticket::TicketStatus;
use onward::{Cancelled, Error, OpId, Outcome, Result, Ticket};
use serde_json::{Value, json};

use super::args::{Global, duration};
use super::commit::TIMEOUT;
use super::exit::{Done, Exit, Failure};
use super::out::Out;
use super::session::{branch_of, decided, with};
use super::tell::{Asked, tell};

#[derive(Debug, Subcommand)]
pub enum TicketVerb {
    /// What is known of an op
    #[command(after_help = "Example: onward ticket show lake/main 0193a6c2-…")]
    Show {
        /// REPO/BRANCH
        branch: Address,
        /// The op's id
        op_id: OpId,
    },
    /// Wait for its outcome
    #[command(after_help = "Example: onward ticket wait lake/main 0193a6c2-… --timeout 1m")]
    Wait {
        /// REPO/BRANCH
        branch: Address,
        /// The op's id
        op_id: OpId,
        /// At most so long [default: 5m]
        #[arg(long, value_name = "DUR", value_parser = duration)]
        timeout: Option<Duration>,
    },
    /// Call it off, if it is not decided yet
    #[command(after_help = "Example: onward ticket cancel lake/main 0193a6c2-…")]
    Cancel {
        /// REPO/BRANCH
        branch: Address,
        /// The op's id
        op_id: OpId,
    },
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: TicketVerb) -> Done {
    with(global, async |onward| match verb {
        TicketVerb::Show { branch, op_id } => {
            show(out, &branch, op_id, branch_of(&onward, &branch)?.ticket_status(op_id).await?)
        }
        TicketVerb::Wait { branch: address, op_id, timeout } => {
            let branch = branch_of(&onward, &address)?;
            let outcome = {
                let timeout = timeout.unwrap_or(TIMEOUT);
                decided(out, timeout, branch.ticket_wait(op_id, timeout)).await?
            };
            tell(out, &outcome, &Asked::Ticket, &address.to_string())
        }
        TicketVerb::Cancel { branch: address, op_id } => {
            let cancelled = branch_of(&onward, &address)?.ticket_cancel(op_id).await?;
            cancel(out, &address, op_id, cancelled)
        }
    })
    .await
}

fn pending(op_id: OpId, ticket: Ticket, position: u64) -> Value {
    json!({
        "outcome": "still_queued", "commit": null, "ticket": ticket, "op_id": op_id, "rounds": 0,
        "batch": 0, "wait_ms": null, "conflicts": [], "hint": null, "position": position,
    })
}

/// Showing is done whatever is shown.
fn show(out: &Out, address: &Address, op_id: OpId, status: TicketStatus) -> Done {
    match status {
        TicketStatus::Pending { ticket, position } => out.data(
            || pending(op_id, ticket, position),
            || format!("ticket {ticket} is queued on '{address}', at place {position}"),
        )?,
        TicketStatus::Decided(outcome) => {
            out.data(|| json!(outcome), || words(&outcome))?;
        }
    }
    Ok(Exit::Done)
}

fn words(outcome: &Outcome) -> String {
    let ticket = outcome.ticket().map(|t| format!("ticket {t}: ")).unwrap_or_default();
    let commit = outcome.commit().map(|id| format!(" {id}")).unwrap_or_default();
    format!("{ticket}{}{commit}", outcome.name().replace('_', " "))
}

fn cancel(out: &Out, address: &Address, op_id: OpId, cancelled: Cancelled) -> Done {
    let (state, ticket, exit) = match cancelled {
        Cancelled::Marked(ticket) => ("marked", ticket, Exit::Done),
        Cancelled::Decided(ticket) => ("decided", ticket, Exit::Conflict),
        _ => {
            return unknown(address, op_id).map_err(Failure::from);
        }
    };
    if out.is_json() {
        out.data(|| json!({"op_id": op_id, "ticket": ticket, "state": state}), String::new)?;
    }
    if exit == Exit::Done {
        out.note(&format!("ticket {ticket} is called off unless it is being decided now; `onward ticket wait {address} {op_id}` tells"));
    } else if !out.is_json() {
        out.error(&format!(
            "too late: ticket {ticket} is decided; `onward ticket show {address} {op_id}` tells how"
        ));
    }
    Ok(exit)
}

fn unknown(address: &Address, op_id: OpId) -> Result<Exit> {
    Err(Error::not_found(format!(
        "op {op_id} is not known on '{address}': it was not accepted there, or was decided long ago; `onward log {address} --json` shows op ids"
    )))
}
