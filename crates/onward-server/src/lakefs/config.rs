//! What clients ask before they do anything: configuration, set-up, login, who they are.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json as Body};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::wire::LoginInformation;
use crate::auth::Caller;
use crate::error::{ApiError, ApiResult, json as answer};
use crate::extract::{Json, limited};
use crate::listen::Peer;
use crate::state::{App, AppState};

/// The version of lakeFS whose API this is. Clients read it as three numbers.
const LAKEFS_VERSION: &str = "1.66.0";

/// The longest body of a login, in bytes.
const LOGIN_LEN: usize = 4096;

/// Routes for those who are not known yet.
pub fn open_routes() -> Router<AppState> {
    // Nobody is known yet: he gets no more room than an id and a secret need.
    let login = limited(Router::new().route("/auth/login", post(login)), LOGIN_LEN);
    Router::new()
        .merge(login)
        .route("/healthcheck", get(|| async { StatusCode::NO_CONTENT }))
        .route("/setup_lakefs", get(setup_state).post(setup))
        .route("/setup_comm_prefs", post(|| async { StatusCode::OK }))
        .route("/auth/capabilities", get(capabilities))
}

/// Routes for everybody who is known.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/config", get(config))
        .route("/config/version", get(version))
        .route("/config/storage", get(storage))
        .route("/user", get(user))
        .route("/statistics", post(statistics))
        .route("/usage-report/summary", get(usage))
        .route("/license", get(no_license))
}

async fn config(State(app): State<AppState>) -> Body<Value> {
    Body(json!({
        "version_config": version_config(),
        "storage_config": storage_config(&app),
        "storage_config_list": [],
        "ui_config": {"custom_viewers": []},
        "capabilities_config": {"async_ops": false},
    }))
}

async fn version() -> Body<Value> {
    Body(version_config())
}

async fn storage(State(app): State<AppState>) -> Body<Value> {
    Body(storage_config(&app))
}

fn version_config() -> Value {
    json!({
        "version": LAKEFS_VERSION,
        "version_context": "lakeFS",
        "latest_version": LAKEFS_VERSION,
        "upgrade_recommended": false,
        "upgrade_url": "",
    })
}

fn storage_config(app: &App) -> Value {
    let objects = app.onward.coordinator().objects();
    let url = objects.url();
    let scheme = url.split("://").next().unwrap_or_default();
    let (kind, pattern) = match scheme {
        "s3" => ("s3", "^s3://"),
        "gs" => ("gs", "^gs://"),
        "az" => ("azure", "^(az|https?)://"),
        _ => ("local", "^[a-z]+://"),
    };
    let signs = objects.signs();
    // What clients take for the namespace of a local store.
    let shown = match url.strip_prefix("file://") {
        Some(path) => format!("local://{}", path.trim_start_matches('/')),
        None => url.to_owned(),
    };
    let shown = shown.trim_end_matches('/');
    json!({
        "blockstore_type": kind,
        "blockstore_namespace_example": format!("{shown}/my-repository"),
        "blockstore_namespace_ValidityRegex": pattern,
        "default_namespace_prefix": shown,
        "pre_sign_support": signs,
        "pre_sign_support_ui": false,
        "pre_sign_multipart_upload": false,
        "import_support": true,
        "import_validity_regex": "^(file|local|s3|gs|az)://",
    })
}

async fn user(Extension(caller): Extension<Caller>) -> Body<Value> {
    Body(json!({"user": {
        "id": caller.key.name,
        "creation_date": caller.key.created_ms.div_euclid(1000),
        "friendly_name": caller.key.name,
    }}))
}

/// lakectl reports what it is used for. Nobody here wants to know.
async fn statistics() -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn usage() -> Body<Value> {
    Body(json!({"installation_id": "onward", "reports": []}))
}

async fn no_license() -> ApiError {
    ApiError::not_supported("there is no license to show")
}

async fn capabilities() -> Body<Value> {
    Body(json!({"invite_user": false, "forgot_password": false}))
}

/// A deployment has its first key before it serves, so it is set up.
async fn setup_state() -> Body<Value> {
    Body(json!({
        "state": "initialized",
        "comm_prefs_missing": false,
        "login_config": {
            "RBAC": "none",
            "login_url": "",
            "login_failed_message": "the access key id or its secret is wrong",
            "fallback_login_url": null,
            "fallback_login_label": null,
            "login_cookie_names": [],
            "logout_url": "",
        },
    }))
}

/// It is done already, see [`setup_state`].
async fn setup() -> ApiError {
    ApiError::conflict("this deployment is set up: whoever runs it makes further access keys")
}

async fn login(
    State(app): State<AppState>,
    peer: Option<Extension<Peer>>,
    Json(login): Json<LoginInformation>,
) -> ApiResult<Response> {
    let from = peer.map_or_else(|| "unknown".into(), |peer| peer.0.0);
    let key = app.log_in(&from, &login.access_key_id, &login.secret_access_key).await?;
    let (token, expires) = app.tokens.issue(&key).await?;
    let body = json!({"token": token, "token_expiration": expires});
    let mut response = answer(StatusCode::OK, body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
