//! `protect`: rules that keep branches from being changed but by merges.

use std::time::Duration;

use clap::Subcommand;
use onward::RepoName;
use onward::internals::repo::protection::{Action, OnFailure};
use onward_server::sinks::shapes::RuleShape;
use onward_server::sinks::{Checks, NewCheck, NewRule};
use serde_json::{Value, json};

use super::args::{Global, duration};
use super::exit::{Done, Exit};
use super::out::{Out, Told, printable};
use super::session::{repo_of, with};
use super::shape::add;
use super::sink::Allow;

#[derive(Debug, Subcommand)]
pub enum ProtectVerb {
    /// Add a rule, or change the one with the same pattern, whose check stays unless it is spoken of
    #[command(
        after_help = "Examples:\n  onward protect add lake main\n  onward protect add lake 'release-*' --block delete,reset\n  onward protect add lake main --check https://checks.example.com/onward\n  onward protect add lake main --no-check\n\nWhat a check is asked, and how it answers: docs/events.md"
    )]
    Add {
        /// The repository
        repo: RepoName,
        /// Names of branches, with * and ?
        pattern: String,
        /// What is blocked: stage, commit, delete, reset [default: all of them; where the check alone is spoken of,
        /// what was blocked before]
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
    /// Nobody is asked any more
    #[arg(long, conflicts_with = "url")]
    no_check: bool,
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
                let blocks = Some(block).filter(|block| !block.is_empty());
                let blocks = blocks.map(|block| block.into_iter().collect());
                let checks = Checks::new(&onward, check.allow.reach()?);
                let wanted = NewRule { pattern, blocks, check: check.wanted() };
                let (rule, secret) = checks.protect(&onward, &repo, wanted).await?;
                tell_added(out, &RuleShape::of(&repo, &rule), secret)?;
            }
            ProtectVerb::List { repo } => {
                for rule in repo_of(&onward, &repo).protection().await? {
                    tell(out, &RuleShape::of(&repo, &rule))?;
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

impl CheckArgs {
    fn wanted(self) -> NewCheck {
        match self.url {
            Some(url) => {
                NewCheck::By { url, timeout: self.check_timeout, on_failure: self.on_failure }
            }
            None if self.no_check => NewCheck::Nobody,
            None => NewCheck::AsItIs,
        }
    }
}

fn tell_added(out: &Out, rule: &RuleShape, secret: Option<String>) -> Told {
    if out.is_json() {
        let told = || {
            let mut told = shape(rule);
            if let Some(secret) = &secret {
                add(&mut told, "secret", secret.as_str());
            }
            told
        };
        return out.data(told, String::new);
    }
    let branches = printable(&rule.pattern);
    if !rule.blocks.is_empty() {
        out.note(&format!("branches '{branches}' are protected from: {}", rule.blocks.join(",")));
    }
    if let Some(check) = &rule.check {
        let by = printable(&check.url);
        out.note(&format!("commits and merges into branches '{branches}' are checked by {by}"));
    }
    if let Some(secret) = secret {
        out.data(|| json!({}), || format!("secret  {secret}"))?;
        out.note("the secret is not shown again: put it where it is needed");
    }
    Ok(())
}

fn tell(out: &Out, rule: &RuleShape) -> Told {
    let check = match &rule.check {
        None => String::new(),
        Some(check) => {
            format!("\tchecked by {}, else {}", printable(&check.url), check.on_failure)
        }
    };
    let line = format!("{}\t{}{check}", printable(&rule.pattern), rule.blocks.join(","));
    out.data(|| shape(rule), || line)
}

fn shape(rule: &RuleShape) -> Value {
    // A shape of texts and numbers is always JSON.
    serde_json::to_value(rule).unwrap_or_default()
}
