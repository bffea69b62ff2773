//! A receiver of webhooks in this process: takes down what comes, and answers as it is told.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::until::until_async;

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
    /// Nothing, ever.
    Silence,
}

type Answers = Arc<Mutex<Box<dyn FnMut(&Got) -> Reply + Send>>>;

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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=of-this-receiver", listener.local_addr().unwrap());
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let answers: Answers = Arc::new(Mutex::new(Box::new(|_| Reply::Status(204))));
        let task = tokio::spawn(serve(listener, Arc::clone(&got), Arc::clone(&answers)));
        Self { url, got, answers, task }
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

async fn serve(listener: TcpListener, got: Arc<Mutex<Vec<Got>>>, answers: Answers) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (got, answers) = (Arc::clone(&got), Arc::clone(&answers));
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                answer(request, Arc::clone(&got), Arc::clone(&answers))
            });
            // An error here is a client that went away.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    all: Arc<Mutex<Vec<Got>>>,
    answers: Answers,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let headers = request.headers().clone();
    let body = request.into_body().collect().await.unwrap().to_bytes().to_vec();
    let got = Got { headers, event: serde_json::from_slice(&body).unwrap_or_default(), body };
    let reply = (answers.lock().unwrap())(&got);
    all.lock().unwrap().push(got);
    let (status, header, body) = match reply {
        Reply::Status(status) => (status, None, String::new()),
        Reply::With(status, name, value) => (status, Some((name, value)), String::new()),
        Reply::Said(status, body) => (status, None, body),
        Reply::Silence => std::future::pending().await,
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some((name, value)) = header {
        response.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    Ok(response)
}
