//! `tag`: create, list, delete.

use clap::Subcommand;
use onward::RepoName;
use onward::internals::model::name::TagName;
use onward::internals::repo::tags::TagInfo;
use serde_json::json;

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, Told};
use super::session::{ref_or_default, repo_of, with};

#[derive(Debug, Subcommand)]
pub enum TagVerb {
    /// Name a commit
    #[command(after_help = "Example: onward tag create lake v1 --from main")]
    Create {
        /// The repository
        repo: RepoName,
        /// The tag
        tag: String,
        /// A branch, tag or commit of the repository [default: its default branch]
        #[arg(long, value_name = "REF")]
        from: Option<String>,
    },
    /// All tags of a repository
    #[command(after_help = "Example: onward tag list lake")]
    List {
        /// The repository
        repo: RepoName,
    },
    /// Remove a tag; its commit stays
    #[command(after_help = "Example: onward tag delete lake v1")]
    Delete {
        /// The repository
        repo: RepoName,
        /// The tag
        tag: String,
    },
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: TagVerb) -> Done {
    with(global, async |onward| {
        match verb {
            TagVerb::Create { repo, tag, from } => {
                let repository = repo_of(&onward, &repo);
                let name = TagName::new(tag)?;
                let from = ref_or_default(&onward, &repo, from.as_deref()).await?;
                let info = repository.create_tag(&name, &from).await?;
                if out.is_json() {
                    tell(out, repo.as_str(), &info)?;
                }
                out.note(&format!("tagged {} as '{}'", info.commit, info.name));
            }
            TagVerb::List { repo } => {
                let tags = repo_of(&onward, &repo).tags().await?;
                for info in &tags {
                    tell(out, repo.as_str(), info)?;
                }
                if tags.is_empty() {
                    out.note(&format!(
                        "'{repo}' has no tags: `onward tag create {repo} NAME` makes one"
                    ));
                }
            }
            TagVerb::Delete { repo, tag } => {
                repo_of(&onward, &repo).delete_tag(&TagName::new(tag.as_str())?).await?;
                if out.is_json() {
                    out.data(
                        || json!({"repository": repo, "tag": tag, "deleted": true}),
                        String::new,
                    )?;
                }
                out.note(&format!("deleted tag '{tag}'"));
            }
        }
        Ok(Exit::Done)
    })
    .await
}

fn tell(out: &Out, repo: &str, info: &TagInfo) -> Told {
    out.data(
        || json!({"repository": repo, "tag": info.name, "commit": info.commit}),
        || format!("{}\t{}", info.name, info.commit),
    )
}
