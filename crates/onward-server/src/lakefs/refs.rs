//! Histories and differences: the log of a ref, and what differs between two of them.

use std::str::FromStr;

use axum::extract::State;
use axum::routing::get;
use axum::{Json as Body, Router};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;

use super::named::{path, reference, repo};
use super::wire::{CONTENT_TYPE_DEFAULT, Commit, Diff, List, RightStats, amount};
use crate::auth::Reader;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Flag, Path, Query};
use crate::folded::{self, Taken};
use crate::refs::pinned;
use crate::state::AppState;
use onward::internals::model::error::quoted;
use onward::internals::repo::{Branch, LogRequest};
use onward::internals::tree::{Decision, ListRequest, ScanStart};
use onward::{Entry, ObjectPath, Result};

/// Staged changes looked at together.
const STAGED_PER_LOOK: usize = 1000;

/// Lines of one common prefix that are passed over before what is behind it is looked for.
const PASSED_OVER_MAX: usize = 500;

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/repositories/{repo}/refs/{ref}/commits", get(log))
        .route("/repositories/{repo}/refs/{left}/diff/{right}", get(diff))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LogQuery {
    after: String,
    amount: Option<i64>,
    objects: Vec<String>,
    prefixes: Vec<String>,
    limit: Flag,
    first_parent: Flag,
    since: String,
    stop_at: String,
}

async fn log(
    _: Reader,
    State(app): State<AppState>,
    Path((name, from)): Path<(String, String)>,
    Query(query): Query<LogQuery>,
) -> ApiResult<Body<List<Commit>>> {
    let repo = repo(&app, &name);
    let amount = amount(query.amount);
    let from = reference(&from)?;
    let stop_at = match query.stop_at.as_str() {
        "" => None,
        stop => Some(repo.require_commit(&reference(stop)?).await?),
    };
    let objects = query.objects.iter().filter(|text| !text.is_empty());
    let after = match query.after.as_str() {
        "" => None,
        after => Some(repo.require_commit(&reference(after)?).await?),
    };
    let request = LogRequest {
        first_parent: query.first_parent.0,
        since_ms: since(&query.since)?,
        objects: objects.map(|text| path(text)).collect::<ApiResult<_>>()?,
        prefixes: query.prefixes.into_iter().filter(|text| !text.is_empty()).collect(),
        stop_at,
        after,
    };
    let commits = repo.log(&from, &request).await?;
    let mut results: Vec<Commit> =
        commits.take(amount + 1).map_ok(Commit::from).try_collect().await?;
    let has_more = results.len() > amount;
    results.truncate(amount);
    // With `limit` lakeFS shows `amount` commits at most, and never says that there are more.
    let next = results.last().filter(|_| has_more && !query.limit.0).map(|c| c.id.clone());
    Ok(Body(List::new(results, next)))
}

/// A moment in RFC 3339, also as Python writes it: with an offset that has no colon, or with none,
/// which means UTC.
fn since(text: &str) -> ApiResult<Option<i64>> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        ApiError::invalid(format!("'{}' is not a date: write 2026-11-22T09:00:00Z", quoted(text)))
    };
    if let Ok(moment) = jiff::Timestamp::from_str(text) {
        return Ok(Some(moment.as_millisecond()));
    }
    let moment = jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text)
        .and_then(|parsed| parsed.to_timestamp())
        .or_else(|_| {
            jiff::civil::DateTime::from_str(text)?
                .to_zoned(jiff::tz::TimeZone::UTC)
                .map(|zoned| zoned.timestamp())
        });
    moment.map(|moment| Some(moment.as_millisecond())).map_err(|_| wrong())
}

/// A path that differs.
pub struct Differing {
    kind: &'static str,
    path: ObjectPath,
    right: Option<Entry>,
    /// What there is on the right, or was before it was removed.
    size: Option<u64>,
}

impl Differing {
    /// From what there is on the left to what there is on the right.
    fn new(path: ObjectPath, left: Option<&Entry>, right: Option<Entry>) -> Self {
        let kind = match (left, &right) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        Self::of_kind(kind, path, left, right)
    }

    fn of_kind(
        kind: &'static str,
        path: ObjectPath,
        left: Option<&Entry>,
        right: Option<Entry>,
    ) -> Self {
        let size = right.as_ref().or(left).map(|entry| entry.size);
        Self { kind, path, right, size }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct DiffQuery {
    prefix: String,
    after: String,
    delimiter: String,
    amount: Option<i64>,
    #[serde(rename = "type")]
    kind: String,
    include_right_stats: Flag,
}

async fn diff(
    _: Reader,
    State(app): State<AppState>,
    Path((name, left, right)): Path<(String, String, String)>,
    Query(query): Query<DiffQuery>,
) -> ApiResult<Body<List<Diff>>> {
    let repo = repo(&app, &name);
    let (left, right) = (reference(&left)?, reference(&right)?);
    let two_dot = match query.kind.as_str() {
        "two_dot" => true,
        "" | "three_dot" => false,
        other => {
            return Err(ApiError::invalid(format!(
                "'{}' is not a type of diff: there are two_dot and three_dot",
                quoted(other)
            )));
        }
    };
    // All of a page is about the same commits.
    let (from, to) = (pinned(&repo, &left).await?, pinned(&repo, &right).await?);
    // What merging the right one into the left one would bring.
    let three = match two_dot {
        true => None,
        false => {
            let three = repo.three_way(&from, &to).await;
            Some(three.map_err(|error| error.context(format!("from '{left}' to '{right}'")))?)
        }
    };
    let open = async |start: ScanStart| -> Result<BoxStream<'static, Result<Differing>>> {
        let Some(three) = &three else {
            let all = repo.diff_from(&from, &to, start).await?;
            return Ok(all
                .map_ok(|diff| Differing::new(diff.path, diff.before.as_ref(), diff.after))
                .boxed());
        };
        Ok(three
            .from(start)
            .try_filter_map(|ruled| async move {
                Ok(match ruled.decision {
                    Decision::KeepDest => None,
                    Decision::Conflict => {
                        let left = ruled.dest.or(ruled.base);
                        let (path, right) = (ruled.path, ruled.source);
                        Some(Differing::of_kind("conflict", path, left.as_ref(), right))
                    }
                    Decision::TakeSource => {
                        Some(Differing::new(ruled.path, ruled.base.as_ref(), ruled.source))
                    }
                })
            })
            .boxed())
    };
    page_of(query, open).await.map(Body)
}

/// What is staged on a branch and differs from its head.
pub async fn uncommitted(
    branch: Branch,
    start: ScanStart,
) -> Result<BoxStream<'static, Result<Differing>>> {
    let from = (branch, Some(start));
    let pages = futures::stream::try_unfold(from, |(branch, start)| async move {
        let Some(start) = start else { return Ok(None) };
        let (diffs, next) = branch.staged_diff(&start, STAGED_PER_LOOK).await?;
        Ok(Some((diffs, (branch, next))))
    });
    let lines = pages
        .map_ok(|diffs| futures::stream::iter(diffs.into_iter().map(Ok)))
        .try_flatten()
        .map_ok(|diff: onward::internals::tree::Diff| {
            Differing::new(diff.path, diff.before.as_ref(), diff.after)
        });
    Ok(lines.boxed())
}

/// A page of what differs, with the paths behind a delimiter as one line. `open` gives the lines
/// from some path on.
pub async fn page_of<F>(query: DiffQuery, open: impl Fn(ScanStart) -> F) -> ApiResult<List<Diff>>
where
    F: Future<Output = Result<BoxStream<'static, Result<Differing>>>>,
{
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    // The prefix itself is no common prefix, even if it ends like one.
    let request = ListRequest {
        prefix: query.prefix.clone(),
        after: given(&query.after),
        delimiter: given(&query.delimiter),
        amount: amount(query.amount),
    };
    let mut results: Vec<Diff> = Vec::new();
    let (mut passed_over, mut has_more) = (0, false);
    let take = |common: Option<&str>, line: Differing| {
        let last = results.last().filter(|last| last.path_type == "common_prefix");
        if common.is_some() && last.map(|last| last.path.as_str()) == common {
            passed_over += 1;
            return if passed_over == PASSED_OVER_MAX { Taken::BehindFolder } else { Taken::Next };
        }
        if results.len() == request.amount {
            has_more = true;
            return Taken::Enough;
        }
        passed_over = 0;
        results.push(match common {
            Some(common) => prefix_changed(common),
            None => shape(line, query.include_right_stats.0),
        });
        Taken::Next
    };
    folded::read(&request, open, take).await?;
    let next = results.last().filter(|_| has_more).map(|diff| diff.path.clone());
    Ok(List::new(results, next))
}

impl folded::Line for Differing {
    fn path(&self) -> &str {
        self.path.as_str()
    }
}

fn prefix_changed(common: &str) -> Diff {
    Diff {
        kind: "prefix_changed",
        path: common.to_owned(),
        path_type: "common_prefix",
        size_bytes: None,
        right: None,
    }
}

fn shape(line: Differing, with_right: bool) -> Diff {
    let right = line.right.filter(|_| with_right).map(|entry| RightStats {
        checksum: entry.checksum,
        mtime: entry.mtime,
        content_type: entry.content_type.unwrap_or_else(|| CONTENT_TYPE_DEFAULT.into()),
        metadata: entry.metadata,
    });
    Diff {
        kind: line.kind,
        path: line.path.into(),
        path_type: "object",
        size_bytes: line.size,
        right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onward::internals::tree::Position;

    #[tokio::test]
    async fn lines_of_one_prefix_are_passed_over_and_many_of_them_are_jumped() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        for (folders, paths, opened) in
            [(90, 10, 1), (3, PASSED_OVER_MAX, 1), (3, PASSED_OVER_MAX + 1, 4)]
        {
            let opens = AtomicUsize::new(0);
            let open = async |start: ScanStart| -> Result<BoxStream<'static, Result<Differing>>> {
                opens.fetch_add(1, Ordering::Relaxed);
                let names = (0..folders).flat_map(move |folder| {
                    (0..paths).map(move |path| format!("f{folder:02}/{path:05}"))
                });
                let from = match start.position {
                    Position::At(from) => from,
                    _ => String::new(),
                };
                let lines = names.skip_while(move |name| *name < from).map(|name| {
                    Ok(Differing::new(ObjectPath::new(name)?, None, Some(Entry::default())))
                });
                Ok(futures::stream::iter(lines).boxed())
            };
            let query = |amount: i64| DiffQuery {
                delimiter: "/".into(),
                amount: Some(amount),
                ..DiffQuery::default()
            };
            let page = page_of(query(100), &open).await.unwrap();
            let shown: Vec<String> = page.results.into_iter().map(|diff| diff.path).collect();
            let expected: Vec<String> =
                (0..folders).map(|folder| format!("f{folder:02}/")).collect();
            assert_eq!(shown, expected);
            assert!(!page.pagination.has_more);
            assert_eq!(opens.load(Ordering::Relaxed), opened, "{folders} {paths}");
            let page = page_of(query(2), &open).await.unwrap();
            assert_eq!((page.results.len(), page.pagination.has_more), (2, true));
            assert_eq!(page.pagination.next_offset, "f01/");
        }
    }

    #[tokio::test]
    async fn a_path_that_only_ends_like_a_delimiter_is_no_common_prefix() {
        let open = async |start: ScanStart| -> Result<BoxStream<'static, Result<Differing>>> {
            let lines = ["b//", "b///", "b//c", "b/d//e"].into_iter().filter(move |name| {
                match &start.position {
                    Position::First => true,
                    Position::At(from) => *name >= from.as_str(),
                    Position::After(from) => *name > from.as_str(),
                }
            });
            let lines = lines.map(|name| {
                Ok(Differing::new(ObjectPath::new(name)?, None, Some(Entry::default())))
            });
            Ok(futures::stream::iter(lines).boxed())
        };
        let (mut shown, mut after) = (Vec::new(), String::new());
        loop {
            let (prefix, delimiter) = ("b/".to_owned(), "//".to_owned());
            let query =
                DiffQuery { prefix, delimiter, after, amount: Some(1), ..DiffQuery::default() };
            let page = page_of(query, &open).await.unwrap();
            shown.extend(page.results.into_iter().map(|diff| diff.path));
            after = page.pagination.next_offset;
            if !page.pagination.has_more {
                break;
            }
        }
        assert_eq!(shown, ["b//", "b///", "b//c", "b/d//"]);
    }

    #[test]
    fn moments_are_read_as_clients_write_them() {
        let expected = 1_795_337_999_589;
        for text in [
            "2026-11-22T08:59:59.589Z",
            "2026-11-22T08:59:59.589+00:00",
            "2026-11-22T08:59:59.589000+0000",
            "2026-11-22T10:59:59.589000+0200",
            "2026-11-22T08:59:59.589",
        ] {
            assert_eq!(since(text).unwrap(), Some(expected), "{text}");
        }
        assert_eq!(since("").unwrap(), None);
        assert!(since("yesterday").is_err());
    }
}
