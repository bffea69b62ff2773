//! `POST …/changes`: a commit of exactly the changes sent, in one request.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::head::named;
use super::waiting::{WaitQuery, accepted, answer};
use crate::auth::Writer;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, Query, body, broke_off};
use crate::headers::media_type;
use crate::idempotency::idempotent_op;
use crate::state::AppState;
use onward::changes::CommitHead;
use onward::internals::clock;
use onward::internals::model::ids::{Fingerprint, Fingerprinter};
use onward::internals::repo::change_file::{LINE_MAX, parse_line};
use onward::internals::repo::change_set::check_size;
use onward::internals::repo::{Branch, ChangeBuilder};
use onward::{Error, OpId, Result};

/// Bytes that are read on the thread that serves others.
const SMALL_LEN: usize = 64 * 1024;

/// Bytes of lines that are read before they are given to the commit.
const CHUNK_LEN: usize = 1 << 20;

/// The first line of change sets in JSON lines.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    commit: CommitHead,
}

/// Commits a change set
///
/// In one JSON document, or as JSON lines (`application/jsonl`): the first line
/// `{"commit": {"message": …}}`, then one change on each. `Content-Encoding: gzip` is understood.
/// Waits for the outcome unless `wait=false`. What is staged on the branch stays staged.
#[cfg_attr(
    feature = "describe",
    utoipa::path(
        post,
        path = "/repositories/{repo}/branches/{branch}/changes",
        tag = "commits",
        params(
            ("repo" = String, Path, description = "The repository"),
            ("branch" = String, Path, description = "The branch"),
            WaitQuery,
            ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key, the request is the same op, and its answer has the header Idempotency-Replayed; another request under the same key is refused with 422"),
        ),
        request_body(
            description = "The changes",
            content((crate::api::shapes::ChangeSet = "application/json"), (String = "application/jsonl")),
        ),
        responses(
            (status = 201, description = "Committed", body = crate::api::outcome::OutcomeShape),
            (status = 200, description = "There was nothing to commit", body = crate::api::outcome::OutcomeShape),
            (status = 202, description = "Accepted, not decided yet: its ticket tells", body = crate::api::shapes::UndecidedShape, headers(("Location" = String, description = "Where the op's ticket is, beside what was asked for: `tickets/{op_id}`"))),
            (status = 409, description = "A conflict, cancelled, or a producer's op that is behind or fenced: nothing was changed", body = crate::api::outcome::OutcomeShape),
            (status = 422, description = "It cannot be carried out: nothing was changed", body = crate::api::outcome::OutcomeShape),
            (status = "4XX", description = "Refused: nothing was accepted", body = crate::error::Problem),
            (status = 429, description = "The queue is full: nothing was accepted, come back after Retry-After", body = crate::error::Problem),
            (status = 503, description = "Redis or the storage does not answer", body = crate::error::Problem),
        )
    )
)]
pub async fn commit(
    Writer(caller): Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(wait): Query<WaitQuery>,
    request: Request,
) -> ApiResult<Response> {
    let branch = app.onward.repo(&repo).branch(&name);
    let headers = request.headers();
    let idempotent = idempotent_op(headers, &caller.key.id, &["changes", &repo, &name])?;
    let change = match is_lines(headers)? {
        true => read_lines(branch, idempotent, request.into_body(), app.limits.changes_len).await?,
        false => read_whole(branch, idempotent, request, &app).await?,
    };
    let change = change.committer(caller.name());
    match wait.timeout() {
        None => accepted(change.submit().await?).await,
        Some(timeout) => Ok(answer(change.timeout(timeout).commit().await?)),
    }
}

fn is_lines(headers: &HeaderMap) -> ApiResult<bool> {
    let kind = media_type(headers)?.unwrap_or_default();
    let lines = [
        "application/jsonl",
        "application/x-ndjson",
        "application/json-lines",
        "application/x-jsonlines",
    ];
    Ok(lines.contains(&kind.as_str()))
}

async fn read_whole(
    branch: Branch,
    idempotent: Option<OpId>,
    request: Request,
    app: &AppState,
) -> ApiResult<ChangeBuilder> {
    let bytes = body(request, app).await?;
    let is_small = bytes.len() <= SMALL_LEN;
    let read = move || {
        let mut set = branch.change_set(&bytes)?;
        set.head = named(set.head, idempotent)?;
        let change = set.commit()?;
        Ok::<_, Error>(match idempotent {
            Some(_) => change.fingerprint(Fingerprint::of(&bytes)),
            None => change,
        })
    };
    // Many changes are sorted and spilled to files: not on a thread that serves others.
    Ok(match is_small {
        true => read()?,
        false => clock::on_other_thread(read).await??,
    })
}

async fn read_lines(
    branch: Branch,
    idempotent: Option<OpId>,
    body: Body,
    limit: usize,
) -> ApiResult<ChangeBuilder> {
    let mut pieces = body.into_data_stream();
    let mut reader = LineReader { change: None, branch: Some(branch), idempotent, number: 0 };
    let (mut pending, mut total) = (BytesMut::new(), 0);
    let mut fingerprint = idempotent.map(|_| Fingerprinter::default());
    loop {
        let piece = pieces.try_next().await.map_err(|error| broke_off(&error))?;
        let ended = piece.is_none();
        if let Some(piece) = piece {
            total += piece.len();
            if total > limit {
                return Err(ApiError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too_large",
                    format!(
                        "the changes are over the limit of {limit} bytes: commit them in parts"
                    ),
                ));
            }
            if let Some(fingerprint) = &mut fingerprint {
                fingerprint.update(&piece);
            }
            pending.extend_from_slice(&piece);
        }
        let end = match ended {
            true => pending.len(),
            false if pending.len() < CHUNK_LEN => continue,
            false => pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1),
        };
        if end == 0 && pending.len() > LINE_MAX {
            return Err(ApiError::invalid(format!("a line is over the limit of {LINE_MAX} bytes")));
        }
        let lines = pending.split_to(end).freeze();
        reader = match lines.len() > SMALL_LEN {
            true => clock::on_other_thread(move || reader.take(&lines)).await??,
            false => reader.take(&lines)?,
        };
        if ended {
            let change = reader.finish()?;
            return Ok(match fingerprint {
                Some(fingerprint) => change.fingerprint(fingerprint.finish()),
                None => change,
            });
        }
    }
}

/// Gives lines to a commit, whose head may be the first of them.
struct LineReader {
    change: Option<ChangeBuilder>,
    branch: Option<Branch>,
    idempotent: Option<OpId>,
    number: u64,
}

impl LineReader {
    fn take(mut self, lines: &Bytes) -> Result<Self> {
        for line in lines.split(|byte| *byte == b'\n') {
            self.number += 1;
            if self.change.is_none()
                && let Some(branch) = self.branch.take_if(|_| !line.trim_ascii().is_empty())
            {
                let head = serde_json::from_slice::<HeadLine>(line);
                let is_head = line.trim_ascii_start().starts_with(b"{\"commit\"") || head.is_ok();
                if is_head {
                    let head = head.map_err(|error| {
                        Error::invalid(format!("line {}: {error}", self.number))
                    })?;
                    self.change = Some(named(head.commit, self.idempotent)?.of(branch.change())?);
                    continue;
                }
                self.change =
                    Some(named(CommitHead::default(), self.idempotent)?.of(branch.change())?);
            }
            if let Some(change) = parse_line(self.number, line)?
                && let Some(commit) = &mut self.change
            {
                check_size(&change.change)
                    .map_err(|error| error.context(format!("line {}", self.number)))?;
                commit.push_line(self.number, change)?;
            }
        }
        // What follows the last line break is an empty line that the next chunk goes on with.
        self.number -= 1;
        Ok(self)
    }

    fn finish(self) -> Result<ChangeBuilder> {
        match (self.change, self.branch) {
            (Some(change), _) => Ok(change),
            (None, Some(branch)) => {
                named(CommitHead::default(), self.idempotent)?.of(branch.change())
            }
            (None, None) => Err(Error::internal("the lines of a change set have no commit")),
        }
    }
}
