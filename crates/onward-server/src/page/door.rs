//! Who is let in to the pages: whoever has a session, with forms that come from a page of it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::links;
use super::visitor::{TOKEN, Visitor};
use crate::auth::{Session, admit, require_own_page};
use crate::error::{ApiError, ApiResult};
use crate::extract::{body, taken_out};
use crate::headers::text;
use crate::state::{App, AppState};
use onward::internals::clock::{self, Stopwatch};

/// How a proxy says that its client's connection is encrypted.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How soon an answer has to come that renews the session.
const RENEWED_WITHIN: Duration = Duration::from_secs(1);

/// Lets those in who have a session, and sends others to where they can begin one.
pub async fn enter(
    State(app): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (now_ms, begun) = (clock::now_ms(), Stopwatch::start());
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_page = asks_for_page(request.headers())?;
    let name = cookie_name(&app, request.headers())?;
    let session = match cookie(request.headers(), name) {
        Some(value) => app.sessions.read(&value, now_ms).await?,
        None => None,
    };
    let Some(session) = session else { return turned_away(&request, is_read && is_page) };
    // What a page asks for by itself, as a stream, is no use of a session.
    let renewed = session.renewed(now_ms).filter(|_| is_page && is_read);
    let token = app.sessions.form_code(&session).await?;
    let visitor = Visitor::new(session, token);
    if !is_read {
        require_own_page(request.headers())?;
        request = of_own_form(&visitor, request).await?;
    }
    request.extensions_mut().insert(visitor.clone());
    let key = visitor.caller.key.clone();
    let mut answer = admit(&app, key, request, next).await.into_response();
    // An answer that comes late would bring back a session that was ended meanwhile: the next one renews it.
    if let Some(renewed) = renewed.filter(|_| begun.elapsed() < RENEWED_WITHIN) {
        answer.headers_mut().insert(header::SET_COOKIE, set(&app, name, &renewed).await?);
    }
    // For who makes a page of an error.
    answer.extensions_mut().insert(visitor);
    Ok(answer)
}

/// The request whose form has the token of this session in it, without the token.
async fn of_own_form(visitor: &Visitor, request: Request) -> ApiResult<Request> {
    let (parts, sent) = request.into_parts();
    let sent = body(Request::from_parts(parts.clone(), sent), &()).await?;
    let (tokens, form) = taken_out(&sent, TOKEN)?;
    if !matches!(tokens.as_slice(), [token] if visitor.has_sent(token)) {
        return Err(ApiError::forbidden(
            "the form is not of this session, and nothing was done: open its page again, and send it from there",
        ));
    }
    let mut request = Request::from_parts(parts, Body::from(form));
    request.headers_mut().remove(header::CONTENT_LENGTH);
    Ok(request)
}

/// Whether a browser asks for what it is going to show.
fn asks_for_page(headers: &HeaderMap) -> ApiResult<bool> {
    Ok(text(headers, &header::ACCEPT)?.is_some_and(|accepted| accepted.contains("text/html")))
}

/// What is told to who has no session: a page is found behind the login.
fn turned_away(request: &Request, is_page: bool) -> Result<Response, ApiError> {
    if is_page {
        let wanted = request.uri().path_and_query().map_or("", |wanted| wanted.as_str());
        return Ok(Redirect::to(links::login().with("next", wanted).as_str()).into_response());
    }
    // No challenge: a browser would ask for a password in a window of its own.
    Err(ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "there is no session, or it has ended, and nothing was done: log in",
    ))
}

/// The name of the cookie. That of encrypted connections can be set by this host alone, and over such a
/// connection: a browser sees to that by its first letters.
pub fn cookie_name(app: &App, headers: &HeaderMap) -> ApiResult<&'static str> {
    let forwarded = text(headers, &FORWARDED_PROTO)?;
    let is_https = |said: &str| said.split(',').next().is_some_and(|first| first.trim() == "https");
    let is_encrypted = app.page.is_encrypted || forwarded.is_some_and(is_https);
    Ok(if is_encrypted { "__Host-onward" } else { "onward" })
}

/// What the cookie of this name says.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    // A browser sends what others have set for this host, too: what of it is no text is not ours.
    let lines = headers.get_all(header::COOKIE).iter();
    let lines = lines.filter_map(|line| std::str::from_utf8(line.as_bytes()).ok());
    let mut pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}

/// The header that gives a browser its session.
pub async fn set(app: &App, name: &str, session: &Session) -> ApiResult<HeaderValue> {
    header(name, &app.sessions.cookie(session).await?, "")
}

/// The header that takes it back.
pub fn unset(name: &str) -> ApiResult<HeaderValue> {
    header(name, "", "; Max-Age=0")
}

fn header(name: &str, value: &str, end: &str) -> ApiResult<HeaderValue> {
    let secure = if name.starts_with("__Host-") { "; Secure" } else { "" };
    HeaderValue::from_str(&format!(
        "{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{end}"
    ))
    .map_err(|_| ApiError::from(onward::Error::internal("a cookie cannot be written")))
}
