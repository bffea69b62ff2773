//! `policy`: how objects are written by clients that know no commits, as those of S3.

use clap::Subcommand;
use onward::RepoName;
use onward::admin::{WriteRule, Written};
use serde_json::{Value, json};

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, printable};
use super::session::{repo_of, with};

#[derive(Debug, Subcommand)]
pub enum PolicyVerb {
    /// Add a rule, or change the one for the same branches and prefix
    #[command(
        after_help = "Examples:\n  onward policy set lake main commit\n  onward policy set lake 'tx-*' --prefix tables/orders/ commit\n\nOf the rules that match, the one with the longest prefix decides; of several the one that names the branch itself, then the one that was made first."
    )]
    Set {
        /// The repository
        repo: RepoName,
        /// Names of branches, with * and ?
        pattern: String,
        /// stage, or commit: each object is a commit of its own
        write: Written,
        /// Only for the paths that begin with this
        #[arg(long, default_value = "", hide_default_value = true)]
        prefix: String,
    },
    /// All rules of a repository; without one, objects are staged
    #[command(after_help = "Example: onward policy list lake")]
    List {
        /// The repository
        repo: RepoName,
    },
    /// Remove a rule
    #[command(after_help = "Example: onward policy remove lake main --prefix tables/orders/")]
    Remove {
        /// The repository
        repo: RepoName,
        /// The pattern, exactly as it was set
        pattern: String,
        /// The prefix, exactly as it was set
        #[arg(long, default_value = "", hide_default_value = true)]
        prefix: String,
    },
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: PolicyVerb) -> Done {
    with(global, async |onward| {
        match verb {
            PolicyVerb::Set { repo, pattern, write, prefix } => {
                let rule = WriteRule::new(pattern, write).below(prefix);
                repo_of(&onward, &repo).set_write_rule(rule.clone()).await?;
                if out.is_json() {
                    out.data(|| shape(&repo, &rule), String::new)?;
                }
                let what = match rule.write {
                    Written::Staged => "stages what it writes",
                    Written::Committed => "makes a commit of each object that it writes",
                };
                let places = places(&rule.pattern, &rule.prefix);
                out.note(&format!("who knows objects alone (S3) {what} {places}"));
            }
            PolicyVerb::List { repo } => {
                for rule in repo_of(&onward, &repo).write_policy().await? {
                    let WriteRule { pattern, prefix, write } = &rule;
                    let line = format!("{}\t{}\t{write}", printable(pattern), printable(prefix));
                    out.data(|| shape(&repo, &rule), || line)?;
                }
            }
            PolicyVerb::Remove { repo, pattern, prefix } => {
                repo_of(&onward, &repo).remove_write_rule(&pattern, &prefix).await?;
                let places = places(&pattern, &prefix);
                if out.is_json() {
                    let told = json!({"repository": repo, "pattern": pattern, "prefix": prefix, "deleted": true});
                    out.data(|| told, String::new)?;
                }
                out.note(&format!("removed the rule of writing {places}"));
            }
        }
        Ok(Exit::Done)
    })
    .await
}

/// Where a rule applies, in words.
fn places(pattern: &str, prefix: &str) -> String {
    let below = if prefix.is_empty() { String::new() } else { format!(" below '{prefix}'") };
    format!("on branches '{pattern}'{below}")
}

fn shape(repo: &RepoName, rule: &WriteRule) -> Value {
    json!({"repository": repo, "pattern": rule.pattern, "prefix": rule.prefix, "write": rule.write})
}
