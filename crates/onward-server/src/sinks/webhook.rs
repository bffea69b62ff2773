//! Sending an event by a POST.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use onward::internals::clock::{self, Deadline};
use onward::internals::encryption;
use onward::internals::model::error::short;
use onward::{Error, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use tokio::sync::OnceCell;

use super::envelope::CONTENT_TYPE;
use super::reach::Reach;
use super::signature;
use crate::headers::text;

/// Connections that are kept to one receiver.
const IDLE_MAX: usize = 8;

/// The longest wait that a receiver can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// What a receiver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of the answer.
    pub status: StatusCode,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The beginning of its body, as much as came in time.
    pub body: Vec<u8>,
}

/// Sends webhooks. Clones share connections.
#[derive(Debug, Clone)]
pub struct Webhooks {
    reach: Reach,
    clients: Arc<Clients>,
}

/// Each is made when it is first needed: for what is encrypted certificates of authorities are read, which a machine
/// may not have.
#[derive(Debug, Default)]
struct Clients {
    encrypted: OnceCell<reqwest::Client>,
    plain: OnceCell<reqwest::Client>,
}

/// What a POST says.
#[derive(Clone, Copy)]
pub struct Post<'a> {
    /// Where it goes.
    pub url: &'a str,
    /// The same whenever it is sent again.
    pub id: &'a str,
    /// What it says.
    pub body: &'a str,
    /// What it is signed with.
    pub secrets: &'a [String],
    /// How long it may take. An answer whose status comes in time is one, however long its body takes.
    pub timeout: Duration,
    /// The most of an answer that is read, in bytes.
    pub answer_max: usize,
}

impl Webhooks {
    /// To where `reach` allows. Nothing is followed from there to elsewhere, and no proxy is asked.
    pub fn new(reach: Reach) -> Self {
        Self { reach, clients: Arc::default() }
    }

    /// Where they may go.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Sends one. An answer of any status is one; an error is that none came.
    pub async fn post(&self, post: Post<'_>) -> Result<Answer> {
        let url = self.reach.url(post.url)?;
        if url.scheme() == "https" && !encryption::CAN_ENCRYPT {
            return Err(Error::invalid(
                "this program was built without encryption: use one with the feature 'tls'",
            ));
        }
        let is_plain = url.scheme() == "http";
        let client = match is_plain {
            true => &self.clients.plain,
            false => &self.clients.encrypted,
        };
        let make = || async { make(&self.reach, is_plain) };
        let client = client.get_or_try_init(make).await?;
        let seconds = clock::now_ms().div_euclid(1000);
        let signed = signature::sign(post.secrets, post.id, seconds, post.body.as_bytes())?;
        let sent = client
            .post(url)
            .header(header::CONTENT_TYPE, CONTENT_TYPE)
            .header("webhook-id", post.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signed)
            .body(post.body.to_owned())
            .send();
        let deadline = Deadline::after(post.timeout);
        let mut response = match tokio::time::timeout(post.timeout, sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(no_answer(error)),
            Err(_) => {
                return Err(Error::unavailable(format!("no answer came in {:?}", post.timeout)));
            }
        };
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let mut body = Vec::new();
        let reading = read(&mut response, &mut body, post.answer_max);
        if tokio::time::timeout(deadline.left(), reading).await.is_err() {
            tracing::debug!(%status, "an answer is taken for what came of it in time");
        }
        Ok(Answer { status, retry_after, body })
    }
}

/// Reads a body as far as it comes, and no more of it than `max` bytes. What breaks off is at its end.
async fn read(response: &mut reqwest::Response, body: &mut Vec<u8>, max: usize) {
    while body.len() < max
        && let Ok(Some(piece)) = response.chunk().await
    {
        let room = max - body.len();
        body.extend(piece.into_iter().take(room));
    }
}

/// A client of what is plain, or of what is encrypted. Follows nothing, and asks no proxy.
fn make(reach: &Reach, is_plain: bool) -> Result<reqwest::Client> {
    encryption::ready();
    let client = reqwest::Client::builder()
        .dns_resolver(Looked { reach: reach.clone(), is_plain })
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(IDLE_MAX)
        .user_agent(concat!("onward/", env!("CARGO_PKG_VERSION")));
    // It meets no certificate, and has to do without authorities.
    #[cfg(feature = "tls")]
    let client = if is_plain { client.tls_certs_only([]) } else { client };
    client.build().map_err(|error| {
        Error::unavailable(
            "no certificates of authorities can be read to send webhooks with: install those of the system (ca-certificates), or name a file of them by SSL_CERT_FILE",
        )
        .with_source(error)
    })
}

/// Why no answer came, without the URL, which may have a secret in it.
fn no_answer(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut said = error.to_string();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    for cause in causes.take(8) {
        said = format!("{said}: {cause}");
    }
    Error::unavailable(format!("no answer came: {}", short(&said)))
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = text(headers, &header::RETRY_AFTER).ok()??.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(text).ok()?;
            let until_ms = until.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
            let now_ms = u128::from(clock::now_ms().unsigned_abs());
            Duration::from_millis(u64::try_from(until_ms.saturating_sub(now_ms)).ok()?)
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Names that are looked at before anything is sent to what they stand for.
struct Looked {
    reach: Reach,
    is_plain: bool,
}

impl Resolve for Looked {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, is_plain) = (self.reach.clone(), self.is_plain);
        Box::pin(async move {
            let found = reach.addresses(name.as_str(), is_plain).await?;
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_says_how_long_it_wants_to_be_left_alone() {
        let asks = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(asks("7"), Some(Duration::from_secs(7)));
        assert_eq!(asks("999999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(asks("Fri, 31 Dec 9999 23:59:59 GMT"), Some(RETRY_AFTER_MAX));
        assert_eq!(asks("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asks("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
