//! `protect`: rules that keep branches from being changed but by merges.

use std::time::Duration;

use clap::Subcommand;
use onward::RepoName;
use onward::internals::repo::protection::{Action, OnFailure, Rule};
use onward_server::sinks::{Checks, shown};
use serde_json::{Value, json};

use super::args::{Global, duration};
use super::exit::{Done, Exit};
use super::out::{Out, Told, printable};
use super::session::{repo_of, with};
use super::shape::add;
use super::sink::Allow;

#[derive(Debug, Subcommand)]
pub enum ProtectVerb {
    /// Add a rule, or change the one with the same pattern
    #[command(
        after_help = "Examples:\n  onward protect add lake main\n  onward protect add lake 'release-*' --block delete,reset\n  onward protect add lake main --check https://checks.example.com/onward\n\nWhat a check is asked, and how it answers: docs/events.md"
    )]
    Add {
        /// The repository
        repo: RepoName,
        /// Names of branches, with * and ?
        pattern: String,
        /// What is blocked: stage, commit, delete, reset [default: all of them; with --check nothing]
        #[arg(long, value_name = "ACTIONS", value_delimiter = ',')]
        block: Vec<Action>,
        #[command(flatten)]
        check: Box<CheckArgs>,
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

/// Who is asked before a commit or a merge is queued.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// A webhook that is asked before a commit or a merge is queued, and may refuse it; its secret is shown this once
    #[arg(long = "check", value_name = "URL")]
    url: Option<String>,
    /// What becomes of a commit that it gives no answer for: refuse, accept
    #[arg(long, value_name = "WHAT", default_value_t = OnFailure::Refuse, requires = "url")]
    on_failure: OnFailure,
    /// How long it may take, 30s at most
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5s", requires = "url")]
    check_timeout: Duration,
    #[command(flatten)]
    allow: Allow,
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: ProtectVerb) -> Done {
    with(global, async |onward| {
        match verb {
            ProtectVerb::Add { repo, pattern, block, check } => {
                let mut rule = match block.is_empty() && check.url.is_none() {
                    true => Rule::new(pattern),
                    false => Rule::new(pattern).only(block),
                };
                let mut secret = None;
                if let Some(url) = &check.url {
                    let checks = Checks::new(&onward, check.allow.reach()?);
                    let (timeout, on_failure) = (check.check_timeout, check.on_failure);
                    let (name, pattern) = (repo.as_str(), rule.pattern.as_str());
                    let made = checks.make(name, pattern, url, timeout, on_failure).await?;
                    rule = rule.checked_by(made.0);
                    secret = Some(made.1);
                }
                repo_of(&onward, &repo).protect(rule.clone()).await?;
                tell_added(out, &repo, &rule, secret)?;
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

fn tell_added(out: &Out, repo: &RepoName, rule: &Rule, secret: Option<String>) -> Told {
    if out.is_json() {
        let told = || {
            let mut told = shape(repo, rule);
            if let Some(secret) = &secret {
                add(&mut told, "secret", secret.as_str());
            }
            told
        };
        return out.data(told, String::new);
    }
    if !rule.blocks.is_empty() {
        out.note(&format!("branches '{}' are protected from: {}", rule.pattern, blocked(rule)));
    }
    if let Some(secret) = secret {
        out.data(|| json!({}), || format!("secret  {secret}"))?;
        out.note(&format!(
            "commits and merges into branches '{}' are checked; the secret is not shown again",
            rule.pattern
        ));
    }
    Ok(())
}

fn blocked(rule: &Rule) -> String {
    rule.blocks.iter().map(|action| action.name()).collect::<Vec<_>>().join(",")
}

fn tell(out: &Out, repo: &RepoName, rule: &Rule) -> Told {
    let check = match &rule.check {
        None => String::new(),
        Some(check) => {
            format!("\tchecked by {}, else {}", printable(&shown(&check.url)), check.on_failure)
        }
    };
    let line = format!("{}\t{}{check}", printable(&rule.pattern), blocked(rule));
    out.data(|| shape(repo, rule), || line)
}

fn shape(repo: &RepoName, rule: &Rule) -> Value {
    let mut shape = json!({"repository": repo, "pattern": rule.pattern, "blocks": rule.blocks});
    if let Some(check) = &rule.check {
        let told = json!({
            "url": shown(&check.url),
            "timeout_ms": check.timeout_ms,
            "on_failure": check.on_failure,
        });
        add(&mut shape, "check", told);
    }
    shape
}
