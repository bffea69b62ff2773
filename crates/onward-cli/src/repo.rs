//! `repo`: create, list, show, delete.

use onward::internals::clock;
use onward::internals::repo::RepoInfo;
use serde_json::{Value, json};

use super::args::{Global, RepoVerb};
use super::exit::{Done, Exit, Failure};
use super::out::{Out, local_time};
use super::session::{confirm, repo_of, with};

fn shape(info: &RepoInfo) -> Value {
    json!({
        "repository": info.name, "default_branch": info.default_branch,
        "created": clock::rfc3339(info.created_ms),
    })
}

fn tell(out: &Out, info: &RepoInfo) -> Result<(), Failure> {
    out.data(
        || shape(info),
        || format!("{}\t{}\t{}", info.name, info.default_branch, local_time(info.created_ms)),
    )
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: RepoVerb) -> Done {
    with(global, async |onward| {
        match verb {
            RepoVerb::Create { repo, default_branch } => {
                let info = repo_of(&onward, &repo).create(&default_branch).await?;
                if out.is_json() {
                    tell(out, &info)?;
                }
                out.note(&format!("created repository '{repo}' with branch '{default_branch}'"));
            }
            RepoVerb::List => {
                for info in onward.repos().await? {
                    tell(out, &info)?;
                }
            }
            RepoVerb::Show { repo } => tell(out, &repo_of(&onward, &repo).show().await?)?,
            RepoVerb::Delete { repo } => {
                let repository = repo_of(&onward, &repo);
                repository.show().await?;
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
