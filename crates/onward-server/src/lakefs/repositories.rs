//! Repositories, their metadata and their rules.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json as Body, Router};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::named::repo;
use super::wire::{self, BranchProtectionRule, List, ListQuery, RepositoryCreation, amount};
use crate::auth::{Admin, Reader, Writer};
use crate::conditions::{Conditions, ETag};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Flag, Json, JsonItems, Path, Query};
use crate::state::{App, AppState};
use onward::BranchName;
use onward::internals::repo::RepoInfo;
use onward::internals::repo::protection::{Action, Rule};

/// The default branch of a repository, unless its creator says otherwise.
pub const DEFAULT_BRANCH: &str = "main";

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/repositories", get(list).post(create))
        .route("/repositories/{repo}", get(show).delete(delete))
        .route(
            "/repositories/{repo}/metadata",
            get(metadata).post(set_metadata).delete(delete_metadata),
        )
        .route("/repositories/{repo}/settings/branch_protection", get(rules).put(set_rules))
        .route(
            "/repositories/{repo}/settings/gc_rules",
            get(no_gc_rules).put(no_gc_rules).delete(no_gc_rules),
        )
        .route("/repositories/{repo}/gc/rules/set_allowed", get(no_gc_rules))
}

fn shape(app: &App, info: RepoInfo) -> wire::Repository {
    wire::Repository {
        storage_namespace: app.onward.coordinator().objects().address(info.name.as_str()),
        id: info.name.to_string(),
        creation_date: info.created_ms.div_euclid(1000),
        default_branch: info.default_branch.to_string(),
        storage_id: String::new(),
        read_only: false,
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RepositoriesQuery {
    prefix: String,
    after: String,
    amount: Option<i64>,
    search: String,
}

async fn list(
    _: Reader,
    State(app): State<AppState>,
    Query(query): Query<RepositoriesQuery>,
) -> ApiResult<Body<List<wire::Repository>>> {
    let RepositoriesQuery { prefix, after, amount, search } = query;
    let request = names(&ListQuery { prefix, after, amount });
    let page = app.onward.repos_page(&request, &search).await?;
    let next = page.items.last().filter(|_| page.has_more).map(|info| info.name.to_string());
    let results = page.items.into_iter().map(|info| shape(&app, info)).collect();
    Ok(Body(List::new(results, next)))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CreateQuery {
    bare: Flag,
}

async fn create(
    _: Admin,
    State(app): State<AppState>,
    Query(query): Query<CreateQuery>,
    Json(wanted): Json<RepositoryCreation>,
) -> ApiResult<Response> {
    if query.bare.0 {
        return Err(ApiError::not_supported(
            "there are no bare repositories here: refs are restored into the repository they were dumped from",
        ));
    }
    if wanted.read_only {
        return Err(ApiError::not_supported(
            "there are no read-only repositories here: protect their branches instead",
        ));
    }
    if wanted.sample_data {
        return Err(ApiError::not_supported(
            "there is no sample data: create the repository without it, and upload or import some",
        ));
    }
    let default_branch = match wanted.default_branch.as_str() {
        "" => DEFAULT_BRANCH,
        other => other,
    };
    let info = repo(&app, &wanted.name).create(&BranchName::new(default_branch)?).await?;
    Ok((StatusCode::CREATED, Body(shape(&app, info))).into_response())
}

async fn show(
    _: Reader,
    State(app): State<AppState>,
    Path(name): Path<String>,
) -> ApiResult<Body<wire::Repository>> {
    let info = repo(&app, &name).show().await?;
    Ok(Body(shape(&app, info)))
}

async fn delete(
    _: Admin,
    State(app): State<AppState>,
    Path(name): Path<String>,
) -> ApiResult<StatusCode> {
    repo(&app, &name).delete().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn metadata(
    _: Reader,
    State(app): State<AppState>,
    Path(name): Path<String>,
) -> ApiResult<Body<BTreeMap<String, String>>> {
    Ok(Body(repo(&app, &name).metadata().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetadataSet {
    metadata: BTreeMap<String, String>,
}

async fn set_metadata(
    _: Writer,
    State(app): State<AppState>,
    Path(name): Path<String>,
    Json(set): Json<MetadataSet>,
) -> ApiResult<StatusCode> {
    repo(&app, &name).change_metadata(|pairs| pairs.extend(set.metadata.clone())).await?;
    Ok(StatusCode::CREATED)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetadataKeys {
    keys: Vec<String>,
}

async fn delete_metadata(
    _: Writer,
    State(app): State<AppState>,
    Path(name): Path<String>,
    Json(gone): Json<MetadataKeys>,
) -> ApiResult<StatusCode> {
    repo(&app, &name)
        .change_metadata(|pairs| pairs.retain(|key, _| !gone.keys.contains(key)))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a rule blocks committing, as lakeFS's rules do: only such rules are shown to its clients.
fn is_shown(rule: &Rule) -> bool {
    rule.blocks.contains(&Action::Commit)
}

/// What tells one set of shown rules from another.
fn etag(rules: &[Rule]) -> ETag {
    let shown = rules.iter().filter(|rule| is_shown(rule));
    let patterns: Vec<&str> = shown.map(|rule| rule.pattern.as_str()).collect();
    let hash = blake3::hash(patterns.join("\n").as_bytes()).to_hex();
    ETag::new(hash.get(..16).unwrap_or_default())
}

async fn rules(
    _: Reader,
    State(app): State<AppState>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let conditions = Conditions::of(&headers)?;
    let mut rules = repo(&app, &name).protection().await?;
    let etag = etag(&rules);
    if !conditions.is_wanted(&etag, 0)? {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag.quoted())]).into_response());
    }
    rules.retain(is_shown);
    let shown: Vec<BranchProtectionRule> =
        rules.into_iter().map(|rule| BranchProtectionRule { pattern: rule.pattern }).collect();
    let mut response = Body(shown).into_response();
    if let Ok(etag) = HeaderValue::from_str(&etag.quoted()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}

/// Replaces the rules that lakeFS's clients see, all at once.
async fn set_rules(
    _: Admin,
    State(app): State<AppState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    JsonItems(wanted): JsonItems<BranchProtectionRule>,
) -> ApiResult<StatusCode> {
    let conditions = Conditions::of(&headers)?;
    let patterns: Vec<String> = wanted.into_iter().map(|rule| rule.pattern).collect();
    let change = |there: Vec<Rule>| {
        conditions.require("the set of rules", Some(&etag(&there)))?;
        Ok::<_, ApiError>(replaced(there, patterns.clone()))
    };
    repo(&app, &name).change_protection(change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The rules that there are then: those with a wanted pattern block everything, which is what lakeFS's
/// rules are taken for; of the others, those that are not shown stay.
fn replaced(there: Vec<Rule>, mut wanted: Vec<String>) -> Vec<Rule> {
    let mut rules = Vec::with_capacity(there.len() + wanted.len());
    for rule in there {
        if wanted.contains(&rule.pattern) {
            wanted.retain(|pattern| *pattern != rule.pattern);
            // Who does not know of checks does not mean to take one away.
            rules.push(Rule { check: rule.check, ..Rule::new(rule.pattern) });
        } else if !is_shown(&rule) {
            rules.push(rule);
        } else if rule.check.is_some() {
            rules.push(rule.only([]));
        }
    }
    for pattern in wanted {
        if !rules.iter().any(|rule| rule.pattern == pattern) {
            rules.push(Rule::new(pattern));
        }
    }
    rules
}

async fn no_gc_rules() -> ApiError {
    ApiError::not_supported(
        "garbage collection has no rules by branch here: what no ref leads to is removed by whoever runs the deployment",
    )
}

/// The request that the query of a plain list stands for.
pub fn names(query: &ListQuery) -> onward::internals::repo::NamesRequest {
    onward::internals::repo::NamesRequest {
        prefix: query.prefix.clone(),
        after: query.after.clone(),
        amount: amount(query.amount),
    }
}
