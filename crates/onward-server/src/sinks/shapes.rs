//! Sinks, and rules with their checks, as they are shown, over HTTP and at the prompt: without their secrets.

use onward::RepoName;
use onward::admin::Rule;
use onward::internals::clock::rfc3339;
use onward::internals::coord::append::stream_key;
use onward::internals::repo::sinks::{Progress, Sink, Target};
use serde::Serialize;

use super::reach::shown;

/// Branches that a sink leaves out and that are named, at most.
pub const LEFT_OUT_SHOWN: usize = 100;

/// A sink as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct SinkShape {
    /// Its id in the repository.
    pub id: String,
    /// The repository that it is of.
    pub repository: String,
    /// Patterns of the branches whose events it takes.
    pub branches: Vec<String>,
    /// Which events: `commit`, `merge`, `reset`, `branch_created`, `branch_deleted`.
    pub events: Vec<String>,
    /// Where a webhook goes, without the query of its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The name of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The Redis of a stream, where that is not the deployment's own; without its login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
    /// When it was made.
    pub created: String,
    /// How long one delivery may take, milliseconds.
    pub timeout_ms: u64,
    /// How long an event may fail before the sink is given up, milliseconds.
    pub give_up_after_ms: u64,
    /// `live`; `failing`: what is next is refused, and tried again; or `dead`: it was given up.
    pub state: String,
    /// Since when it fails, or is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Events delivered so far, those that were sent again counted again; noted once a second.
    pub delivered: u64,
    /// Branches that it is for and whose records are damaged, 100 at most: they are followed once those are mended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// A rule of protected branches as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct RuleShape {
    /// The repository that it is of.
    pub repository: String,
    /// The branches that it is for: `?` is any character, `*` any number of them, `[a-c]` one of these.
    pub pattern: String,
    /// What may not be done to them directly: `stage`, `commit`, `delete`, `reset`.
    pub blocks: Vec<String>,
    /// Who is asked before a commit or a merge is queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckShape>,
}

/// A check before acceptance as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct CheckShape {
    /// Where it is asked: the host of its URL alone.
    pub url: String,
    /// How long it may take, milliseconds.
    pub timeout_ms: u64,
    /// What becomes of a commit that it gives no answer for: `refuse`, `accept`.
    pub on_failure: String,
}

impl RuleShape {
    /// A rule of a repository.
    pub fn of(repo: &RepoName, rule: &Rule) -> Self {
        let check = rule.check.as_ref().map(|check| CheckShape {
            url: shown(&check.url),
            timeout_ms: check.timeout_ms,
            on_failure: check.on_failure.to_string(),
        });
        Self {
            repository: repo.to_string(),
            pattern: rule.pattern.clone(),
            blocks: rule.blocks.iter().map(|action| action.name().to_owned()).collect(),
            check,
        }
    }
}

impl SinkShape {
    /// A sink, and how far it has come.
    pub fn of(repo: &RepoName, sink: Sink, progress: Option<Progress>) -> Self {
        let progress = progress.unwrap_or_default();
        let failing = progress.failing_since_ms();
        let (state, since, reason) = match (&progress.dead, failing) {
            (Some(dead), _) => ("dead", Some(dead.at_ms), Some(dead.reason.clone())),
            (None, Some(since)) => ("failing", Some(since), progress.trouble.clone()),
            (None, None) => ("live", None, progress.trouble.clone()),
        };
        let left_out = progress.left_out.iter().take(LEFT_OUT_SHOWN);
        let own_name = sink.own_name();
        let (url, stream, redis) = match sink.target {
            Target::Webhook { url, .. } => (Some(shown(&url)), None, None),
            Target::Stream { shown, key, .. } => {
                let key = key.unwrap_or_else(|| stream_key(repo, &own_name));
                (None, Some(key), shown)
            }
        };
        Self {
            id: sink.id,
            repository: repo.to_string(),
            branches: sink.branches,
            events: sink.kinds.iter().map(|kind| kind.name().to_owned()).collect(),
            url,
            stream,
            redis,
            created: rfc3339(sink.created_ms),
            timeout_ms: sink.timeout_ms,
            give_up_after_ms: sink.give_up_ms,
            state: state.to_owned(),
            since: since.map(rfc3339),
            reason,
            delivered: progress.delivered,
            left_out: left_out.map(|left| left.name.to_string()).collect(),
        }
    }

    /// Whether it was given up.
    pub fn is_dead(&self) -> bool {
        self.state == "dead"
    }

    /// Where it goes, for people.
    pub fn place(&self) -> String {
        match (&self.url, &self.stream, &self.redis) {
            (Some(url), ..) => url.clone(),
            (None, Some(stream), Some(redis)) => format!("{stream} at {redis}"),
            (None, stream, None) => stream.clone().unwrap_or_default(),
            (None, None, Some(redis)) => redis.clone(),
        }
    }
}
