//! What became of an op, told: one shape for programs, words for people, an exit code for both.

use onward::internals::tree::{Decision, decide};
use onward::{ConflictPath, ErrorKind, Outcome, Result};
use onward_server::tables;
use serde_json::{Value, json};

use super::diff::sides;
use super::exit::{Done, Exit, Failure, kind_name, millis};
use super::out::{Out, printable};
use super::shape::add;

/// Conflicting paths shown to people; JSON has more.
pub const CONFLICTS_SHOWN: usize = 10;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A commit of changes, and whether they were made against a base.
    Commit {
        /// Whether they were.
        based: bool,
        /// The file they came from; none for what was staged.
        changes: Option<String>,
    },
    /// A merge of this address.
    Merge(String),
    /// The changes of one commit, taken back or repeated: the verb.
    Change(&'static str),
    /// An op of which nothing more is known, as of a ticket's, or is to be said, as of an import's.
    Ticket,
}

/// Tells the end of a submission: with `no_wait`, being accepted is all that was asked for.
pub fn ended(
    out: &Out,
    outcome: Result<Outcome>,
    asked: &Asked,
    branch: &str,
    no_wait: bool,
    tables: &[tables::Told],
) -> Done {
    if let Err(error) = &outcome
        && matches!(error.kind(), ErrorKind::Overloaded { .. } | ErrorKind::TooManySealed { .. })
        && out.is_json()
    {
        out.data(|| not_accepted(error.kind()), String::new)?;
    }
    let outcome = outcome?;
    let accepted = no_wait && matches!(outcome, Outcome::StillQueued { .. });
    let exit = tell_with(out, &outcome, asked, branch, tables)?;
    Ok(if accepted { Exit::Done } else { exit })
}

/// Tells the outcome, and what it means for the exit code. On stdout people get the commit's id.
pub fn tell(out: &Out, outcome: &Outcome, asked: &Asked, branch: &str) -> Result<Exit, Failure> {
    tell_with(out, outcome, asked, branch, &[])
}

/// Tells the outcome as [`tell`] does, with what there is to say of tables among conflicting paths.
fn tell_with(
    out: &Out,
    outcome: &Outcome,
    asked: &Asked,
    branch: &str,
    tables: &[tables::Told],
) -> Result<Exit, Failure> {
    if out.is_json() {
        out.data(|| with_tables(outcome, tables), String::new)?;
        return Ok(Exit::of_outcome(outcome));
    }
    let op_id = outcome.details().op_id;
    match outcome {
        Outcome::Committed { commit, ticket, details } => {
            out.data(|| commit.to_string().into(), || commit.to_string())?;
            let others = match details.batch.saturating_sub(1) {
                0 => String::new(),
                others => format!(", decided together with {others} more"),
            };
            match details.repeated {
                true => out.note(&format!("committed before, as ticket {ticket}")),
                false => out.note(&format!(
                    "committed as ticket {ticket}{others} after {} ms; rounds of this process: {}",
                    millis(details.waited),
                    details.rounds
                )),
            }
        }
        Outcome::Applied { ticket, .. } => {
            out.note(&format!("done as ticket {ticket}: it took effect and is no commit"));
        }
        Outcome::NoChanges { ticket, .. } => {
            out.error(&asked.nothing(branch, ticket.is_some()));
        }
        Outcome::Conflict { paths, total, .. } => {
            out.error(&format!("{} {}", out.red("conflict:"), asked.conflict(*total)));
            conflicts(out, paths, *total, asked, branch, tables);
            out.error(&asked.way_out(branch));
        }
        Outcome::LostRace { hint, .. } => {
            out.data(|| hint.as_str().into(), || hint.clone())?;
            out.note(
                "paths of it were changed meanwhile; nothing was changed by it: ask again with --hint and the text above",
            );
        }
        Outcome::Failed { reason, .. } => {
            out.error(&format!("{} {reason}; nothing was changed", out.red("failed:")));
        }
        Outcome::Cancelled { .. } => out.error("cancelled before its turn; nothing was changed"),
        Outcome::Behind { reason, earlier, .. } => {
            let earlier = earlier.map(|id| format!(" (its commit: {id})")).unwrap_or_default();
            out.error(&format!("{} {reason}{earlier}; nothing was changed", out.red("behind:")));
        }
        Outcome::Fenced { reason, .. } => {
            out.error(&format!("{} {reason}; nothing was changed", out.red("fenced:")));
        }
        Outcome::StillQueued { ticket, cause, .. } => {
            out.data(|| op_id.to_string().into(), || op_id.to_string())?;
            let cause = cause.as_deref().map(|cause| format!(" ({cause})")).unwrap_or_default();
            out.note(&format!(
                "accepted as ticket {ticket} and queued{cause}; `onward ticket wait {branch} {op_id}` tells the outcome"
            ));
        }
        // One that this program does not know yet.
        other => out.error(other.name()),
    }
    Ok(Exit::of_outcome(outcome))
}

/// The shape of an outcome, with the tables it was in conflict for, if there are any.
fn with_tables(outcome: &Outcome, tables: &[tables::Told]) -> Value {
    let mut shape = json!(outcome);
    if !tables.is_empty() {
        let tables: Vec<&Value> = tables.iter().map(|table| &table.json).collect();
        add(&mut shape, "tables", json!(tables));
    }
    shape
}

/// A commit that was not accepted, because the queue or the list of sealed areas is full.
fn not_accepted(kind: ErrorKind) -> Value {
    json!({
        "outcome": kind_name(kind), "commit": null, "ticket": null, "op_id": null, "rounds": 0,
        "batch": 0, "wait_ms": 0, "conflicts": [], "hint": null,
        "retry_after_ms": kind.retry_after().map(millis),
    })
}

/// The first conflicting paths with their sides, and where the others are.
fn conflicts(
    out: &Out,
    paths: &[ConflictPath],
    total: u64,
    asked: &Asked,
    branch: &str,
    tables: &[tables::Told],
) {
    for conflict in paths.iter().take(CONFLICTS_SHOWN) {
        let condition = asked.condition(conflict);
        out.error(&format!("{}{condition}", conflict_line(conflict)));
        let told = tables.iter().filter(|table| table.path == conflict.path);
        for line in told.flat_map(|table| &table.lines) {
            out.error(&format!("    {}", printable(line)));
        }
    }
    let others = total.saturating_sub(paths.len().min(CONFLICTS_SHOWN) as u64);
    if others > 0 {
        out.error(&format!("  … and {others} more; {}", asked.see_all(branch)));
    }
}

/// One conflicting path with its sides.
pub fn conflict_line(conflict: &ConflictPath) -> String {
    let path = printable(conflict.path.as_str());
    format!("  {path}{}", sides(&conflict.base, &conflict.source, &conflict.dest))
}

impl Asked {
    /// Where it was not the three-way rule that stopped a path, or may not have been.
    fn condition(&self, conflict: &ConflictPath) -> &'static str {
        let (base, source, dest) = (&conflict.base, &conflict.source, &conflict.dest);
        let both = decide(base.as_ref(), source.as_ref(), dest.as_ref()) == Decision::Conflict;
        match self {
            Self::Merge(_) | Self::Change(_) | Self::Commit { based: true, .. } if both => "",
            // A condition is told without a base, so what has one was compared with it.
            Self::Ticket if both && base.is_some() => "",
            Self::Ticket if both => "  (or its condition did not hold)",
            _ => "  (its condition did not hold)",
        }
    }

    /// What to say of nothing, which was found in its turn or at once.
    fn nothing(&self, branch: &str, in_turn: bool) -> String {
        match self {
            Self::Commit { changes: Some(file), .. } => format!(
                "nothing to commit on '{branch}': '{file}' has no changes, or none that the branch does not have; --allow-empty commits all the same"
            ),
            Self::Commit { .. } if in_turn => format!(
                "nothing to commit on '{branch}': what was staged is there already, and is staged no more; stage it again and add --allow-empty to commit all the same"
            ),
            Self::Commit { .. } => {
                format!("nothing to commit on '{branch}': stage something, or add --allow-empty")
            }
            Self::Merge(source) => format!(
                "nothing to merge: '{branch}' has all that '{source}' would bring; --allow-empty commits all the same"
            ),
            Self::Change(verb) => format!(
                "nothing to {verb}: '{branch}' would stay as it is; --allow-empty commits all the same"
            ),
            Self::Ticket => "it made no commit: there was nothing to change".into(),
        }
    }

    fn conflict(&self, total: u64) -> String {
        let paths = if total == 1 { "1 path".into() } else { format!("{total} paths") };
        let why = match self {
            Self::Commit { based: true, .. } | Self::Ticket => {
                "changed by others, or its condition did not hold"
            }
            // Without a base there is nothing else that stops one.
            Self::Commit { .. } => "whose condition did not hold",
            Self::Merge(_) => "changed on both sides, and not in the same way",
            Self::Change(_) => "changed again on the branch",
        };
        format!("{paths} {why}; nothing was changed:")
    }

    /// Where all conflicting paths are.
    pub fn see_all(&self, branch: &str) -> String {
        match self {
            Self::Merge(source) => {
                format!("`onward diff {branch} {source} --conflicts` shows all")
            }
            Self::Commit { .. } | Self::Change(_) | Self::Ticket => {
                "--json shows the first 10,000".into()
            }
        }
    }

    fn way_out(&self, branch: &str) -> String {
        match self {
            Self::Commit { based: true, .. } => {
                "look at the branch and decide: commit with another --base or --strategy".into()
            }
            Self::Commit { .. } => {
                "look at those paths (`onward stat`), and commit with conditions that hold".into()
            }
            Self::Merge(source) => format!(
                "decide with --strategy source-wins ('{source}') or dest-wins ('{branch}'), or change one of them and merge again"
            ),
            Self::Change(verb) => format!(
                "decide with --strategy: source-wins to {verb} it all the same, dest-wins to leave those paths alone"
            ),
            Self::Ticket => "look at the branch and decide".into(),
        }
    }
}
