//! Views: there are none. Clients that list them are told so, and those that make one that they are not offered.

use axum::Json;
use serde_json::{Value, json};

use super::error::{Answer, IcebergError};
use super::paths::InNamespace;
use crate::auth::{Reader, Writer};
use onward_iceberg::catalog::{CatalogError, Kind};

/// Lists the views of a namespace: none.
pub async fn list(
    Reader(_): Reader,
    InNamespace(place, namespace): InNamespace,
) -> Answer<Json<Value>> {
    place.namespace(&namespace).await?;
    Ok(Json(json!({"identifiers": []})))
}

/// Tells that there is no view of this name.
pub async fn absent(Reader(_): Reader, InNamespace(..): InNamespace) -> IcebergError {
    CatalogError::new(Kind::NoSuchView, "View does not exist: this catalog has tables only").into()
}

/// Tells that nobody can make one.
pub async fn refuse(Writer(_): Writer) -> IcebergError {
    CatalogError::new(Kind::Unsupported, "views are not offered: this catalog has tables only")
        .into()
}
