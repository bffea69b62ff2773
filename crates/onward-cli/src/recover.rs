//! `recover`: what Redis knows, rebuilt from the storage.

use onward::RepoName;
use onward::internals::repo::parted::GivenUp;
use onward::internals::repo::recover::{Recovered, RecoveredState};
use serde_json::{Value, json};

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, Told};
use super::session::{repo_of, with};

/// Recovers one repository, or all. Where ops that had been told as decided were given up, that is no
/// success.
pub async fn run(global: &Global, out: &Out, repo: Option<RepoName>) -> Done {
    with(global, async |onward| {
        let all = match repo {
            Some(repo) => {
                let repository = repo_of(&onward, &repo);
                repository.show().await?;
                vec![(repo.to_string(), repository.recover().await?)]
            }
            None => onward.recover().await?,
        };
        let mut given_up = 0;
        for (repo, branches) in &all {
            for recovered in branches {
                tell(out, repo, recovered)?;
                given_up += recovered.given_up.len() as u64;
            }
        }
        Ok(Exit::Done.unless_missed(given_up))
    })
    .await
}

/// One op that was given up.
fn given_up(op: &GivenUp) -> Value {
    json!({"op_id": op.op_id, "ticket": op.ticket, "commit": op.commit})
}

fn tell(out: &Out, repo: &str, recovered: &Recovered) -> Told {
    let (state, behind, words) = match recovered.state {
        RecoveredState::Intact => ("intact", 0, "Redis knew it all".to_owned()),
        RecoveredState::Behind(n) => ("behind", n, format!("Redis was {n} batches behind")),
        RecoveredState::Lost => ("lost", 0, "Redis had lost it; put back".to_owned()),
        RecoveredState::Parted => (
            "parted",
            0,
            format!(
                "Redis was of another history than the log; rebuilt, {} ops given up that the log does not have",
                recovered.given_up.len()
            ),
        ),
        RecoveredState::Ended => ("ended", 0, "it had been deleted; its name is free".to_owned()),
    };
    out.data(
        || {
            json!({
                "repository": repo, "branch": recovered.branch, "done": recovered.done,
                "state": state, "behind": behind, "queued": recovered.queued,
                "given_up": recovered.given_up.iter().map(given_up).collect::<Vec<_>>(),
            })
        },
        || {
            let queued = match recovered.queued {
                0 => String::new(),
                n => format!(
                    "; {n} ops wait in its queue: see `onward queue {repo}/{}`",
                    recovered.branch
                ),
            };
            let mut text =
                format!("{repo}/{}\t{} tickets\t{words}{queued}", recovered.branch, recovered.done);
            for op in &recovered.given_up {
                let was = match (op.commit, op.ticket) {
                    (Some(commit), _) => format!("had been told as commit {commit}"),
                    (None, Some(ticket)) => format!("had been decided as ticket {ticket}"),
                    (None, None) => "was queued, and is behind its producer now".to_owned(),
                };
                text += &format!("\n  given up: op {} {was}", op.op_id);
            }
            text
        },
    )
}
