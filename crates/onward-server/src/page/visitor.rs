//! Whoever looks at a page: somebody who has logged in.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use maud::{Markup, html};

use crate::auth::{Caller, Role, Session};
use crate::error::{ApiError, ApiResult};

/// The field of every form that says that it comes from a page of its sender's session.
pub const TOKEN: &str = "token";

/// Somebody who has logged in, with a browser.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The access key, as handlers of the APIs have it.
    pub caller: Caller,
    pub(super) session: Session,
    token: Arc<str>,
}

impl Visitor {
    /// The visitor of a session, whose forms have this code in them.
    pub fn new(session: Session, token: String) -> Self {
        let caller = Caller { key: Arc::clone(&session.key) };
        Self { caller, session, token: token.into() }
    }

    /// Whether he may do what needs a role: what he may not, a page does not offer.
    pub fn may(&self, role: Role) -> bool {
        self.caller.key.role >= role
    }

    /// Fails with 403 where he does not have the role.
    pub fn require(&self, role: Role) -> ApiResult<()> {
        self.caller.require(role)
    }

    /// What every form with `method="post"` has in it.
    pub fn token(&self) -> Markup {
        html! { input type="hidden" name=(TOKEN) value=(self.token); }
    }

    /// Whether a form that was sent has it.
    pub fn has_sent(&self, token: &str) -> bool {
        // Who can measure this has to know the session, whose code it is.
        *self.token == *token
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let visitor = parts.extensions.get::<Self>().cloned();
        visitor.ok_or_else(|| ApiError::from(onward::Error::internal("a page without a login")))
    }
}
