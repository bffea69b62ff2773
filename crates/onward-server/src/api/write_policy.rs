//! How objects are written that come alone: the rules for branches and prefixes.

use axum::Json as Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::auth::{Admin, Reader};
use crate::conditions::{Conditions, ETag};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Json, NoParameters, Path, Query};
use crate::state::AppState;
use onward::admin::{WriteRule, Written};

/// A rule of writing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WriteRuleShape {
    /// For the branches whose names match this: `?` is any character, `*` any number of them, `[a-c]` one
    /// of these.
    pattern: String,
    /// For the paths that begin with this; by default all.
    #[serde(default)]
    prefix: String,
    /// `stage`, or `commit`: each object is a commit of its own.
    write: WrittenShape,
}

/// How an object is written.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WrittenShape {
    /// It is staged.
    Stage,
    /// It is a commit of its own.
    Commit,
}

/// All rules of writing of a repository.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WritePolicyShape {
    /// The rules. Of those that match, the one with the longest prefix decides; of several the one whose
    /// pattern is the branch's name, then the first.
    rules: Vec<WriteRuleShape>,
}

impl From<WriteRule> for WriteRuleShape {
    fn from(WriteRule { pattern, prefix, write }: WriteRule) -> Self {
        let write = match write {
            Written::Staged => WrittenShape::Stage,
            Written::Committed => WrittenShape::Commit,
        };
        Self { pattern, prefix, write }
    }
}

impl From<WriteRuleShape> for WriteRule {
    fn from(WriteRuleShape { pattern, prefix, write }: WriteRuleShape) -> Self {
        let write = match write {
            WrittenShape::Stage => Written::Staged,
            WrittenShape::Commit => Written::Committed,
        };
        Self { pattern, prefix, write }
    }
}

/// What tells one set of rules from another.
fn etag(rules: &[WriteRule]) -> ApiResult<ETag> {
    let bytes = serde_json::to_vec(rules)
        .map_err(|error| onward::Error::internal("rules cannot be encoded").with_source(error))?;
    Ok(ETag::new(blake3::hash(&bytes).to_hex().get(..16).unwrap_or_default()))
}

/// How objects are written that come alone
///
/// Clients that know objects and no commits, as those of S3, write by these rules: without one an object is
/// staged.
#[cfg_attr(feature = "describe", utoipa::path(
    get,
    path = "/repositories/{repo}/write_policy",
    tag = "policy",
    params(("repo" = String, Path, description = "The repository")),
    responses(
        (status = 200, description = "The rules, with an ETag", body = WritePolicyShape),
        (status = 304, description = "They are those of If-None-Match"),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "The storage does not answer", body = crate::error::Problem),
    )))]
pub async fn show(
    _: Reader,
    State(app): State<AppState>,
    Path(repo): Path<String>,
    _: Query<NoParameters>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let conditions = Conditions::of(&headers)?;
    let rules = app.onward.repo(repo).write_policy().await?;
    let etag = etag(&rules)?;
    let mut response = match conditions.is_wanted(&etag, 0)? {
        true => {
            let rules = rules.into_iter().map(WriteRuleShape::from).collect();
            Body(WritePolicyShape { rules }).into_response()
        }
        false => StatusCode::NOT_MODIFIED.into_response(),
    };
    if let Ok(etag) = HeaderValue::from_str(&etag.quoted()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}

/// Replaces the rules of how objects are written
///
/// All of them, or, where one is refused, none; with `If-Match` only where they are those that were read.
/// This sidecar follows them at once, others within two seconds.
#[cfg_attr(feature = "describe", utoipa::path(
    put,
    path = "/repositories/{repo}/write_policy",
    tag = "policy",
    params(("repo" = String, Path, description = "The repository")),
    request_body = WritePolicyShape,
    responses(
        (status = 204, description = "These are the rules now"),
        (status = 412, description = "They are not those of If-Match", body = crate::error::Problem),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "The storage does not answer", body = crate::error::Problem),
    )))]
pub async fn replace(
    _: Admin,
    State(app): State<AppState>,
    Path(repo): Path<String>,
    _: Query<NoParameters>,
    headers: HeaderMap,
    Json(wanted): Json<WritePolicyShape>,
) -> ApiResult<StatusCode> {
    let conditions = Conditions::of(&headers)?;
    let rules: Vec<WriteRule> = wanted.rules.into_iter().map(WriteRule::from).collect();
    let change = |there: Vec<WriteRule>| {
        conditions.require("the set of rules", Some(&etag(&there)?))?;
        Ok::<_, ApiError>(rules.clone())
    };
    app.onward.repo(repo).change_write_policy(change).await?;
    Ok(StatusCode::NO_CONTENT)
}
