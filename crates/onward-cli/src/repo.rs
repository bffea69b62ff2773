//! `repo`: create, list, show, delete.

use clap::Subcommand;
use onward::internals::clock;
use onward::internals::repo::RepoInfo;
use onward::{BranchName, RepoName};
use serde_json::{Value, json};

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, Told, local_time};
use super::session::{confirm, connected, is_absent, repo_of};

#[derive(Debug, Subcommand)]
pub enum RepoVerb {
    /// Make a repository with a default branch
    #[command(after_help = "Example: onward repo create lake --default-branch trunk")]
    Create {
        /// Its name
        repo: RepoName,
        /// The branch it begins with
        #[arg(long, default_value = "main", value_name = "NAME")]
        default_branch: BranchName,
    },
    /// All repositories
    #[command(after_help = "Example: onward repo list --json")]
    List,
    /// One repository
    #[command(after_help = "Example: onward repo show lake")]
    Show {
        /// Its name
        repo: RepoName,
    },
    /// Delete a repository with all its branches and history
    #[command(after_help = "Example: onward repo delete lake --yes")]
    Delete {
        /// Its name
        repo: RepoName,
    },
}

fn shape(info: &RepoInfo) -> Value {
    json!({
        "repository": info.name, "default_branch": info.default_branch,
        "created": clock::rfc3339(info.created_ms),
    })
}

fn tell(out: &Out, info: &RepoInfo) -> Told {
    out.data(
        || shape(info),
        || format!("{}\t{}\t{}", info.name, info.default_branch, local_time(info.created_ms)),
    )
}

/// Said where there is none.
const NONE: &str = "no repositories yet: `onward repo create NAME` makes one";

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: RepoVerb) -> Done {
    let begins = matches!(verb, RepoVerb::Create { .. });
    if matches!(verb, RepoVerb::List) && is_absent(global).await? {
        out.note(NONE);
        return Ok(Exit::Done);
    }
    connected(global, begins, async |onward| {
        match verb {
            RepoVerb::Create { repo, default_branch } => {
                let info = repo_of(&onward, &repo).create(&default_branch).await?;
                if out.is_json() {
                    tell(out, &info)?;
                }
                out.note(&format!("created repository '{repo}' with branch '{default_branch}'"));
            }
            RepoVerb::List => {
                let repos = onward.repos().await?;
                for info in &repos {
                    tell(out, info)?;
                }
                if repos.is_empty() {
                    out.note(NONE);
                }
            }
            RepoVerb::Show { repo } => tell(out, &repo_of(&onward, &repo).show().await?)?,
            RepoVerb::Delete { repo } => {
                let repository = repo_of(&onward, &repo);
                repository.check_deletable().await?;
                let what = format!("this deletes repository '{repo}', its branches and history");
                confirm(global, out, what).await?;
                repository.delete().await?;
                if out.is_json() {
                    out.data(|| json!({"repository": repo, "deleted": true}), String::new)?;
                }
                out.note(&format!("deleted repository '{repo}'"));
            }
        }
        Ok(Exit::Done)
    })
    .await
}
