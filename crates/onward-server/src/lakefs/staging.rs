//! Staging objects that clients write into the storage themselves.

use axum::extract::State;
use axum::routing::get;
use axum::{Json as Body, Router};
use http::HeaderMap;
use serde::Deserialize;

use super::named::{branch, path};
use super::wire::{ObjectStats, StagingLocation, StagingMetadata};
use crate::auth::Writer;
use crate::conditions::Conditions;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Flag, Json, Path, Query};
use crate::state::AppState;
use crate::writes::{SIGNED_FOR, link, now};
use onward::Entry;

pub fn routes() -> Router<AppState> {
    Router::new().route(
        "/repositories/{repo}/branches/{branch}/staging/backing",
        get(address).put(link_staged),
    )
}

#[derive(Deserialize)]
struct AddressQuery {
    path: String,
    #[serde(default)]
    presign: Flag,
}

/// A new address for what is to be linked as this path, for a day.
async fn address(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<AddressQuery>,
) -> ApiResult<Body<StagingLocation>> {
    let place = branch(&app, &repo, &name).upload_address(&path(&query.path)?).await?;
    let objects = app.onward.coordinator().objects();
    let presigned_url = match query.presign.0 && objects.signs() {
        true => Some(objects.signed_url(&place.key, true, SIGNED_FOR).await?),
        false => None,
    };
    Ok(Body(StagingLocation {
        physical_address: Some(place.address),
        presigned_url_expiry: presigned_url.as_ref().map(|_| now() + SIGNED_FOR.as_secs() as i64),
        presigned_url,
    }))
}

async fn link_staged(
    _: Writer,
    State(app): State<AppState>,
    Path((repo, name)): Path<(String, String)>,
    Query(query): Query<AddressQuery>,
    headers: HeaderMap,
    Json(wanted): Json<StagingMetadata>,
) -> ApiResult<Body<ObjectStats>> {
    let address = wanted.staging.physical_address.ok_or_else(|| {
        ApiError::invalid(
            "the staging location has no physical address: send back what was given out",
        )
    })?;
    let entry = Entry {
        address,
        checksum: wanted.checksum.trim_matches('"').to_owned(),
        size: wanted.size_bytes,
        mtime: wanted.mtime.unwrap_or_else(now),
        content_type: wanted.content_type,
        metadata: wanted.user_metadata.unwrap_or_default(),
    };
    let (branch, path) = (branch(&app, &repo, &name), path(&query.path)?);
    let entry = link(&branch, &path, entry, &Conditions::of(&headers)?).await?;
    Ok(Body(ObjectStats::object(&path, entry, true)))
}
