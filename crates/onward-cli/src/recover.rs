//! `recover`: what Redis knows, rebuilt from the storage.

use onward::RepoName;
use onward::internals::repo::recover::{Recovered, RecoveredState};
use serde_json::json;

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, Told};
use super::session::{repo_of, with};

/// Recovers one repository, or all.
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
        for (repo, branches) in &all {
            for recovered in branches {
                tell(out, repo, recovered)?;
            }
        }
        Ok(Exit::Done)
    })
    .await
}

fn tell(out: &Out, repo: &str, recovered: &Recovered) -> Told {
    let (state, behind, words) = match recovered.state {
        RecoveredState::Intact => ("intact", 0, "Redis knew it all".to_owned()),
        RecoveredState::Behind(n) => ("behind", n, format!("Redis was {n} batches behind")),
        RecoveredState::Lost => ("lost", 0, "Redis had lost it; put back".to_owned()),
        RecoveredState::Ended => ("ended", 0, "it had been deleted; its name is free".to_owned()),
    };
    out.data(
        || {
            json!({
                "repository": repo, "branch": recovered.branch, "done": recovered.done,
                "state": state, "behind": behind, "queued": recovered.queued,
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
            format!("{repo}/{}\t{} tickets\t{words}{queued}", recovered.branch, recovered.done)
        },
    )
}
