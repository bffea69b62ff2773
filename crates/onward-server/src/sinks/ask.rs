//! Asking checks before acceptance: a webhook whose answer counts.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use onward::internals::clock::{now_ms, rfc3339};
use onward::internals::repo::ask::{Answer, Ask, Asked};
use onward::internals::repo::protection::{CHECK_TIMEOUT_MAX_MS, Check, OnFailure};
use onward::{Error, Onward, Result};
use serde::Deserialize;
use serde_json::json;

use super::envelope::{Envelope, source};
use super::reach::Reach;
use super::signature;
use super::webhook::{Post, Webhooks};
use crate::auth::Sealing;

/// The type of a question.
const CHECK: &str = "onward.check";

/// How long a check may take, unless it is said.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The most of an answer that is read, in bytes: a reason may name many paths.
const ANSWER_MAX: usize = 256 * 1024;

/// What says that there is no answer now: too slow, too early, too many.
const NOT_NOW: [u16; 3] = [408, 425, 429];

/// What a check refuses with.
#[derive(Deserialize)]
struct Refusal {
    reason: String,
}

/// Checks before acceptance: made with a secret, and asked.
#[derive(Clone)]
pub struct Checks {
    pub(super) webhooks: Webhooks,
    pub(super) sealing: Sealing,
}

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Checks(…)")
    }
}

impl Checks {
    /// Those of a deployment, to where `reach` allows.
    pub fn new(onward: &Onward, reach: Reach) -> Self {
        let sealing = Sealing::of_sinks(onward.coordinator().objects().clone());
        Self { webhooks: Webhooks::new(reach), sealing }
    }

    /// A check for the rule with this pattern, and its secret: the one time that it is shown.
    pub async fn make(
        &self,
        repo: &str,
        pattern: &str,
        url: &str,
        timeout: Duration,
        on_failure: OnFailure,
    ) -> Result<(Check, String)> {
        self.webhooks.reach().url(url)?;
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        if !(1..=CHECK_TIMEOUT_MAX_MS).contains(&timeout_ms) {
            return Err(Error::invalid("a check may take 30 s at most, and not 0"));
        }
        let secret = signature::draw();
        let sealed = self.sealing.seal(&owner(repo, pattern), &secret).await?;
        Ok((Check { url: url.to_owned(), secret: sealed, timeout_ms, on_failure }, secret))
    }

    async fn put(
        &self,
        pattern: &str,
        check: &Check,
        asked: &Asked,
        timeout: Duration,
    ) -> Result<Answer> {
        let secrets =
            [self.sealing.open(&owner(&asked.repository, pattern), &check.secret).await?];
        let question = question(asked);
        let (url, id, body) = (check.url.as_str(), question.id.as_str(), question.json.as_str());
        let answer_max = ANSWER_MAX;
        let post = Post { url, id, body, secrets: &secrets, timeout, answer_max };
        let answer = self.webhooks.post(post).await?;
        if answer.status.is_success() {
            return Ok(Answer::Accepted);
        }
        let said = format!("it answered {}", answer.status);
        if !answer.status.is_client_error() || NOT_NOW.contains(&answer.status.as_u16()) {
            return Ok(Answer::Failed(said));
        }
        let refusal = serde_json::from_slice::<Refusal>(&answer.body);
        Ok(Answer::Refused(refusal.map_or(said, |refusal| refusal.reason)))
    }
}

impl Ask for Checks {
    fn ask<'a>(
        &'a self,
        pattern: &'a str,
        check: &'a Check,
        asked: &'a Asked,
        timeout: Duration,
    ) -> BoxFuture<'a, Answer> {
        let asking = self.put(pattern, check, asked, timeout);
        asking
            .map(|answer| answer.unwrap_or_else(|error| Answer::Failed(error.to_string())))
            .boxed()
    }
}

/// What the secret of a check is bound to: no sink has such an id.
fn owner(repo: &str, pattern: &str) -> String {
    format!("{repo}/check of {pattern}")
}

fn question(asked: &Asked) -> Envelope {
    let paths = asked.paths.iter().map(|(path, is_removal)| {
        json!({"path": path, "change": if *is_removal { "delete" } else { "put" }})
    });
    let whole = json!({
        "specversion": "1.0",
        "id": asked.op_id,
        "source": source(&asked.repository),
        "type": CHECK,
        "subject": asked.branch,
        "time": rfc3339(now_ms()),
        "datacontenttype": "application/json",
        "data": {
            "repository": asked.repository,
            "branch": asked.branch,
            "op_id": asked.op_id,
            "kind": asked.kind,
            "committer": asked.committer,
            "message": asked.message,
            "metadata": asked.metadata,
            "changes": {"count": asked.count, "first": paths.collect::<Vec<_>>()},
        },
    });
    let (id, branch) = (asked.op_id.to_string(), asked.branch.clone());
    Envelope { id, kind: CHECK, branch, json: whole.to_string() }
}
