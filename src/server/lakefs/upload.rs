//! Bodies of uploads on their way to the storage: raw or as a part of a form, never whole in memory.

use std::collections::BTreeMap;
use std::io;

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, header};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use crate::model::entry::Entry;
use crate::repo::Branch;
use crate::server::error::{ApiError, ApiResult};
use crate::server::extract::{broke_off, header_text, timed_out};

/// The field of a form that has the object's bytes.
const CONTENT_FIELD: &str = "content";

/// What stands before the names of the user's own key-value pairs in headers.
const METADATA_PREFIX: &str = "x-lakefs-meta-";

/// What stands before those of lakeFS's own clients, such as a file's time, and before their keys.
const INTERNAL_PREFIX: &str = "x-lakefs-internal-";
const INTERNAL_KEY: &str = "::lakefs::";

/// Pieces of a form's field that wait to be written, at most.
const PIECES: usize = 8;

/// Writes the body of a request into the repository, and returns the entry, not staged yet. A body
/// that breaks off leaves nothing behind.
pub async fn receive(branch: Branch, request: Request) -> ApiResult<Entry> {
    let metadata = metadata_of(request.headers());
    let content_type = header_text(request.headers(), &header::CONTENT_TYPE).map(str::to_owned);
    let is_form =
        content_type.as_deref().is_some_and(|kind| kind.starts_with("multipart/form-data"));
    let mut entry = match is_form {
        true => receive_form(branch, request).await?,
        false => {
            let pieces = request.into_body().into_data_stream().map_err(io::Error::other);
            let mut entry = write(branch, pieces).await?;
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
        let name = name.as_str();
        let name = match (name.strip_prefix(METADATA_PREFIX), name.strip_prefix(INTERNAL_PREFIX)) {
            (Some(name), _) => name.to_owned(),
            (None, Some(name)) => format!("{INTERNAL_KEY}{name}"),
            (None, None) => return None,
        };
        Some((name, String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    own.collect()
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
    written.map_err(|error| match timed_out(&error) {
        true => broke_off(&error),
        false => error.into(),
    })
}

async fn receive_form(branch: Branch, request: Request) -> ApiResult<Entry> {
    let mut form = Multipart::from_request(request, &()).await.map_err(|rejection| {
        ApiError::invalid(format!("the body is not a form: {}", rejection.body_text()))
    })?;
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        if field.name() == Some(CONTENT_FIELD) {
            return receive_field(branch, field).await;
        }
    }
    Err(ApiError::invalid(format!(
        "the form has no field '{CONTENT_FIELD}': send the object's bytes in it, or as the body with content type application/octet-stream"
    )))
}

/// The pieces of a field live as long as its form, so they are handed to the task that writes.
async fn receive_field(branch: Branch, mut field: Field<'_>) -> ApiResult<Entry> {
    let content_type = field.content_type().map(str::to_owned);
    let (sender, mut receiver) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    let pieces = futures::stream::poll_fn(move |context| receiver.poll_recv(context));
    let reading = async move {
        loop {
            let piece = match field.chunk().await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(()),
                Err(error) => {
                    // The write withdraws what it has written; then the client is told.
                    let _ = sender.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
                    return Err(broken(&error));
                }
            };
            if sender.send(Ok(piece)).await.is_err() {
                // It takes no more: its own result says why.
                return Ok(());
            }
        }
    };
    let (read, written) = tokio::join!(reading, write(branch, pieces));
    read?;
    Ok(Entry { content_type, ..written? })
}

fn broken(error: &MultipartError) -> ApiError {
    match timed_out(error) {
        true => broke_off(error),
        false => ApiError::invalid(format!(
            "the form is damaged or broke off ({}): send it again",
            error.body_text()
        )),
    }
}
