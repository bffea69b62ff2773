//! Commits to one table, and to several at once.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::client::Client;
use super::delegation::Grant;
use super::error::Answer;
use super::paths::{InPlace, InTable};
use super::tables::shown;
use crate::auth::Writer;
use crate::extract::Json as Sent;
use crate::metrics::ICEBERG_COMMITS;
use crate::state::AppState;
use onward_iceberg::catalog::{Asked, CatalogError, Changes, Kind, Snapshots};

/// Commits to a table, or makes it.
pub async fn commit(
    Writer(_): Writer,
    State(app): State<AppState>,
    InTable(place, ident): InTable,
    client: Client,
    Sent(request): Sent<Value>,
) -> Answer<Response> {
    let Client { principal, said, mode, .. } = client;
    let asked = Asked::read(&request, &place, mode, &principal, said)?;
    let committed = app.catalog.commit(&place, &ident, asked).await;
    count(committed.as_ref().err());
    // It reaches the files already.
    Ok(shown(&committed?, Snapshots::All, &Grant::default(), place, ident))
}

/// Commits to several tables at once.
pub async fn transaction(
    Writer(_): Writer,
    State(app): State<AppState>,
    InPlace(place): InPlace,
    client: Client,
    Sent(request): Sent<Value>,
) -> Answer<StatusCode> {
    let Client { principal, said, mode, .. } = client;
    let changes = Changes::read(&request, &place, mode, &principal, &said)?;
    let committed = app.catalog.transaction(&place, changes).await;
    count(committed.as_ref().err());
    committed?;
    Ok(StatusCode::NO_CONTENT)
}

fn count(error: Option<&CatalogError>) {
    let result = match error.map(|error| error.kind) {
        None => "committed",
        Some(Kind::CommitFailed) => "conflict",
        Some(Kind::CommitStateUnknown) => "unknown",
        Some(Kind::Unavailable) => "unavailable",
        Some(_) => "refused",
    };
    metrics::counter!(ICEBERG_COMMITS, "result" => result).increment(1);
}
