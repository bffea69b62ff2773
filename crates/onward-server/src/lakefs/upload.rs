//! Bodies of uploads on their way to the storage: raw or as a part of a form, never whole in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream};
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, header};
use tokio::sync::mpsc;

use crate::error::{ApiError, ApiResult};
use crate::extract::refuse_codings;
use crate::headers::{any_text, media_type, text};
use crate::integrity;
use crate::received::{ended_early, until_stopped, write};
use crate::state::App;
use onward::Entry;
use onward::internals::repo::Branch;

/// The field of a form that has the object's bytes.
const CONTENT_FIELD: &str = "content";

/// The media type of a form.
const FORM: &str = "multipart/form-data";

/// What stands before the names of the user's own key-value pairs in headers.
const METADATA_PREFIX: &str = "x-lakefs-meta-";

/// What stands before those of lakeFS's own clients, such as a file's time, and before their keys.
const INTERNAL_PREFIX: &str = "x-lakefs-internal-";
const INTERNAL_KEY: &str = "::lakefs::";

/// Pieces of a form's field that wait to be written, at most.
const PIECES: usize = 8;

/// Bytes of a form that may come before the field with the object's bytes begins. The reader of forms
/// holds what it cannot tell yet.
const BEFORE_CONTENT_MAX: usize = 64 * 1024;

/// Too much of a form came before the object's bytes.
#[derive(Debug, Clone, Copy)]
struct TooMuchBefore;

impl fmt::Display for TooMuchBefore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "more than {BEFORE_CONTENT_MAX} bytes of the form come before its field '{CONTENT_FIELD}': send that first"
        )
    }
}

impl std::error::Error for TooMuchBefore {}

/// What the headers of an upload say of it.
pub struct Told {
    metadata: BTreeMap<String, String>,
    content_type: Option<String>,
    /// Of a form, its content type in the words that its reader knows.
    form: Option<HeaderValue>,
}

impl Told {
    /// Reads the headers.
    pub fn of(headers: &HeaderMap) -> ApiResult<Self> {
        refuse_codings(headers)?;
        let metadata = metadata_of(headers)?;
        let content_type = text(headers, &header::CONTENT_TYPE)?.map(str::to_owned);
        let form = match media_type(headers)?.as_deref() {
            Some(FORM) => {
                let parameters = content_type.as_deref().and_then(|text| text.split_once(';'));
                let parameters = parameters.map(|(_, behind)| behind).unwrap_or_default();
                HeaderValue::from_str(&format!("{FORM};{parameters}")).ok()
            }
            _ => None,
        };
        if form.is_some() && integrity::expected(headers)?.is_some() {
            return Err(ApiError::invalid(
                "the header Content-MD5 of a form is about all of it, and the object is a part: send the header with that part, or the bytes as the body",
            ));
        }
        Ok(Self { metadata, content_type, form })
    }
}

/// Writes the body of a request into the repository, and returns the entry, not staged yet. A body
/// that breaks off leaves nothing behind, nor does one that is not at its end shortly before a
/// sidecar that was told to stop does so.
pub async fn receive(app: &App, branch: Branch, told: Told, request: Request) -> ApiResult<Entry> {
    let Told { metadata, content_type, form } = told;
    let mut request =
        request.map(|body| Body::from_stream(until_stopped(app, body.into_data_stream())));
    let mut entry = match form {
        Some(form) => {
            request.headers_mut().insert(header::CONTENT_TYPE, form);
            receive_form(branch, request).await?
        }
        None => {
            let pieces = request.into_body().into_data_stream().map_err(io::Error::other);
            let mut entry = write(branch, None, pieces).await?;
            entry.content_type = content_type;
            entry
        }
    };
    entry.metadata = metadata;
    Ok(entry)
}

/// What the reader of a form and the pieces that it reads know of each other.
#[derive(Default)]
struct Gate {
    /// The field with the object's bytes has begun.
    begun: AtomicBool,
    /// The reader has made what it could of the pieces that it has.
    is_stuck: AtomicBool,
}

impl Gate {
    /// A step of the reader before the content. When it is polled once more it was stuck before.
    async fn step<T>(&self, step: impl Future<Output = T>) -> T {
        let mut step = std::pin::pin!(step);
        let mut is_stuck = false;
        std::future::poll_fn(|context| {
            self.is_stuck.store(is_stuck, Ordering::Relaxed);
            is_stuck = true;
            step.as_mut().poll(context)
        })
        .await
    }
}

/// The pieces of a form, one at a time: its reader would take all that are ready before it looks at
/// them. Before the content a piece is given only to a reader that is stuck without it, and none when
/// it has had too much.
struct Paced {
    pieces: BodyDataStream,
    gate: Arc<Gate>,
    given: usize,
    rests: bool,
}

impl Stream for Paced {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let begun = self.gate.begun.load(Ordering::Relaxed);
        let rests = match begun {
            true => std::mem::take(&mut self.rests),
            false => !self.gate.is_stuck.swap(false, Ordering::Relaxed),
        };
        if rests {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.given > BEFORE_CONTENT_MAX && !begun {
            return Poll::Ready(Some(Err(axum::Error::new(TooMuchBefore))));
        }
        let piece = ready!(self.pieces.poll_next_unpin(context));
        if let Some(Ok(piece)) = &piece {
            self.given = self.given.saturating_add(piece.len());
            self.rests = true;
        }
        Poll::Ready(piece)
    }
}

/// The user's own key-value pairs in headers. Names of headers have no case.
fn metadata_of(headers: &HeaderMap) -> ApiResult<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    for (header, value) in headers {
        let name = header.as_str();
        let key = match (name.strip_prefix(METADATA_PREFIX), name.strip_prefix(INTERNAL_PREFIX)) {
            (Some(name), _) => name.to_owned(),
            (None, Some(name)) => format!("{INTERNAL_KEY}{name}"),
            (None, None) => continue,
        };
        if pairs.insert(key, any_text(value)).is_some() {
            return Err(ApiError::invalid(format!(
                "the header {header} is there more than once: send it once"
            )));
        }
    }
    Ok(pairs)
}

async fn receive_form(branch: Branch, request: Request) -> ApiResult<Entry> {
    let gate = Arc::new(Gate::default());
    let request = request.map(|body| {
        let (pieces, gate) = (body.into_data_stream(), Arc::clone(&gate));
        Body::from_stream(Paced { pieces, gate, given: 0, rests: false })
    });
    let mut form = Multipart::from_request(request, &()).await.map_err(|rejection| {
        ApiError::invalid(format!("the body is not a form: {}", rejection.body_text()))
    })?;
    while let Some(field) = gate.step(form.next_field()).await.map_err(|error| broken(&error))? {
        if field.name() == Some(CONTENT_FIELD) {
            gate.begun.store(true, Ordering::Relaxed);
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
    let md5 = integrity::expected(field.headers())?;
    let (sender, mut receiver) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    let pieces = futures::stream::poll_fn(move |context| receiver.poll_recv(context));
    let pieces = integrity::compared(pieces, md5).map_err(io::Error::other);
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
    let (read, written) = tokio::join!(reading, write(branch, None, pieces));
    read?;
    Ok(Entry { content_type, ..written? })
}

fn broken(error: &MultipartError) -> ApiError {
    let error_of: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(error_of), |error| error.source());
    if causes.any(|cause| cause.is::<TooMuchBefore>()) {
        return ApiError::invalid(TooMuchBefore.to_string());
    }
    ended_early(error).unwrap_or_else(|| {
        ApiError::invalid(format!(
            "the form is damaged or broke off ({}): send it again",
            error.body_text()
        ))
    })
}
