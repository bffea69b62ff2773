//! Who makes a request: found out once, before it is handled.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use tracing::Instrument;

use crate::error::{ApiError, ApiResult};
use crate::headers::text;
use crate::listen::Peer;
use crate::state::{App, AppState};
use onward::internals::repo::access_keys::{AccessKey, Role};

/// What a browser says of where a request comes from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whoever sent a request, and what he may do.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The access key that the request showed.
    pub key: Arc<AccessKey>,
}

impl Caller {
    /// The name on commits.
    pub fn name(&self) -> String {
        self.key.name.clone()
    }

    /// Fails with 403 where the key does not have the role.
    pub(crate) fn require(&self, role: Role) -> ApiResult<()> {
        if self.key.role >= role {
            return Ok(());
        }
        Err(ApiError::forbidden(format!(
            "this needs the role '{role}', and access key '{}' has '{}': ask an administrator for another key",
            self.key.id, self.key.role
        )))
    }
}

/// Lets only those through who show an access key or a token of this deployment.
pub async fn authenticate(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let from = Peer::of(request.extensions());
    let shown = text(request.headers(), &AUTHORIZATION)?.map(str::to_owned);
    let key = identify(&app, &from, shown).await?;
    admit(&app, key, request, next).await
}

/// Lets a request of somebody go on who is known, if he has not as many under way as he may.
pub(crate) async fn admit(
    app: &App,
    key: Arc<AccessKey>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    tracing::Span::current().record("access_key", key.id.as_str());
    let place = app.places.take(&key.id)?;
    request.extensions_mut().insert(Caller { key });
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(place.held_by(next.run(request).await));
    }
    refuse_cross_site(request.headers())?;
    // What changes something goes on to its end when the client goes away half way through: some of
    // it takes several steps.
    let handling = async move { place.held_by(next.run(request).await) };
    tokio::spawn(handling.in_current_span()).await.map_err(|error| {
        ApiError::from(onward::Error::internal("a request ended early").with_source(error))
    })
}

/// Refuses what does not come from a page of this server: a form that a browser sends always says from
/// where.
#[cfg(feature = "page")]
pub(crate) fn require_own_page(headers: &HeaderMap) -> ApiResult<()> {
    if text(headers, &SEC_FETCH_SITE)?.is_none() && text(headers, &ORIGIN)?.is_none() {
        return Err(ApiError::forbidden(
            "a form says from which page it was sent, and this request does not: nothing was done. Programs use the API, which /docs describes",
        ));
    }
    refuse_cross_site(headers)
}

/// Refuses what a page of somebody else makes a browser send that remembers a login.
fn refuse_cross_site(headers: &HeaderMap) -> ApiResult<()> {
    let is_foreign = match text(headers, &SEC_FETCH_SITE)? {
        // `none` is the user himself.
        Some(site) => !["same-origin", "none"].iter().any(|own| site.eq_ignore_ascii_case(own)),
        // Browsers say that only where connections are encrypted or on one machine.
        None => match (text(headers, &ORIGIN)?, text(headers, &HOST)?) {
            (None, _) => false,
            (Some(origin), host) => !host.is_some_and(|host| is_of_host(origin, host)),
        },
    };
    if is_foreign {
        return Err(ApiError::forbidden(
            "a page of another site asked for this: nothing is changed for it. If it was a page of this one, the proxy in front has to pass on the header Host",
        ));
    }
    Ok(())
}

/// Whether an origin is that of the host which was asked. (`null` is nobody's.)
fn is_of_host(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let bare = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    bare(host) == bare(authority)
}

/// The id and secret of HTTP Basic, if that is what the header Authorization shows.
pub(crate) fn basic(shown: &str) -> ApiResult<Option<(String, String)>> {
    let Some((_, pair)) =
        shown.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
    else {
        return Ok(None);
    };
    let pair = STANDARD.decode(pair.trim()).ok().and_then(|pair| String::from_utf8(pair).ok());
    let pair = pair.as_deref().and_then(|pair| pair.split_once(':'));
    let (id, secret) = pair.ok_or_else(|| {
        ApiError::unauthenticated("the header Authorization is not Basic ID:SECRET")
    })?;
    Ok(Some((id.to_owned(), secret.to_owned())))
}

async fn identify(app: &App, from: &str, shown: Option<String>) -> ApiResult<Arc<AccessKey>> {
    let shown = shown.ok_or_else(|| {
        ApiError::unauthenticated(
            "no credentials: send the access key id and its secret with HTTP Basic, or a token from /api/v1/auth/login",
        )
    })?;
    if let Some((id, secret)) = basic(&shown)? {
        return app.log_in(from, &id, &secret).await;
    }
    let key = match shown.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            app.tokens.check(token.trim()).await?
        }
        _ => None,
    };
    key.ok_or_else(|| {
        ApiError::unauthenticated(
            "the token is not one of this deployment or has ended: log in again",
        )
    })
}

macro_rules! role_extractor {
    ($(#[$doc:meta])* $name:ident, $role:expr) => {
        $(#[$doc])*
        pub struct $name(pub Caller);

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(|| {
                    ApiError::unauthenticated("this needs an access key")
                })?;
                caller.require($role)?;
                Ok(Self(caller))
            }
        }
    };
}

role_extractor!(
    /// Somebody who may look at everything.
    Reader, Role::Read
);
role_extractor!(
    /// Somebody who may change what is in repositories.
    Writer, Role::Write
);
role_extractor!(
    /// Somebody who may do everything.
    Admin, Role::Admin
);
