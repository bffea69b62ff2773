//! Who sends a request, as commits and the door of a table know him.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderName, header};

use super::delegation::Wanted;
use super::error::{Answer, IcebergError};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::headers::{any_text, text};
use crate::listen::Peer;
use crate::state::AppState;
use onward_iceberg::catalog::{Mode, Said};

/// How a client wants a stale commit to be treated: `commute`, `optimistic`, or `usual`.
const MODE: HeaderName = HeaderName::from_static("onward-commit-mode");

/// The sender of a request.
pub struct Client {
    /// What sets him apart from others: his access key and his address.
    pub principal: String,
    /// What a commit of his says of him.
    pub said: Said,
    /// How a stale commit of his is treated.
    pub mode: Mode,
    /// How he wants to reach files.
    pub wanted: Wanted,
}

impl FromRequestParts<AppState> for Client {
    type Rejection = IcebergError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Answer<Self> {
        let caller = parts.extensions.get::<Caller>();
        let caller = caller.ok_or_else(|| ApiError::unauthenticated("this needs an access key"))?;
        let mode = match text(&parts.headers, &MODE)? {
            None | Some("usual") => Mode::Usual,
            Some("commute") => Mode::Commute,
            Some("optimistic") => Mode::Optimistic,
            Some(_) => {
                return Err(ApiError::invalid(
                    "the header Onward-Commit-Mode takes usual, commute or optimistic",
                )
                .into());
            }
        };
        let program = parts.headers.get(header::USER_AGENT).map(any_text);
        Ok(Self {
            principal: format!("{} {}", caller.key.id, Peer::of(&parts.extensions)),
            said: Said::of(caller.name(), program.as_deref()),
            mode,
            wanted: Wanted::of(&parts.headers, &caller.key)?,
        })
    }
}
