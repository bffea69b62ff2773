//! Bodies of uploads on their way to the storage: raw or as a part of a form, never whole in memory.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::extract::multipart::Multipart;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, StatusCode, header};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use crate::model::entry::Entry;
use crate::repo::Branch;
use crate::server::error::{ApiError, ApiResult};
use crate::server::extract::header_text;

/// The field of a form that has the object's bytes.
const CONTENT_FIELD: &str = "content";

/// What stands before the names of the user's own key-value pairs in headers.
const METADATA_PREFIX: &str = "x-lakefs-meta-";

/// Pieces of a form's field that wait to be written, at most.
const PIECES: usize = 8;

/// Writes the body of a request into the repository, and returns the entry, not staged yet. A body
/// that breaks off leaves nothing behind.
pub async fn receive(branch: Branch, request: Request, patience: Duration) -> ApiResult<Entry> {
    let metadata = metadata_of(request.headers());
    let content_type = header_text(request.headers(), &header::CONTENT_TYPE).map(str::to_owned);
    let is_form =
        content_type.as_deref().is_some_and(|kind| kind.starts_with("multipart/form-data"));
    let mut entry = match is_form {
        true => receive_form(branch, request, patience).await?,
        false => {
            let mut entry = write(branch, raw(request.into_body(), patience)).await?;
            entry.content_type = content_type;
            entry
        }
    };
    entry.metadata = metadata;
    Ok(entry)
}

/// The user's own key-value pairs in headers. Names of headers have no case.
fn metadata_of(headers: &HeaderMap) -> BTreeMap<String, String> {
    let own = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(METADATA_PREFIX)?;
        Some((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    own.collect()
}

fn raw(body: Body, patience: Duration) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let pieces = body.into_data_stream().map_err(io::Error::other).boxed();
    futures::stream::try_unfold(pieces, move |mut pieces| async move {
        match tokio::time::timeout(patience, pieces.try_next()).await {
            Ok(piece) => Ok(piece?.map(|piece| (piece, pieces))),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the next piece did not come within {} s", patience.as_secs()),
            )),
        }
    })
}

/// In a task of its own: a client that goes away cuts the body short, and the upload then withdraws
/// what it has written, instead of being dropped half way.
async fn write(
    branch: Branch,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> ApiResult<Entry> {
    let writing = tokio::spawn(async move {
        let reader = StreamReader::new(pieces.boxed());
        branch.upload(reader).await
    });
    let written = writing.await.map_err(|error| {
        ApiError::from(crate::Error::internal("an upload ended early").with_source(error))
    })?;
    Ok(written?)
}

async fn receive_form(branch: Branch, request: Request, patience: Duration) -> ApiResult<Entry> {
    let broken = |error: axum::extract::multipart::MultipartError| {
        ApiError::new(
            error.status(),
            "invalid",
            format!("the form is damaged or broke off ({}): send it again", error.body_text()),
        )
    };
    let mut form = Multipart::from_request(request, &()).await.map_err(|rejection| {
        ApiError::invalid(format!("the body is not a form: {}", rejection.body_text()))
    })?;
    loop {
        let next = tokio::time::timeout(patience, form.next_field()).await;
        let Some(mut field) = next.map_err(|_| late(patience))?.map_err(broken)? else {
            return Err(ApiError::invalid(format!(
                "the form has no field '{CONTENT_FIELD}': send the object's bytes in it, or as the body with content type application/octet-stream"
            )));
        };
        if field.name() != Some(CONTENT_FIELD) {
            continue;
        }
        let content_type = field.content_type().map(str::to_owned);
        // The field lives as long as the form, so its pieces are handed over.
        let (sender, mut receiver) = mpsc::channel::<io::Result<Bytes>>(PIECES);
        let pieces = futures::stream::poll_fn(move |context| receiver.poll_recv(context));
        let mut writing = std::pin::pin!(write(branch, pieces));
        let mut sender = Some(sender);
        loop {
            let piece = async {
                match &sender {
                    Some(_) => Some(tokio::time::timeout(patience, field.chunk()).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                written = &mut writing => {
                    let mut entry = written?;
                    entry.content_type = content_type;
                    return Ok(entry);
                }
                piece = piece => match piece {
                    Some(Ok(Ok(Some(bytes)))) => {
                        if let Some(sender) = &sender {
                            let send = sender.send(Ok(bytes));
                            tokio::select! {
                                // It no longer takes any: its result says why.
                                _ = send => {}
                                written = &mut writing => {
                                    written?;
                                    return Err(ApiError::from(crate::Error::internal("an upload ended before its input")));
                                }
                            }
                        }
                    }
                    Some(Ok(Ok(None))) => sender = None,
                    failed => {
                        if let Some(sender) = sender.take() {
                            let _ = sender.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
                        }
                        // The write withdraws what it has written, then the client is told.
                        let _ = writing.await;
                        return Err(match failed {
                            Some(Ok(Err(error))) => broken(error),
                            _ => late(patience),
                        });
                    }
                },
            }
        }
    }
}

fn late(patience: Duration) -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "timeout",
        format!(
            "the next piece of the body did not come within {} s: send it again",
            patience.as_secs()
        ),
    )
}
