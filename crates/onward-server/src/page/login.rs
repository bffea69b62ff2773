//! Logging in with an access key, and out.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode, header};
use maud::{Markup, html};
use serde::Deserialize;

use super::door::{cookie_name, set, unset};
use super::layout::Page;
use super::links;
use super::visitor::Visitor;
use crate::auth::require_own_page;
use crate::error::{ApiError, ApiResult, in_seconds};
use crate::extract::{Query, form};
use crate::listen::Peer;
use crate::state::AppState;
use onward::internals::clock;

/// Where to go when that is done.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginQuery {
    next: String,
    out: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginForm {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    next: String,
}

/// The form to log in with.
pub async fn show(Query(query): Query<LoginQuery>) -> Response {
    let told = (!query.out.is_empty()).then_some("You are logged out.");
    page(StatusCode::OK, told, "", &query.next)
}

/// Logs in, and goes on to the page that was asked for.
pub async fn log_in(State(app): State<AppState>, request: Request) -> ApiResult<Response> {
    require_own_page(request.headers())?;
    let name = cookie_name(&app, request.headers())?;
    let from = Peer::of(request.extensions());
    let sent: LoginForm = form(request, &()).await?;
    let key = match app.log_in(&from, sent.access_key_id.trim(), &sent.secret_access_key).await {
        Ok(key) => key,
        Err(why) if refuses(&why) => {
            let mut answer =
                page(why.status(), Some(why.message()), &sent.access_key_id, &sent.next);
            if let Some(wait) = why.retry_after() {
                answer.headers_mut().insert(header::RETRY_AFTER, in_seconds(wait));
            }
            return Ok(answer);
        }
        Err(other) => return Err(other),
    };
    tracing::info!(access_key = %key.id, %from, "logged in to the page");
    let session = app.sessions.begin(key, clock::now_ms());
    let next =
        own_page(&sent.next).map_or_else(|| links::queues().as_str().to_owned(), str::to_owned);
    let mut answer = Redirect::to(&next).into_response();
    answer.headers_mut().insert(header::SET_COOKIE, set(&app, name, &session).await?);
    Ok(answer)
}

/// Takes the session from the browser.
pub async fn log_out(
    _: Visitor,
    State(app): State<AppState>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let mut answer = Redirect::to(links::login().with("out", "1").as_str()).into_response();
    let name = cookie_name(&app, &headers)?;
    answer.headers_mut().insert(header::SET_COOKIE, unset(name)?);
    Ok(answer)
}

/// Whether it is the key that is refused, and not something that is out of order.
fn refuses(why: &ApiError) -> bool {
    matches!(why.status(), StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS)
}

/// A page of this server, and of no other: whoever made the link that led here chose it.
fn own_page(next: &str) -> Option<&str> {
    let is_path = next == "/ui" || next.starts_with("/ui/") || next.starts_with("/ui?");
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    Some(next).filter(|_| is_path && is_plain)
}

fn page(status: StatusCode, told: Option<&str>, id: &str, next: &str) -> Response {
    let body = html! {
        @if let Some(told) = told { p.notice role="alert" { (told) } }
        (fields(id, next))
        p {
            "An access key is an id and a secret. A sidecar that finds none when it starts makes one and shows it once; "
            code { "onward key create" } " makes others."
        }
        h2 { "For programs" }
        dl.facts {
            dt { code { "/onward/v1" } }
            dd { "Change sets, merges, tickets, queues, events: " a href="/docs" { "described here" } ", and for programs in "
                a href="/openapi.json" { "openapi.json" } "." }
            dt { code { "/api/v1" } }
            dd { "The API of lakeFS, for its own clients: they take this address, an access key id and its secret." }
            dt { code { "/iceberg" } }
            dd { "A catalog of Iceberg tables, for PyIceberg, Java and DuckDB, where this program has it." }
            dt { code { "/readyz" } ", " code { "/metrics" } }
            dd { "Whether it can serve, and what it measures." }
        }
    };
    Page::without_login("Log in", body).answer(status, None)
}

fn fields(id: &str, next: &str) -> Markup {
    html! {
        form.stacked method="post" action=(links::login()) {
            input type="hidden" name="next" value=(next);
            label for="id" { "Access key id" }
            input #id name="access_key_id" value=(id) required autocomplete="username" autocapitalize="none" spellcheck="false";
            label for="secret" { "Secret access key" }
            input #secret name="secret_access_key" type="password" required autocomplete="current-password";
            button { "Log in" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_pages_of_this_server_alone() {
        for own in ["/ui", "/ui/", "/ui?x=1", "/ui/repos/lake?path=a%2Fb"] {
            assert_eq!(own_page(own), Some(own));
        }
        for other in [
            "",
            "/",
            "//evil.example",
            "/uix",
            "https://evil.example/ui/",
            "/ui/\r\nX: y",
            "/ui/\\evil",
            "javascript:alert(1)",
            " /ui/",
        ] {
            assert_eq!(own_page(other), None, "{other}");
        }
    }
}
