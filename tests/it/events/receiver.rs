//! A receiver of webhooks in this process: takes down what comes, and answers as it is told.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, Stream, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderName};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::root::root;
use crate::support::sidecar::Sidecar;
use crate::support::until::until_async;

/// The bytes of a piece of a body without an end.
const PIECE: usize = 64 * 1024;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Got {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub event: Value,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn id(&self) -> &str {
        self.event["id"].as_str().unwrap()
    }

    /// The branch and the ticket that it is about.
    pub fn place(&self) -> (String, Option<u64>) {
        let data = &self.event["data"];
        (data["branch"].as_str().unwrap_or_default().to_owned(), data["ticket"].as_u64())
    }

    /// Whether one of its signatures was made with `secret`, worked out here by what the specification says.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(self.header("webhook-id").as_bytes());
        mac.update(b".");
        mac.update(self.header("webhook-timestamp").as_bytes());
        mac.update(b".");
        mac.update(&self.body);
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|signature| signature == wanted)
    }
}

/// What it says.
#[derive(Clone, Debug)]
pub enum Reply {
    Status(u16),
    /// A status with a header.
    With(u16, &'static str, String),
    /// A status with a body.
    Said(u16, String),
    /// 200, and a body that begins and does not go on.
    Begins(&'static str),
    /// 200, and a body without an end; its bytes that were asked for are counted.
    Endless(Arc<AtomicU64>),
    /// Nothing, ever.
    Silence,
}

type Answers = Arc<Mutex<Box<dyn FnMut(&Got) -> Reply + Send>>>;

/// A refusal of a check.
pub fn refusal(reason: &str) -> Reply {
    Reply::Said(422, json!({"reason": reason}).to_string())
}

/// Gone with the value.
pub struct Receiver {
    pub url: String,
    got: Arc<Mutex<Vec<Got>>>,
    answers: Answers,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Takes everything.
    pub async fn start() -> Self {
        Self::over("http", None).await
    }

    /// The same, over TLS, by a certificate of the authority of tests.
    pub async fn encrypted() -> Self {
        let file = |name: &str| root().join("tests/fixtures/tls").join(name);
        let chain = CertificateDer::pem_file_iter(file("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
        onward::internals::encryption::ready();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(chain.map(Result::unwrap).collect(), key).unwrap();
        Self::over("https", Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn over(scheme: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let url = format!("{scheme}://{at}/hook?token=of-this-receiver");
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let answers: Answers = Arc::new(Mutex::new(Box::new(|_| Reply::Status(204))));
        let task = tokio::spawn(serve(listener, tls, Arc::clone(&got), Arc::clone(&answers)));
        Self { url, got, answers, task }
    }

    /// Is asked before every commit of `main` of a sidecar that may ask it.
    pub async fn checks(&self, sidecar: &Sidecar) {
        let rule = "/onward/v1/repositories/lake/protection/main";
        let (status, told) = sidecar.send("PUT", rule, json!({"check": {"url": self.url}})).await;
        assert_eq!(status, StatusCode::OK, "{told}");
    }

    /// Answers as `answer` says from now on.
    pub fn answers(&self, answer: impl FnMut(&Got) -> Reply + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answer);
    }

    /// All that came so far, taken or not.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until `is_enough` says so of all that came.
    pub async fn until(&self, what: &str, is_enough: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        until_async(what, || async { is_enough(&self.got()) }).await;
        self.got()
    }

    /// Waits until so many different events came.
    pub async fn until_events(&self, count: usize) -> Vec<Got> {
        let what = format!("{count} events came");
        self.until(&what, |got| distinct(got).len() >= count).await
    }
}

/// The first of each event, in the order in which they came.
pub fn distinct(got: &[Got]) -> Vec<Got> {
    let mut seen = std::collections::HashSet::new();
    got.iter().filter(|got| seen.insert(got.id().to_owned())).cloned().collect()
}

/// Looks that of each branch no event came in front of an earlier one, for the first time that each came.
#[track_caller]
pub fn in_order(got: &[Got]) {
    let mut last = std::collections::HashMap::new();
    for (branch, ticket) in distinct(got).iter().map(Got::place) {
        if let Some(ticket) = ticket
            && let Some(before) = last.insert(branch.clone(), ticket)
        {
            assert!(before < ticket, "{branch}: {ticket} came behind {before}");
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    got: Arc<Mutex<Vec<Got>>>,
    answers: Answers,
) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (got, answers) = (Arc::clone(&got), Arc::clone(&answers));
        let tls = tls.clone();
        tokio::spawn(async move {
            // An error here is a client that went away.
            match tls {
                None => talk(socket, got, answers).await,
                Some(tls) => match tls.accept(socket).await {
                    Ok(socket) => talk(socket, got, answers).await,
                    Err(_) => Ok(()),
                },
            }
        });
    }
}

async fn talk(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    got: Arc<Mutex<Vec<Got>>>,
    answers: Answers,
) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        answer(request, Arc::clone(&got), Arc::clone(&answers))
    });
    let connection = hyper::server::conn::http1::Builder::new();
    connection.serve_connection(TokioIo::new(socket), service).await
}

/// A body in pieces.
fn pieces(pieces: impl Stream<Item = Bytes> + Send + Sync + 'static) -> BoxBody<Bytes, Infallible> {
    BodyExt::boxed(StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))))
}

async fn answer(
    request: Request<Incoming>,
    all: Arc<Mutex<Vec<Got>>>,
    answers: Answers,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let headers = request.headers().clone();
    let body = request.into_body().collect().await.unwrap().to_bytes().to_vec();
    let got = Got { headers, event: serde_json::from_slice(&body).unwrap_or_default(), body };
    let reply = (answers.lock().unwrap())(&got);
    all.lock().unwrap().push(got);
    let whole = |body: String| Full::<Bytes>::from(body).boxed();
    let (status, header, body) = match reply {
        Reply::Status(status) => (status, None, whole(String::new())),
        Reply::With(status, name, value) => (status, Some((name, value)), whole(String::new())),
        Reply::Said(status, body) => (status, None, whole(body)),
        Reply::Begins(begin) => {
            let begin = stream::iter([Bytes::from_static(begin.as_bytes())]);
            (200, None, pieces(begin.chain(stream::pending())))
        }
        Reply::Endless(counted) => {
            let piece = move |_| {
                counted.fetch_add(PIECE as u64, Ordering::Relaxed);
                Bytes::from(vec![b'x'; PIECE])
            };
            (200, None, pieces(stream::repeat(()).map(piece)))
        }
        Reply::Silence => std::future::pending().await,
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some((name, value)) = header {
        response.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    Ok(response)
}
