//! What every answer of a page has: headers that keep a browser to this server's own scripts and styles, and
//! words for people where something was refused.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use maud::html;

use super::layout::Page;
use super::links;
use super::visitor::Visitor;
use crate::error::Told;

/// What a page may load and do: what this server has, and nothing that stands in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The headers of every answer, unless its handler has said something else.
///
/// With the policy of referrers that sends none, browsers would hide from which page a form was sent.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Headers of a refusal that its page has, too.
const KEPT: [HeaderName; 3] = [header::RETRY_AFTER, header::SET_COOKIE, header::ALLOW];

/// Makes pages of refusals, and sets the headers of all pages.
pub async fn speak(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_ours = path == "/ui" || path.starts_with("/ui/");
    let answer = next.run(request).await;
    if !is_ours {
        return answer;
    }
    let mut answer = match answer.extensions().get::<Told>() {
        Some(Told(message)) => refusal(&answer, message),
        None => answer,
    };
    guard(answer.headers_mut());
    answer
}

fn guard(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

fn refusal(answer: &Response, message: &str) -> Response {
    let status = answer.status();
    let visitor = answer.extensions().get::<Visitor>();
    let body = html! {
        p.notice role="alert" { (message) }
        p {
            @if status == StatusCode::UNAUTHORIZED { a href=(links::login()) { "Log in" } }
            @else { a href=(links::queues()) { "To the queues" } }
        }
    };
    let mut page = Page::without_login(title(status), body).answer(status, visitor);
    let kept = answer.headers().iter().filter(|(name, _)| KEPT.contains(name));
    page.headers_mut().extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    page
}

/// What happened, in two or three words.
fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "Not logged in",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::NOT_FOUND | StatusCode::GONE => "Not found",
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => "Something else is there",
        StatusCode::TOO_MANY_REQUESTS => "Too much at once",
        StatusCode::SERVICE_UNAVAILABLE => "Not reachable now",
        status if status.is_server_error() => "Something is wrong",
        _ => "That cannot be done",
    }
}
