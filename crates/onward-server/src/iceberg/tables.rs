//! Tables: listed, made, loaded, taken over, renamed, dropped; and reports of their use.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::error::Answer;
use super::outcomes::Shown;
use super::paging::{PageQuery, next_page};
use super::paths::{InNamespace, InPlace, InTable};
use crate::auth::{Reader, Writer};
use crate::conditions::{Conditions, ETag};
use crate::extract::{Flag, Json as Sent, Query};
use crate::metrics::ICEBERG_REPORTS;
use crate::state::AppState;
use onward_iceberg::catalog::{
    CatalogError, Kind, Loaded, Made, Namespace, Place, Snapshots, TableIdent,
};

/// A name as bodies have it.
#[derive(Deserialize)]
pub struct Named {
    namespace: Vec<String>,
    name: String,
}

impl Named {
    fn ident(self) -> Answer<TableIdent> {
        Ok(TableIdent::new(Namespace::new(self.namespace)?, self.name)?)
    }
}

/// The tables of a namespace.
pub async fn list(
    Reader(_): Reader,
    State(app): State<AppState>,
    InNamespace(place, namespace): InNamespace,
    Query(page): Query<PageQuery>,
) -> Answer<Json<Value>> {
    let names = app.catalog.tables(&place, &namespace, &page.page()?).await?;
    let named =
        |ident: &TableIdent| json!({"namespace": ident.namespace.levels(), "name": ident.name});
    let identifiers: Vec<Value> = names.items.iter().map(named).collect();
    Ok(Json(
        json!({"identifiers": identifiers, "next-page-token": next_page(names.next.as_deref())}),
    ))
}

/// Makes a table, or says what one would be like that a commit makes.
pub async fn create(
    Writer(_): Writer,
    State(app): State<AppState>,
    InNamespace(place, namespace): InNamespace,
    client: Client,
    Sent(request): Sent<Value>,
) -> Answer<Response> {
    match app.catalog.create_table(&place, &namespace, &request, client.said).await? {
        Made::Staged(told) => Ok(json_bytes(told)),
        Made::Table(loaded) => {
            let name = request.get("name").and_then(Value::as_str).unwrap_or_default();
            let ident = TableIdent::new(namespace, name)?;
            Ok(shown(&loaded, Snapshots::All, place, ident))
        }
    }
}

/// Which snapshots are asked for.
#[derive(Deserialize)]
pub struct Which {
    snapshots: Option<String>,
}

/// Loads a table; 304 where the client has it.
pub async fn load(
    Reader(_): Reader,
    State(app): State<AppState>,
    InTable(place, ident): InTable,
    client: Client,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Answer<Response> {
    let snapshots = match which.snapshots.as_deref() {
        None | Some("" | "all") => Snapshots::All,
        Some("refs") => Snapshots::Refs,
        Some(_) => return Err(CatalogError::invalid("snapshots is all or refs").into()),
    };
    let loaded = app.catalog.load(&place, &ident, &client.principal).await?;
    let e_tag = ETag::new(loaded.e_tag(snapshots));
    if !Conditions::of(&headers)?.is_wanted(&e_tag, loaded.pointer.mtime)? {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, e_tag.quoted())]).into_response());
    }
    Ok(shown(&loaded, snapshots, place, ident))
}

/// Whether it is there.
pub async fn exists(
    Reader(_): Reader,
    State(app): State<AppState>,
    InTable(place, ident): InTable,
) -> Answer<StatusCode> {
    app.catalog.require_table(&place, &ident).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is to be taken over.
#[derive(Deserialize)]
pub struct Register {
    name: String,
    #[serde(rename = "metadata-location")]
    metadata_location: String,
    overwrite: Option<bool>,
}

/// Takes over a table whose metadata is there.
pub async fn register(
    Writer(_): Writer,
    State(app): State<AppState>,
    InNamespace(place, namespace): InNamespace,
    client: Client,
    Sent(asked): Sent<Register>,
) -> Answer<Response> {
    let ident = TableIdent::new(namespace, asked.name)?;
    let overwrite = asked.overwrite.unwrap_or(false);
    let location = asked.metadata_location.as_str();
    let loaded = app.catalog.register(&place, &ident, location, overwrite, client.said).await?;
    Ok(shown(&loaded, Snapshots::All, place, ident))
}

/// Which table gets which name.
#[derive(Deserialize)]
pub struct Rename {
    source: Named,
    destination: Named,
}

/// Gives a table another name.
pub async fn rename(
    Writer(_): Writer,
    State(app): State<AppState>,
    InPlace(place): InPlace,
    client: Client,
    Sent(asked): Sent<Rename>,
) -> Answer<StatusCode> {
    let (from, to) = (asked.source.ident()?, asked.destination.ident()?);
    app.catalog.rename(&place, &from, &to, client.said).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether files are to go, too.
#[derive(Deserialize)]
pub struct Purge {
    #[serde(rename = "purgeRequested", default)]
    purge_requested: Flag,
}

/// Takes a table off the branch.
pub async fn drop_it(
    Writer(_): Writer,
    State(app): State<AppState>,
    InTable(place, ident): InTable,
    client: Client,
    Query(purge): Query<Purge>,
) -> Answer<StatusCode> {
    if purge.purge_requested.0 {
        return Err(CatalogError::new(
            Kind::Unsupported,
            format!("table {ident} is not purged, and is still there: tags, other branches and the history of this one name its files. Drop it without purge; when no branch or tag is to have it any more, remove its folder by hand"),
        )
        .into());
    }
    app.catalog.drop_table(&place, &ident, client.said).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a report of a scan or a commit, and counts it.
pub async fn report(
    Reader(_): Reader,
    InTable(..): InTable,
    Sent(report): Sent<Value>,
) -> Answer<StatusCode> {
    let kind = match report.get("report-type").and_then(Value::as_str) {
        Some("scan-report") => "scan",
        Some("commit-report") => "commit",
        _ => "other",
    };
    metrics::counter!(ICEBERG_REPORTS, "kind" => kind).increment(1);
    Ok(StatusCode::NO_CONTENT)
}

/// The answer that shows a table.
pub fn shown(
    loaded: &Arc<Loaded>,
    snapshots: Snapshots,
    place: Place,
    ident: TableIdent,
) -> Response {
    let mut answer = json_bytes(loaded.told(snapshots));
    let e_tag = ETag::new(loaded.e_tag(snapshots)).quoted();
    if let Ok(e_tag) = e_tag.parse() {
        answer.headers_mut().insert(ETAG, e_tag);
    }
    answer.extensions_mut().insert(Shown(place, ident));
    answer
}

fn json_bytes(bytes: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], bytes).into_response()
}
