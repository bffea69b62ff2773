//! An S3 in this process, spoken to over real HTTP, with the two traps of conditional writes.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const BUCKET: &str = "lake";
const ACCESS_KEY: &str = "test-access-key";
const SECRET_KEY: &str = "test-secret-key";

/// What happens to a conditional create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// `409 ConditionalRequestConflict`; nothing is written.
    Conflict409,
    /// It is written, then the reply is replaced by a 500, so that the client's own retry finds
    /// the object there.
    LostReply,
    /// `400 InvalidRequest`, as stores say of what they do not understand.
    Misunderstood,
}

#[derive(Clone)]
struct Shared {
    s3: S3Service,
    traps: Arc<Mutex<VecDeque<Trap>>>,
    /// Keys of empty objects that listings have and nothing else.
    marks: Arc<Mutex<Vec<String>>>,
    /// s3s-fs looks, then writes; the real thing is atomic, so creates go one at a time. Not where the
    /// store is to be one on which branches fork.
    creating: Option<Arc<tokio::sync::Mutex<()>>>,
    /// Whether it deletes one object at a time, and says 501 to who asks for more.
    one_by_one: bool,
}

/// A running server; gone with the value.
pub struct S3Server {
    _dir: TempDir,
    address: std::net::SocketAddr,
    shared: Shared,
    task: JoinHandle<()>,
}

impl S3Server {
    /// Starts a server with one empty bucket.
    pub async fn start() -> Self {
        Self::with(Some(Arc::default()), false).await
    }

    /// A server that does not delete several objects in one request.
    pub async fn without_bulk_delete() -> Self {
        Self::with(Some(Arc::default()), true).await
    }

    /// A server that looks whether an object is there, and then writes it: of many writers of one
    /// object several are told that they were the first.
    pub async fn that_forks() -> Self {
        Self::with(None, false).await
    }

    async fn with(creating: Option<Arc<tokio::sync::Mutex<()>>>, one_by_one: bool) -> Self {
        let dir = tempfile::Builder::new().prefix("onward-s3-").tempdir().unwrap();
        std::fs::create_dir(dir.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let (traps, marks) = (Arc::default(), Arc::default());
        let shared = Shared { s3: builder.build(), traps, marks, creating, one_by_one };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(serve(listener, shared.clone()));
        Self { _dir: dir, address, shared, task }
    }

    /// A storage URL in its bucket.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}/deployment/one")
    }

    /// The settings a client needs, as the environment would give them.
    pub fn options(&self) -> Vec<(String, String)> {
        [
            ("aws_endpoint", format!("http://{}", self.address)),
            ("aws_access_key_id", ACCESS_KEY.to_owned()),
            ("aws_secret_access_key", SECRET_KEY.to_owned()),
            ("aws_region", "us-east-1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// The next `count` conditional creates meet `trap`.
    pub fn set_trap(&self, trap: Trap, count: usize) {
        self.shared.traps.lock().unwrap().extend(std::iter::repeat_n(trap, count));
    }

    /// Listings have this key from now on: s3s-fs makes a folder of one that ends with a slash, where
    /// the real thing has an empty object.
    pub fn mark(&self, key: &str) {
        self.shared.marks.lock().unwrap().push(key.to_owned());
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Shared) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(shared.clone(), request));
            // An error here is a client that went away.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn answer(
    shared: Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // s3s-fs answers NoSuchKey here, where S3 says NoSuchBucket.
    if request.uri().path().split('/').nth(1) != Some(BUCKET) {
        return Ok(error(StatusCode::NOT_FOUND, "NoSuchBucket"));
    }
    if shared.one_by_one && request.uri().query().is_some_and(|query| query.contains("delete")) {
        let _ = request.into_body().collect().await;
        return Ok(error(StatusCode::NOT_IMPLEMENTED, "NotImplemented"));
    }
    if request.method() == Method::GET && !shared.marks.lock().unwrap().is_empty() {
        return Ok(with_marks(&shared, request).await);
    }
    if request.method() == Method::HEAD {
        let answer = forward(&shared.s3, request).await;
        // s3s-fs fails where a folder has the name, of which S3 knows nothing.
        let failed = answer.status() == StatusCode::INTERNAL_SERVER_ERROR;
        return Ok(if failed { error(StatusCode::NOT_FOUND, "NoSuchKey") } else { answer });
    }
    let create = request.method() == Method::PUT && request.headers().contains_key("if-none-match");
    if !create {
        return Ok(forward(&shared.s3, request).await);
    }
    let _one_at_a_time = match &shared.creating {
        Some(creating) => Some(creating.lock().await),
        None => None,
    };
    let trap = shared.traps.lock().unwrap().pop_front();
    Ok(match trap {
        None => forward(&shared.s3, request).await,
        Some(Trap::Conflict409) => {
            // The body must be taken, or the connection breaks instead.
            let _ = request.into_body().collect().await;
            error(StatusCode::CONFLICT, "ConditionalRequestConflict")
        }
        Some(Trap::Misunderstood) => {
            let _ = request.into_body().collect().await;
            error(StatusCode::BAD_REQUEST, "InvalidRequest")
        }
        Some(Trap::LostReply) => {
            forward(&shared.s3, request).await;
            error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")
        }
    })
}

/// The answer to a read, where it is a listing with the marks that belong into it.
async fn with_marks(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let query: HashMap<String, String> = url::form_urlencoded::parse(query).into_owned().collect();
    let (head, body) = forward(&shared.s3, request).await.into_parts();
    let Some(prefix) = query.get("prefix").filter(|_| query.contains_key("list-type")) else {
        return Response::from_parts(head, body);
    };
    let bytes = body.collect().await.unwrap().to_bytes();
    let mut text = String::from_utf8(bytes.to_vec()).unwrap();
    for key in shared.marks.lock().unwrap().iter() {
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let line = match (query.contains_key("delimiter"), rest.split_once('/')) {
            (true, Some((folder, _))) => {
                format!("<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>")
            }
            _ => format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>\"d41d8cd98f00b204e9800998ecf8427e\"</ETag><Size>0</Size></Contents>"
            ),
        };
        text = text.replace("</ListBucketResult>", &format!("{line}</ListBucketResult>"));
    }
    let mut response = Response::from_parts(head, Full::new(Bytes::from(text)));
    response.headers_mut().remove("content-length");
    response
}

async fn forward(s3: &S3Service, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match Service::call(s3, request).await {
        Ok(response) => {
            let (head, body) = response.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            Response::from_parts(head, Full::new(body))
        }
        Err(failure) => {
            error(StatusCode::INTERNAL_SERVER_ERROR, &format!("InternalError: {failure:?}"))
        }
    }
}

fn error(status: StatusCode, code: &str) -> Response<Full<Bytes>> {
    let body = format!("<Error><Code>{code}</Code><Message>as told</Message></Error>");
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
