//! What an event is handed to: a webhook or a stream, opened with its secrets.

use std::time::Duration;

use http::StatusCode;
use onward::internals::coord::{LaneOptions, Lanes, append};
use onward::internals::model::error::quoted;
use onward::{Error, ErrorKind, Result};
use url::Url;

use super::envelope::Envelope;
use super::reach::Reach;
use super::webhook::{Post, Webhooks};

/// The most of an answer that is read, in bytes: it says nothing but its status.
const ANSWER_MAX: usize = 8 * 1024;

/// What became of an event that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Taken {
        /// The status of a webhook's answer.
        status: Option<u16>,
    },
    /// It was not, and is to be sent again.
    Failed {
        /// The status of the answer, if one came.
        status: Option<u16>,
        /// How long the receiver asks to be left alone.
        retry_after: Option<Duration>,
        /// Why, for people.
        reason: String,
    },
    /// The receiver wants no more of this sink.
    Gone,
}

/// A sink's target, ready to be sent to.
#[derive(Clone)]
pub enum Sender {
    /// A webhook to be called.
    Webhook {
        /// What sends it.
        webhooks: Webhooks,
        /// Where requests go.
        url: String,
        /// What it is signed with, newest first.
        secrets: Vec<String>,
        /// How long one may take.
        timeout: Duration,
    },
    /// A stream to be appended to.
    Stream {
        /// The Redis that has it.
        lanes: Lanes,
        /// The name of the stream.
        key: String,
        /// Entries that it keeps, about.
        length_max: u64,
    },
}

impl Sender {
    /// Sends an event once.
    pub async fn send(&self, event: &Envelope) -> Sent {
        match self {
            Self::Webhook { webhooks, url, secrets, timeout } => {
                let (id, body, timeout) = (event.id.as_str(), event.json.as_str(), *timeout);
                match webhooks
                    .post(Post { url, id, body, secrets, timeout, answer_max: ANSWER_MAX })
                    .await
                {
                    Ok(answer) if answer.status.is_success() => {
                        Sent::Taken { status: Some(answer.status.as_u16()) }
                    }
                    Ok(answer) if answer.status == StatusCode::GONE => Sent::Gone,
                    Ok(answer) => Sent::Failed {
                        status: Some(answer.status.as_u16()),
                        retry_after: answer.retry_after,
                        reason: format!("it answered {}", answer.status),
                    },
                    Err(error) => failed(&error),
                }
            }
            Self::Stream { lanes, key, length_max } => {
                let fields = [
                    ("id", event.id.as_str()),
                    ("type", event.kind),
                    ("branch", event.branch.as_str()),
                    ("event", event.json.as_str()),
                ];
                match append::append(lanes, key, *length_max, &fields).await {
                    Ok(_) => Sent::Taken { status: None },
                    Err(error) => failed(&error),
                }
            }
        }
    }
}

fn failed(error: &Error) -> Sent {
    Sent::Failed { status: None, retry_after: None, reason: error.to_string() }
}

/// The URL of another Redis than the deployment's own, if events may go there: one server that was named. Its login
/// is not shown.
pub fn redis_url(text: &str, reach: &Reach) -> Result<String> {
    let wrong = |why: &str| Error::invalid(format!("this is no URL of a Redis for events: {why}"));
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "redis" | "rediss") {
        return Err(wrong("it begins with redis:// or rediss://, and names one server"));
    }
    let host = url.host_str().ok_or_else(|| wrong("it names no host"))?;
    if !reach.names_host(host) {
        return Err(Error::new(
            ErrorKind::Forbidden,
            format!(
                "no event may go to the Redis at '{}': name the host where the sidecar is started (--allow-sink)",
                quoted(host)
            ),
        ));
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{}://{}{port}{}", url.scheme(), quoted(host), quoted(url.path())))
}

/// Opens a Redis for events alone.
pub async fn open_redis(url: &str) -> Result<Lanes> {
    Lanes::open(url, LaneOptions { lanes: 1, ..LaneOptions::default() }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_redis_has_to_be_named_and_its_password_is_not_shown() {
        let reach = Reach::new(&["events.internal".to_owned(), "10.0.0.0/8".to_owned()]).unwrap();
        let shown = redis_url("redis://user:secret@events.internal:6380/2", &reach).unwrap();
        assert_eq!(shown, "redis://events.internal:6380/2");
        redis_url("redis://10.1.2.3", &reach).unwrap();
        for (url, kind) in [
            ("redis://elsewhere", ErrorKind::Forbidden),
            ("redis://127.0.0.1:6379", ErrorKind::Forbidden),
            ("http://events.internal", ErrorKind::InvalidInput),
            ("redis-cluster://events.internal", ErrorKind::InvalidInput),
            ("", ErrorKind::InvalidInput),
        ] {
            assert_eq!(redis_url(url, &reach).unwrap_err().kind(), kind, "{url}");
        }
    }
}
