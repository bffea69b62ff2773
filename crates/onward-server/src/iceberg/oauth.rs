//! `POST /v1/oauth/tokens`: an access key for a token of an hour, as clients of tables ask for it: OAuth's client
//! credentials, in the form or as HTTP Basic, and the exchange of a token for a fresh one.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use serde::Deserialize;
use serde_json::json;

use super::error::{Answer, oauth};
use crate::auth::{TOKEN_VALID, basic};
use crate::error::ApiError;
use crate::extract::form;
use crate::headers::text;
use crate::listen::Peer;
use crate::state::AppState;

const CLIENT: &str = "client_credentials";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What is asked for; more than this may be there, and means nothing here.
#[derive(Deserialize)]
struct Form {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    subject_token: Option<String>,
}

/// Gives a token to who shows an access key, or a token that is still good.
pub async fn token(State(app): State<AppState>, request: Request) -> Answer<Response> {
    let from = Peer::of(request.extensions());
    let basic = text(request.headers(), &AUTHORIZATION)?.map(basic).transpose()?.flatten();
    let form: Form = form(request, &app).await?;
    let key = match form.grant_type.as_deref() {
        Some(CLIENT) => {
            let in_form = form.client_id.zip(form.client_secret);
            let (id, secret) = in_form.or(basic).ok_or_else(|| {
                ApiError::unauthenticated(
                    "no credentials: send client_id and client_secret, an access key of this deployment and its secret",
                )
            })?;
            app.log_in(&from, &id, &secret).await?
        }
        Some(EXCHANGE) => {
            let shown = form.subject_token.unwrap_or_default();
            let key = app.tokens.check(&shown).await.map_err(ApiError::from)?;
            key.ok_or_else(|| {
                ApiError::unauthenticated(
                    "the subject_token is not one of this deployment or has ended: log in again",
                )
            })?
        }
        _ => {
            let told = oauth(
                "unsupported_grant_type",
                "grant_type is client_credentials, or token-exchange for a token of this deployment",
            );
            return Ok((StatusCode::BAD_REQUEST, Json(told)).into_response());
        }
    };
    let (token, _) = app.tokens.issue(&key).await.map_err(ApiError::from)?;
    let told = json!({
        "access_token": token,
        "token_type": "bearer",
        "expires_in": TOKEN_VALID.as_secs(),
        "issued_token_type": ACCESS_TOKEN,
    });
    Ok(([(CACHE_CONTROL, "no-store")], Json(told)).into_response())
}
