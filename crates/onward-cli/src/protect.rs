//! `protect`: rules that keep branches from being changed but by merges.

use clap::Subcommand;
use onward::RepoName;
use onward::internals::repo::protection::{Action, Rule};
use serde_json::json;

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, Told, printable};
use super::session::{repo_of, with};

#[derive(Debug, Subcommand)]
pub enum ProtectVerb {
    /// Add a rule, or change the one with the same pattern
    #[command(
        after_help = "Examples:\n  onward protect add lake main\n  onward protect add lake 'release-*' --block delete,reset"
    )]
    Add {
        /// The repository
        repo: RepoName,
        /// Names of branches, with * and ?
        pattern: String,
        /// What is blocked: stage, commit, delete, reset [default: all of them]
        #[arg(long, value_name = "ACTIONS", value_delimiter = ',')]
        block: Vec<Action>,
    },
    /// All rules of a repository
    #[command(after_help = "Example: onward protect list lake")]
    List {
        /// The repository
        repo: RepoName,
    },
    /// Remove a rule
    #[command(after_help = "Example: onward protect delete lake 'release-*'")]
    Delete {
        /// The repository
        repo: RepoName,
        /// The pattern, exactly as it was added
        pattern: String,
    },
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: ProtectVerb) -> Done {
    with(global, async |onward| {
        match verb {
            ProtectVerb::Add { repo, pattern, block } => {
                let rule = match block.is_empty() {
                    true => Rule::new(pattern),
                    false => Rule::new(pattern).only(block),
                };
                repo_of(&onward, &repo).protect(rule.clone()).await?;
                if out.is_json() {
                    tell(out, &repo, &rule)?;
                }
                let blocked = blocked(&rule);
                out.note(&format!("branches '{}' are protected from: {blocked}", rule.pattern));
            }
            ProtectVerb::List { repo } => {
                for rule in repo_of(&onward, &repo).protection().await? {
                    tell(out, &repo, &rule)?;
                }
            }
            ProtectVerb::Delete { repo, pattern } => {
                repo_of(&onward, &repo).unprotect(&pattern).await?;
                if out.is_json() {
                    let told = json!({"repository": repo, "pattern": pattern, "deleted": true});
                    out.data(|| told, String::new)?;
                }
                out.note(&format!("branches '{pattern}' are no longer protected by this rule"));
            }
        }
        Ok(Exit::Done)
    })
    .await
}

fn blocked(rule: &Rule) -> String {
    rule.blocks.iter().map(|action| action.name()).collect::<Vec<_>>().join(",")
}

fn tell(out: &Out, repo: &RepoName, rule: &Rule) -> Told {
    out.data(
        || json!({"repository": repo, "pattern": rule.pattern, "blocks": rule.blocks}),
        || format!("{}\t{}", printable(&rule.pattern), blocked(rule)),
    )
}
