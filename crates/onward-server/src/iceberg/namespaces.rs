//! Namespaces: listed, made, loaded, changed, dropped.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::error::Answer;
use super::paging::{PageQuery, next_page};
use super::paths::in_query;
use super::paths::{InNamespace, InPlace};
use crate::auth::{Reader, Writer};
use crate::extract::{Json as Sent, Query};
use onward_iceberg::catalog::Namespace;

/// Which namespaces are listed.
#[derive(Deserialize)]
pub struct Within {
    parent: Option<String>,
    #[serde(rename = "pageToken")]
    page_token: Option<String>,
    #[serde(rename = "pageSize")]
    page_size: Option<usize>,
}

/// The namespaces in another, or the first levels.
pub async fn list(
    Reader(_): Reader,
    InPlace(place): InPlace,
    Query(within): Query<Within>,
) -> Answer<Json<Value>> {
    let parent = within.parent.filter(|parent| !parent.is_empty());
    let parent = parent.map(|parent| in_query(&parent)).transpose()?;
    let page = PageQuery { page_token: within.page_token, page_size: within.page_size }.page()?;
    let names = place.namespaces(parent.as_ref(), &page).await?;
    let levels: Vec<&[String]> = names.items.iter().map(Namespace::levels).collect();
    Ok(Json(json!({"namespaces": levels, "next-page-token": next_page(names.next.as_deref())})))
}

/// What is to be made.
#[derive(Deserialize)]
pub struct New {
    namespace: Vec<String>,
    properties: Option<BTreeMap<String, String>>,
}

/// Makes a namespace.
pub async fn create(
    Writer(_): Writer,
    InPlace(place): InPlace,
    client: Client,
    Sent(new): Sent<New>,
) -> Answer<Json<Value>> {
    let namespace = Namespace::new(new.namespace)?;
    let properties = new.properties.unwrap_or_default();
    place.create_namespace(&namespace, &properties, client.said).await?;
    Ok(Json(json!({"namespace": namespace.levels(), "properties": properties})))
}

/// The properties of a namespace.
pub async fn load(
    Reader(_): Reader,
    InNamespace(place, namespace): InNamespace,
) -> Answer<Json<Value>> {
    let properties = place.namespace(&namespace).await?;
    Ok(Json(json!({"namespace": namespace.levels(), "properties": properties})))
}

/// Whether it is there.
pub async fn exists(
    Reader(_): Reader,
    InNamespace(place, namespace): InNamespace,
) -> Answer<StatusCode> {
    place.namespace(&namespace).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is to be changed.
#[derive(Deserialize)]
pub struct Change {
    removals: Option<BTreeSet<String>>,
    updates: Option<BTreeMap<String, String>>,
}

/// Sets and takes away properties of a namespace.
pub async fn update(
    Writer(_): Writer,
    InNamespace(place, namespace): InNamespace,
    client: Client,
    Sent(change): Sent<Change>,
) -> Answer<Json<Value>> {
    let (removals, updates) =
        (change.removals.unwrap_or_default(), change.updates.unwrap_or_default());
    let changed = place.update_namespace(&namespace, &removals, &updates, client.said).await?;
    Ok(Json(json!({
        "updated": changed.updated, "removed": changed.removed, "missing": changed.missing,
    })))
}

/// Removes an empty one.
pub async fn drop_it(
    Writer(_): Writer,
    InNamespace(place, namespace): InNamespace,
    client: Client,
) -> Answer<StatusCode> {
    place.drop_namespace(&namespace, client.said).await?;
    Ok(StatusCode::NO_CONTENT)
}
