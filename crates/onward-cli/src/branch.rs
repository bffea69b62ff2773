//! `branch`: create, list, show, delete, reset of what is staged or of the head.

use clap::Subcommand;
use onward::internals::model::address::Address;
use onward::internals::repo::BranchInfo;
use onward::{Error, ErrorKind, Onward, RepoName};
use serde_json::json;

use super::args::Global;
use super::exit::{Done, Exit, Failure};
use super::out::{Out, Told};
use super::session::{branch_above, branch_of, confirm, ref_in, ref_or_default, repo_of, with};
use super::shape::add;

#[derive(Debug, Subcommand)]
pub enum BranchVerb {
    /// Make a branch at a commit
    #[command(after_help = "Example: onward branch create lake/dev --from main")]
    Create {
        /// REPO/BRANCH
        branch: Address,
        /// A branch, tag or commit of the same repository [default: its default branch]
        #[arg(long, value_name = "REF")]
        from: Option<String>,
    },
    /// All branches of a repository
    #[command(after_help = "Example: onward branch list lake")]
    List {
        /// The repository
        repo: RepoName,
    },
    /// One branch
    #[command(after_help = "Example: onward branch show lake/main")]
    Show {
        /// REPO/BRANCH
        branch: Address,
    },
    /// Delete a branch, behind what is queued on it
    #[command(after_help = "Example: onward branch delete lake/dev --yes")]
    Delete {
        /// REPO/BRANCH
        branch: Address,
        /// Even if it is the repository's default branch
        #[arg(long)]
        force: bool,
    },
    /// Take staged changes back: all, or those of a path or a PREFIX/; --to: set the head
    #[command(
        after_help = "Examples:\n  onward branch reset lake/main/orders/ --yes\n  onward branch reset lake/main --to main~3"
    )]
    Reset {
        /// REPO/BRANCH[/PATH or PREFIX/]
        address: Address,
        /// Make this commit the head of the branch instead
        #[arg(long, value_name = "REF")]
        to: Option<String>,
    },
}

fn tell(out: &Out, repo: &RepoName, info: &BranchInfo) -> Told {
    out.data(
        || {
            let mut shape = json!({"repository": repo, "branch": info.name, "commit": info.commit, "done": info.done});
            if let Some(why) = &info.damage {
                add(&mut shape, "damage", why.as_str());
            }
            shape
        },
        || {
            let commit = info.commit.map(|id| id.to_string()).unwrap_or_else(|| "-".into());
            match &info.damage {
                None => format!("{}\t{commit}", info.name),
                Some(why) => format!("{}\t-\tdamaged: {why}", info.name),
            }
        },
    )
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: BranchVerb) -> Done {
    with(global, async |onward| {
        match verb {
            BranchVerb::Create { branch: address, from } => {
                let from = ref_or_default(&onward, &address.repo, from.as_deref()).await?;
                let info = branch_of(&onward, &address)?.create(&from).await?;
                if out.is_json() {
                    tell(out, &address.repo, &info)?;
                }
                out.note(&format!("created branch '{}' at {from}", info.name));
            }
            BranchVerb::List { repo } => {
                let branches = repo_of(&onward, &repo).branches().await?;
                for info in &branches {
                    tell(out, &repo, info)?;
                }
                if branches.iter().any(|info| info.damage.is_some()) {
                    out.note(&format!(
                        "not every branch can be read: `onward verify {repo}` says what is wrong; each can be deleted"
                    ));
                    return Ok(Exit::Unexpected);
                }
            }
            BranchVerb::Show { branch: address } => {
                let info = branch_of(&onward, &address)?.show().await?;
                tell(out, &address.repo, &info)?;
            }
            BranchVerb::Delete { branch: address, force } => {
                delete(global, out, &onward, &address, force).await?;
            }
            BranchVerb::Reset { address, to: Some(to) } => {
                let branch = branch_of(&onward, &address)?;
                let to = ref_in(&address.repo, &to)?;
                branch.show().await?;
                confirm(global, out, format!("this makes {to} the head of '{address}', and commits that no other ref leads to are lost")).await?;
                let info = branch.reset_to(&to).await?;
                if out.is_json() {
                    tell(out, &address.repo, &info)?;
                }
                let head = info.commit.map(|id| id.to_string()).unwrap_or_else(|| "-".into());
                out.note(&format!("the head of '{address}' is {head}"));
            }
            BranchVerb::Reset { address, to: None } => {
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

async fn delete(
    global: &Global,
    out: &Out,
    onward: &Onward,
    address: &Address,
    force: bool,
) -> Result<(), Failure> {
    let branch = branch_of(onward, address)?;
    let name = address.require_branch()?;
    match branch.show().await {
        // It can be deleted all the same.
        Err(error) if error.kind() == ErrorKind::Corrupt => {}
        shown => drop(shown?),
    }
    let default_branch = repo_of(onward, &address.repo).show().await?.default_branch;
    if name == default_branch && !force {
        return Err(Error::invalid(format!(
            "'{address}' is the default branch of its repository, which commands fall back to: add --force --yes to delete it all the same"
        ))
        .into());
    }
    confirm(global, out, format!("this deletes branch '{address}'")).await?;
    let head = branch.delete().await?;
    if out.is_json() {
        let told = json!({"branch": address.to_string(), "deleted": true, "commit": head});
        return Ok(out.data(|| told, String::new)?);
    }
    match head {
        Some(head) => out.note(&format!(
            "deleted branch '{address}' at {head}; `onward branch create {address} --from {head}` brings it back"
        )),
        None => out.note(&format!("deleted branch '{address}', which had no commit")),
    }
    Ok(())
}
