//! What differs between two refs in Iceberg's words: snapshots, rows, files, columns.

use axum::Json;
use axum::extract::State;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::Reader;
use crate::error::ApiResult;
use crate::extract::{Flag, Path, Query};
use crate::state::AppState;
use crate::tables::ROOT;
use onward::history::{Decision, Diff, Ruled, ScanStart};
use onward::{Entry, ObjectPath, RefExpr};

/// Tables on a page, at most: each takes the metadata of two commits, or three.
const PAGE_MAX: usize = 100;

/// Which tables are told.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "describe", into_params(parameter_in = Query))]
pub struct TablesQuery {
    /// Compare the two as they are, instead of what merging the second would bring to the first: what a commit did is
    /// `refs/COMMIT~1/tables/COMMIT?two_dot=true`.
    #[cfg_attr(feature = "describe", param(value_type = bool))]
    two_dot: Flag,
    /// Only behind this path: what `next` of the page before says.
    after: String,
    /// At most so many tables; by default 100, which is the most.
    amount: usize,
}

impl Default for TablesQuery {
    fn default() -> Self {
        Self { two_dot: Flag(false), after: String::new(), amount: PAGE_MAX }
    }
}

/// Tables that differ.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct TablesShape {
    /// They, by their paths.
    results: Vec<TableShape>,
    /// Where the next page begins; null where there is none.
    next: Option<String>,
}

/// A table that differs.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct TableShape {
    /// Its path on the branch.
    path: String,
    /// `added`, `removed`, `changed`, or `conflict`: a merge cannot put both sides together.
    r#type: &'static str,
    /// Its `namespace` and `name`; in `change` the snapshots, rows, files, columns and what else changed, or in
    /// `damage` why that cannot be read; in `conflict`, where both sides changed it, their snapshots and the reason why
    /// they stay apart.
    #[cfg_attr(feature = "describe", schema(value_type = Object))]
    table: Value,
}

/// Tables that differ between two refs
///
/// In Iceberg's words, from the metadata of both: what merging the right one would bring to the left one.
#[cfg_attr(
    feature = "describe",
    utoipa::path(
        get,
        path = "/repositories/{repo}/refs/{left}/tables/{right}",
        tag = "commits",
        params(
            ("repo" = String, Path, description = "The repository"),
            ("left" = String, Path, description = "What would be merged into"),
            ("right" = String, Path, description = "What would be merged"),
            TablesQuery,
        ),
        responses(
            (status = 200, description = "The tables", body = TablesShape),
            (status = "4XX", description = "Refused", body = crate::error::Problem),
            (status = 503, description = "Redis or the storage does not answer", body = crate::error::Problem),
        )
    )
)]
pub async fn differing(
    _: Reader,
    State(app): State<AppState>,
    Path((name, left, right)): Path<(String, String, String)>,
    Query(query): Query<TablesQuery>,
) -> ApiResult<Json<TablesShape>> {
    let repo = app.onward.repo(&name);
    let (left, right): (RefExpr, RefExpr) = (left.parse()?, right.parse()?);
    let start = match query.after.as_str() {
        "" => ScanStart::prefix(ROOT),
        after => ScanStart::prefix(ROOT).after(after),
    };
    let mut page =
        Page { app: &app, repo: &name, shape: TablesShape { results: Vec::new(), next: None } };
    let amount = query.amount.clamp(1, PAGE_MAX);
    if query.two_dot.0 {
        let mut all = repo.diff_from(&left, &right, start).await?;
        while let Some(diff) = all.try_next().await? {
            if page.is_full(amount) {
                break;
            }
            page.two_dot(diff).await?;
        }
    } else {
        let mut all = repo.three_way_diff(&left, &right, start).await?;
        while let Some(ruled) = all.try_next().await? {
            if page.is_full(amount) {
                break;
            }
            page.three_dot(ruled).await?;
        }
    }
    Ok(Json(page.shape))
}

/// A page in the making.
struct Page<'a> {
    app: &'a AppState,
    repo: &'a str,
    shape: TablesShape,
}

impl Page<'_> {
    /// Whether it has all that it may; then it says where the next one begins.
    fn is_full(&mut self, amount: usize) -> bool {
        let is_full = self.shape.results.len() >= amount;
        if is_full {
            self.shape.next = self.shape.results.last().map(|last| last.path.clone());
        }
        is_full
    }

    async fn two_dot(&mut self, diff: Diff) -> ApiResult<()> {
        let Diff { path, before, after } = diff;
        self.changed(&path, before.as_ref(), after.as_ref()).await
    }

    async fn three_dot(&mut self, ruled: Ruled) -> ApiResult<()> {
        let Ruled { path, base, source, dest, decision, .. } = &ruled;
        match decision {
            Decision::KeepDest => return Ok(()),
            Decision::TakeSource => {
                return self.changed(path, dest.as_ref(), source.as_ref()).await;
            }
            Decision::Conflict => {}
        }
        let conflict = ruled.clone().into_conflict();
        let Some(apart) = self.app.tables.conflict(self.repo, &conflict).await? else {
            return Ok(());
        };
        let sides = (base.as_ref(), source.as_ref());
        let told = self.app.tables.change(self.repo, path, sides).await?;
        let mut table = told.map_or_else(|| apart.json.clone(), |told| told.json);
        if let Some(table) = table.as_object_mut() {
            table.insert("conflict".to_owned(), apart.json);
        }
        let r#type = if apart.is_mergeable { "changed" } else { "conflict" };
        self.shape.results.push(TableShape { path: path.to_string(), r#type, table });
        Ok(())
    }

    async fn changed(
        &mut self,
        path: &ObjectPath,
        before: Option<&Entry>,
        after: Option<&Entry>,
    ) -> ApiResult<()> {
        let Some(told) = self.app.tables.change(self.repo, path, (before, after)).await? else {
            return Ok(());
        };
        let r#type = match (before, after) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let path = path.to_string();
        self.shape.results.push(TableShape { path, r#type, table: told.json });
        Ok(())
    }
}
