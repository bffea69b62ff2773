//! Sinks: where events of a repository go.

use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::auth::{Admin, Reader};
use crate::error::ApiResult;
use crate::extract::{Json, NoParameters, Path, Query};
use crate::sinks::shapes::SinkShape;
use crate::sinks::{GIVE_UP_AFTER, Made, NewSink, NewTarget, STREAM_LENGTH, Sent, TIMEOUT};
use crate::state::AppState;
use onward::internals::repo::sinks::StartAt;
use onward::{Error, RepoName, Ticket};

/// All sinks of a repository.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct SinksShape {
    /// The sinks, in the order in which they were made.
    sinks: Vec<SinkShape>,
}

/// What a sink is to be. It has a `url` or a `stream`.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewSinkShape {
    /// Its id: 1 to 32 of a-z, 0-9 and `-`; drawn without one.
    id: Option<String>,
    /// Patterns of the branches whose events it takes: `?` is any character, `*` any number of them, `[a-c]` one of
    /// these. By default all branches.
    #[serde(default)]
    branches: Vec<String>,
    /// Which events: `commit`, `merge`, `reset`, `branch_created`, `branch_deleted`. By default all.
    #[serde(default)]
    events: Vec<String>,
    /// Where a webhook goes: `https://`, or where the sidecar's operator allows it `http://`.
    url: Option<String>,
    /// What a webhook is signed with: `whsec_` and 24 to 64 bytes in base64; drawn without one.
    secret: Option<String>,
    /// That events go to a stream of Redis.
    stream: Option<StreamShape>,
    /// How long one delivery may take, milliseconds; by default 10 s, at most 60 s.
    timeout_ms: Option<u64>,
    /// How long an event may fail before the sink is given up, milliseconds; by default three days, at most 30.
    give_up_after_ms: Option<u64>,
    /// `now` (by default): with what is decided from now on; `start`: with the first commit of every branch.
    start: Option<StartShape>,
    /// Behind this ticket of every branch, in place of `start`.
    after: Option<u64>,
}

/// A stream of Redis.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StreamShape {
    /// The URL of a Redis that the sidecar's operator has named; by default the deployment's own.
    redis: Option<String>,
    /// The name of the stream there. In the deployment's own Redis it is told by the answer.
    key: Option<String>,
    /// Entries that it keeps, about; by default 100,000.
    length_max: Option<u64>,
}

/// Where a sink begins.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StartShape {
    /// With what is decided from now on.
    Now,
    /// With the first commit of every branch that is there.
    Start,
}

/// A sink that was made.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct MadeShape {
    /// The sink as it was made.
    sink: SinkShape,
    /// What its requests are signed with: shown this once. A stream has none.
    secret: Option<String>,
    /// Branches that it is for and whose records are damaged, 100 at most: they are followed once those are mended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
}

/// What became of an event that was sent to try a sink.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct TriedShape {
    /// Whether it was taken.
    taken: bool,
    /// The status of the answer, where one came; of a webhook.
    status: Option<u16>,
    /// Why it was not taken.
    reason: Option<String>,
}

/// Which secrets count.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RotateShape {
    /// Whether the old one counts no longer, as where it became known; by default requests are signed with both, until
    /// the secret is rotated again.
    alone: bool,
}

/// A new secret.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct SecretShape {
    /// The secret: shown this once.
    secret: String,
}

impl From<Sent> for TriedShape {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Taken { status } => Self { taken: true, status, reason: None },
            Sent::Gone => {
                let reason = Some("it answered 410 Gone".to_owned());
                Self { taken: false, status: Some(410), reason }
            }
            Sent::Failed { status, reason, .. } => {
                Self { taken: false, status, reason: Some(reason) }
            }
        }
    }
}

impl NewSinkShape {
    fn read(self) -> onward::Result<NewSink> {
        let target = match (self.url, self.stream) {
            (Some(url), None) => NewTarget::Webhook { url, secret: self.secret },
            (None, Some(_)) if self.secret.is_some() => {
                return Err(Error::invalid("a stream has no secret: leave it out"));
            }
            (None, Some(StreamShape { redis, key, length_max })) => {
                NewTarget::Stream { redis, key, length_max: length_max.unwrap_or(STREAM_LENGTH) }
            }
            _ => return Err(Error::invalid("a sink has a url or a stream: give one of them")),
        };
        let start = match (self.start, self.after) {
            (None, Some(ticket)) => StartAt::After(Ticket(ticket.min(Ticket::MAX.0))),
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "a sink begins at 'start' or 'after' a ticket: give one of them",
                ));
            }
            (Some(StartShape::Start), None) => StartAt::Start,
            (Some(StartShape::Now) | None, None) => StartAt::Now,
        };
        let ms = |given: Option<u64>, usual| given.map_or(usual, Duration::from_millis);
        Ok(NewSink {
            id: self.id,
            branches: self.branches,
            kinds: self.events.iter().map(|kind| kind.parse()).collect::<onward::Result<_>>()?,
            target,
            timeout: ms(self.timeout_ms, TIMEOUT),
            give_up_after: ms(self.give_up_after_ms, GIVE_UP_AFTER),
            start,
        })
    }
}

/// The sinks of a repository
///
/// With how far each has come, and why one is not live.
#[cfg_attr(feature = "describe", utoipa::path(
    get,
    path = "/repositories/{repo}/sinks",
    tag = "sinks",
    params(("repo" = String, Path, description = "The repository")),
    responses(
        (status = 200, description = "The sinks, without their secrets", body = SinksShape),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "The storage does not answer", body = crate::error::Problem),
    )))]
pub async fn list(
    _: Reader,
    State(app): State<AppState>,
    Path(repo): Path<String>,
    _: Query<NoParameters>,
) -> ApiResult<Body<SinksShape>> {
    let sinks = app.sinks.list(&RepoName::new(repo)?).await?;
    Ok(Body(SinksShape { sinks }))
}

/// Make a sink
///
/// What is decided on its branches after the answer is delivered to it, each event at least once and in the order of
/// its branch, as CloudEvents in JSON; webhooks are signed by Standard Webhooks.
#[cfg_attr(feature = "describe", utoipa::path(
    post,
    path = "/repositories/{repo}/sinks",
    tag = "sinks",
    params(("repo" = String, Path, description = "The repository")),
    request_body = NewSinkShape,
    responses(
        (status = 201, description = "It is there, with its secret", body = MadeShape),
        (status = 403, description = "No event may go there", body = crate::error::Problem),
        (status = 409, description = "There is one of this id", body = crate::error::Problem),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "The storage does not answer", body = crate::error::Problem),
    )))]
pub async fn add(
    _: Admin,
    State(app): State<AppState>,
    Path(repo): Path<String>,
    _: Query<NoParameters>,
    Json(wanted): Json<NewSinkShape>,
) -> ApiResult<(StatusCode, Body<MadeShape>)> {
    let Made { sink, secret, left_out } =
        app.sinks.add(&RepoName::new(repo)?, wanted.read()?).await?;
    Ok((StatusCode::CREATED, Body(MadeShape { sink, secret, left_out })))
}

/// Remove a sink
///
/// What was not delivered is not. A stream in the deployment's own Redis goes with it.
#[cfg_attr(feature = "describe", utoipa::path(
    delete,
    path = "/repositories/{repo}/sinks/{sink}",
    tag = "sinks",
    params(("repo" = String, Path, description = "The repository"), ("sink" = String, Path, description = "The sink")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "The storage does not answer", body = crate::error::Problem),
    )))]
pub async fn remove(
    _: Admin,
    State(app): State<AppState>,
    Path((repo, sink)): Path<(String, String)>,
    _: Query<NoParameters>,
) -> ApiResult<StatusCode> {
    app.sinks.remove(&RepoName::new(repo)?, &sink).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Try a sink
///
/// Sends one event of type `onward.test`, once, and tells what became of it.
#[cfg_attr(feature = "describe", utoipa::path(
    post,
    path = "/repositories/{repo}/sinks/{sink}/test",
    tag = "sinks",
    params(("repo" = String, Path, description = "The repository"), ("sink" = String, Path, description = "The sink")),
    responses(
        (status = 200, description = "What became of it", body = TriedShape),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "The storage does not answer", body = crate::error::Problem),
    )))]
pub async fn test(
    _: Admin,
    State(app): State<AppState>,
    Path((repo, sink)): Path<(String, String)>,
    _: Query<NoParameters>,
) -> ApiResult<Body<TriedShape>> {
    let sent = app.sinks.test(&RepoName::new(repo)?, &sink).await?;
    Ok(Body(sent.into()))
}

/// Revive a sink
///
/// One that was given up goes on where it stopped; one that waits for its next try makes it now.
#[cfg_attr(feature = "describe", utoipa::path(
    post,
    path = "/repositories/{repo}/sinks/{sink}/revive",
    tag = "sinks",
    params(("repo" = String, Path, description = "The repository"), ("sink" = String, Path, description = "The sink")),
    responses(
        (status = 204, description = "It goes on"),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "The storage does not answer", body = crate::error::Problem),
    )))]
pub async fn revive(
    _: Admin,
    State(app): State<AppState>,
    Path((repo, sink)): Path<(String, String)>,
    _: Query<NoParameters>,
) -> ApiResult<StatusCode> {
    app.sinks.revive(&RepoName::new(repo)?, &sink).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a webhook a new secret
///
/// Requests are signed with the old one as well, so that its receiver can be told of the new one meanwhile.
#[cfg_attr(feature = "describe", utoipa::path(
    post,
    path = "/repositories/{repo}/sinks/{sink}/rotate",
    tag = "sinks",
    params(("repo" = String, Path, description = "The repository"), ("sink" = String, Path, description = "The sink")),
    request_body = RotateShape,
    responses(
        (status = 200, description = "The new secret", body = SecretShape),
        (status = "4XX", description = "Refused", body = crate::error::Problem),
        (status = 503, description = "The storage does not answer", body = crate::error::Problem),
    )))]
pub async fn rotate(
    _: Admin,
    State(app): State<AppState>,
    Path((repo, sink)): Path<(String, String)>,
    _: Query<NoParameters>,
    Json(RotateShape { alone }): Json<RotateShape>,
) -> ApiResult<Body<SecretShape>> {
    let secret = app.sinks.rotate(&RepoName::new(repo)?, &sink, alone).await?;
    Ok(Body(SecretShape { secret }))
}
