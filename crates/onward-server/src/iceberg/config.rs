//! `GET /v1/config`: where the catalog of a warehouse is, and what can be asked there.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Answer;
use crate::auth::Reader;
use crate::extract::Query;
use crate::state::AppState;
use onward_iceberg::catalog::{CatalogError, REMEMBERED};

/// What there is of the specification.
const ENDPOINTS: [&str; 17] = [
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "DELETE /v1/{prefix}/namespaces/{namespace}",
    "POST /v1/{prefix}/namespaces/{namespace}/properties",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/register",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
    "POST /v1/{prefix}/tables/rename",
    "POST /v1/{prefix}/transactions/commit",
    "GET /v1/{prefix}/namespaces/{namespace}/views",
];

/// What there is of it besides, where clients get credentials.
const CREDENTIALS: &str = "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials";

/// Which catalog a client means.
#[derive(Deserialize)]
pub struct Warehouse {
    warehouse: Option<String>,
}

/// Tells a client how to go on.
pub async fn show(
    Reader(_): Reader,
    State(app): State<AppState>,
    Query(query): Query<Warehouse>,
) -> Answer<Json<Value>> {
    let warehouse = query.warehouse.filter(|name| !name.is_empty()).ok_or_else(|| {
        CatalogError::invalid(
            "no warehouse: set the client's warehouse to REPO or REPO@BRANCH, such as lake or lake@main",
        )
    })?;
    let place = app.catalog.place(&warehouse).await?;
    place.require().await?;
    let more = app.delegation.vends().then_some(CREDENTIALS);
    let endpoints: Vec<&str> = ENDPOINTS.into_iter().chain(more).collect();
    Ok(Json(json!({
        "defaults": {},
        "overrides": {"prefix": place.prefix()},
        "endpoints": endpoints,
        "idempotency-key-lifetime": format!("PT{}M", REMEMBERED.as_secs() / 60),
    })))
}
