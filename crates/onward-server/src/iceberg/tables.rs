//! Tables: listed, made, loaded, taken over, renamed, dropped; and reports of their use.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::delegation::{Grant, Wanted};
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
        Made::Staged(staged) => {
            let ident = ident_of(namespace, &request)?;
            let grant = app.delegation.grant(&place, &ident, staged.metadata(), &client.wanted);
            let grant = grant.await?;
            Ok(json_pieces(staged.told_with(&grant.access), &grant))
        }
        Made::Table(loaded) => {
            let ident = ident_of(namespace, &request)?;
            Ok(show(&app, &loaded, &client.wanted, place, ident).await)
        }
    }
}

fn ident_of(namespace: Namespace, request: &Value) -> Answer<TableIdent> {
    let name = request.get("name").and_then(Value::as_str).unwrap_or_default();
    Ok(TableIdent::new(namespace, name)?)
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
    // First, so that nobody is told that what he has is still good whose credentials are not.
    let grant = app.delegation.grant(&place, &ident, &loaded.metadata, &client.wanted).await?;
    let e_tag = ETag::new(grant.e_tag(loaded.e_tag(snapshots)));
    let mtime = grant.mtime(loaded.pointer.mtime);
    if !Conditions::of(&headers)?.is_wanted(&e_tag, mtime)? {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, e_tag.quoted())]).into_response());
    }
    Ok(shown(&loaded, snapshots, &grant, place, ident))
}

/// Credentials for the files of a table, for who has had some before.
pub async fn credentials(
    Reader(caller): Reader,
    State(app): State<AppState>,
    InTable(place, ident): InTable,
) -> Answer<Response> {
    if !app.delegation.vends() {
        return Err(CatalogError::new(
            Kind::Unsupported,
            "no credentials are given to clients here: the operator has not allowed it, or tables do not lie in S3. Bring credentials of your own",
        )
        .into());
    }
    let loaded = app.catalog.load(&place, &ident, "").await?;
    let wanted = Wanted::credentials(&caller.key);
    let grant = app.delegation.grant(&place, &ident, &loaded.metadata, &wanted).await?;
    let given = grant.access.credentials.clone().unwrap_or_else(|| json!([]));
    let told = json!({"storage-credentials": given}).to_string();
    Ok(json_pieces([told.into(), Bytes::new()], &grant))
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
    Ok(show(&app, &loaded, &client.wanted, place, ident).await)
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
        let prefix = place.prefix();
        let repo = prefix.split('@').next().unwrap_or_default();
        return Err(CatalogError::new(
            Kind::Unsupported,
            format!("table {ident} is not purged, and is still there: the history of this branch, other branches and tags need its files. Drop it without purge; `onward gc {repo} --tables` removes the files when no branch or tag has a commit with the table any more"),
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

/// The answer that shows a table which was just made or taken over, and how its files are reached. What was done is
/// told also where that cannot be said now: a client that loads the table again hears why.
pub async fn show(
    app: &AppState,
    loaded: &Arc<Loaded>,
    wanted: &Wanted,
    place: Place,
    ident: TableIdent,
) -> Response {
    let grant = app.delegation.grant(&place, &ident, &loaded.metadata, wanted).await;
    let grant = grant.unwrap_or_else(|error| {
        tracing::warn!(%error, %ident, "a table is told without a way to its files");
        Grant::default()
    });
    shown(loaded, Snapshots::All, &grant, place, ident)
}

/// The answer that shows a table with what was granted for it.
pub fn shown(
    loaded: &Arc<Loaded>,
    snapshots: Snapshots,
    grant: &Grant,
    place: Place,
    ident: TableIdent,
) -> Response {
    let mut answer = json_pieces(loaded.told_with(snapshots, &grant.access), grant);
    let e_tag = ETag::new(grant.e_tag(loaded.e_tag(snapshots))).quoted();
    if let Ok(e_tag) = e_tag.parse() {
        answer.headers_mut().insert(ETAG, e_tag);
    }
    answer.extensions_mut().insert(Shown(place, ident));
    answer
}

/// An answer of JSON in pieces, which are sent as they are: metadata is large, and no part of it is copied.
fn json_pieces(pieces: [Bytes; 2], grant: &Grant) -> Response {
    let length = pieces.iter().map(Bytes::len).sum::<usize>();
    let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
    let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)));
    let headers =
        [(CONTENT_TYPE, "application/json".to_owned()), (CONTENT_LENGTH, length.to_string())];
    let mut answer = (headers, body).into_response();
    answer.headers_mut().extend(grant.cache_control());
    answer
}
