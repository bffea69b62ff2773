//! Rules of protected branches: what may not be done to them directly, and who is asked before a commit.

use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};

use crate::auth::{Admin, Reader};
use crate::error::ApiResult;
use crate::extract::{Json, NoParameters, Path, Query};
use crate::sinks::shapes::RuleShape;
use crate::sinks::{CHECK_TIMEOUT, NewCheck, NewRule};
use crate::state::AppState;
use onward::RepoName;
use onward::internals::repo::protection::OnFailure;

/// All rules of a repository.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct RulesShape {
    /// The rules, in the order in which they were made.
    rules: Vec<RuleShape>,
}

/// What a rule is to be. What is left out stays as it is in the rule that is there.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRuleShape {
    /// What may not be done to the branches directly: `stage`, `commit`, `delete`, `reset`. Left out, what is blocked
    /// stays as it is where `check` is said, and else is everything; a new rule with a check blocks nothing.
    blocks: Option<Vec<String>>,
    /// Who is asked before a commit or a merge is queued; `null`: nobody any more.
    #[serde(default, deserialize_with = "said")]
    #[cfg_attr(feature = "describe", schema(value_type = Option<NewCheckShape>))]
    check: Option<Option<NewCheckShape>>,
}

/// A check before acceptance.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewCheckShape {
    /// Where it is asked: `https://`, or where the sidecar's operator allows it `http://`.
    url: String,
    /// How long it may take, milliseconds; by default 5 s, at most 30 s.
    timeout_ms: Option<u64>,
    /// What becomes of a commit that it gives no answer for: `refuse` (by default), `accept`.
    on_failure: Option<String>,
}

/// A rule that was set.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct RuleSetShape {
    /// The rule as it is now.
    rule: RuleShape,
    /// What questions of a new check are signed with: shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Tells what is said, be it `null`, from what is left out.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

fn way(said: Option<String>) -> onward::Result<OnFailure> {
    said.map_or(Ok(OnFailure::default()), |way| way.parse())
}

impl NewRuleShape {
    fn read(self, pattern: String) -> onward::Result<NewRule> {
        let blocks = self.blocks.map(|blocks| {
            blocks.iter().map(|action| action.parse()).collect::<onward::Result<_>>()
        });
        let check = match self.check {
            None => NewCheck::AsItIs,
            Some(None) => NewCheck::Nobody,
            Some(Some(NewCheckShape { url, timeout_ms, on_failure })) => NewCheck::By {
                url,
                timeout: timeout_ms.map_or(CHECK_TIMEOUT, Duration::from_millis),
                on_failure: way(on_failure)?,
            },
        };
        Ok(NewRule { pattern, blocks: blocks.transpose()?, check })
    }
}

/// The rules of protected branches
///
/// With their checks, which lakeFS's API does not know.
#[cfg_attr(feature = "describe", utoipa::path(
    get,
    path = "/repositories/{repo}/protection",
    tag = "policy",
    params(("repo" = String, Path, description = "The repository")),
    responses(
        (status = 200, description = "The rules, without the secrets of checks", body = RulesShape),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "The storage does not answer", body = crate::error::Problem),
    )))]
pub async fn list(
    _: Reader,
    State(app): State<AppState>,
    Path(repo): Path<String>,
    _: Query<NoParameters>,
) -> ApiResult<Body<RulesShape>> {
    let repo = RepoName::new(repo)?;
    let rules = app.onward.repo(repo.as_str()).protection().await?;
    Ok(Body(RulesShape { rules: rules.iter().map(|rule| RuleShape::of(&repo, rule)).collect() }))
}

/// Add a rule, or change the one with this pattern
///
/// What is left out stays as it is. This sidecar follows the rule at once, others within two seconds.
#[cfg_attr(feature = "describe", utoipa::path(
    put,
    path = "/repositories/{repo}/protection/{pattern}",
    tag = "policy",
    params(("repo" = String, Path, description = "The repository"), ("pattern" = String, Path, description = "The branches that it is for, such as `release-*`")),
    request_body = NewRuleShape,
    responses(
        (status = 200, description = "The rule as it is now, with the secret of a new check", body = RuleSetShape),
        (status = 403, description = "Nobody may be asked there", body = crate::error::Problem),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "The storage does not answer", body = crate::error::Problem),
    )))]
pub async fn set(
    _: Admin,
    State(app): State<AppState>,
    Path((repo, pattern)): Path<(String, String)>,
    _: Query<NoParameters>,
    Json(wanted): Json<NewRuleShape>,
) -> ApiResult<Body<RuleSetShape>> {
    let repo = RepoName::new(repo)?;
    let checks = app.sinks.checks();
    let (rule, secret) = checks.protect(&app.onward, &repo, wanted.read(pattern)?).await?;
    Ok(Body(RuleSetShape { rule: RuleShape::of(&repo, &rule), secret }))
}

/// Remove a rule
///
/// With its check.
#[cfg_attr(feature = "describe", utoipa::path(
    delete,
    path = "/repositories/{repo}/protection/{pattern}",
    tag = "policy",
    params(("repo" = String, Path, description = "The repository"), ("pattern" = String, Path, description = "The pattern, exactly as it was added")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "The storage does not answer", body = crate::error::Problem),
    )))]
pub async fn remove(
    _: Admin,
    State(app): State<AppState>,
    Path((repo, pattern)): Path<(String, String)>,
    _: Query<NoParameters>,
) -> ApiResult<StatusCode> {
    app.onward.repo(RepoName::new(repo)?.as_str()).unprotect(&pattern).await?;
    Ok(StatusCode::NO_CONTENT)
}
