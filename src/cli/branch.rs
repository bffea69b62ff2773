//! `branch`: create, list, show, delete, reset of what is staged.

use onward::model::name::RepoName;
use onward::repo::BranchInfo;
use serde_json::json;

use super::args::{BranchVerb, Global};
use super::exit::{Done, Exit, Failure};
use super::out::Out;
use super::session::{branch_above, branch_of, confirm, ref_in, repo_of, with};

fn tell(out: &Out, repo: &RepoName, info: &BranchInfo) -> Result<(), Failure> {
    out.data(
        || json!({"repository": repo, "branch": info.name, "commit": info.commit, "done": info.done}),
        || {
            let commit = info.commit.map(|id| id.to_string()).unwrap_or_else(|| "-".into());
            format!("{}\t{commit}", info.name)
        },
    )
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: BranchVerb) -> Done {
    with(global, async |onward| {
        match verb {
            BranchVerb::Create { branch: address, from } => {
                let from = ref_in(&address.repo, &from)?;
                let info = branch_of(&onward, &address)?.create(&from).await?;
                if out.is_json() {
                    tell(out, &address.repo, &info)?;
                }
                out.note(&format!("created branch '{}' at {from}", info.name));
            }
            BranchVerb::List { repo } => {
                for info in repo_of(&onward, &repo).branches().await? {
                    tell(out, &repo, &info)?;
                }
            }
            BranchVerb::Show { branch: address } => {
                let info = branch_of(&onward, &address)?.show().await?;
                tell(out, &address.repo, &info)?;
            }
            BranchVerb::Delete { branch: address } => {
                let branch = branch_of(&onward, &address)?;
                branch.show().await?;
                confirm(global, out, format!("this deletes branch '{address}'")).await?;
                branch.delete().await?;
                if out.is_json() {
                    out.data(
                        || json!({"branch": address.to_string(), "deleted": true}),
                        String::new,
                    )?;
                }
                out.note(&format!("deleted branch '{address}'"));
            }
            BranchVerb::Reset { address } => {
                let branch = branch_above(&onward, &address)?;
                branch.show().await?;
                confirm(global, out, format!("this takes back what is staged at '{address}'"))
                    .await?;
                let prefix = address.path.as_deref().unwrap_or_default();
                let exactly = !prefix.is_empty() && !prefix.ends_with('/');
                let taken = branch.reset(prefix, exactly).await?;
                if out.is_json() {
                    out.data(
                        || json!({"address": address.to_string(), "reset": taken}),
                        String::new,
                    )?;
                }
                out.note(&format!("took back {taken} staged changes"));
            }
        }
        Ok(Exit::Done)
    })
    .await
}
