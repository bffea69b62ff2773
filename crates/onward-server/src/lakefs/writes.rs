//! What writes of objects have in common: their conditions, and how an address is staged.

use std::time::Duration;

use http::{HeaderMap, header};

use crate::error::{ApiError, ApiResult};
use crate::extract::{check_size, single_tag};
use onward::internals::clock;
use onward::internals::repo::Branch;
use onward::{Change, Condition, Entry, ObjectPath, PathChange};

/// How long a signed address can be used.
pub const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// What a write asks of the object that is there: the headers If-None-Match and If-Match.
pub fn condition(headers: &HeaderMap) -> ApiResult<Option<Condition>> {
    let tag = |name| single_tag(headers, name);
    match (tag(&header::IF_NONE_MATCH)?, tag(&header::IF_MATCH)?) {
        (None, None) => Ok(None),
        (Some("*"), None) => Ok(Some(Condition::Absent)),
        (None, Some(tag)) if tag != "*" => {
            Ok(Some(Condition::Checksum(tag.trim_matches('"').to_owned())))
        }
        _ => Err(ApiError::invalid(
            "a write takes one condition: If-None-Match: *, or If-Match with one ETag",
        )),
    }
}

/// Now, in seconds since the Unix epoch.
pub fn now() -> i64 {
    clock::now_ms().div_euclid(1000)
}

/// Stages an entry by its address. One in this deployment's storage must have been given out for
/// this path; anything else is taken as it is.
///
/// Like lakeFS, this does not ask that anything was uploaded: tools stage what they write later.
pub async fn link(
    branch: &Branch,
    path: &ObjectPath,
    entry: Entry,
    condition: Option<Condition>,
) -> ApiResult<Entry> {
    if entry.address.is_empty() || entry.checksum.is_empty() {
        return Err(ApiError::invalid("an object has a physical address and a checksum"));
    }
    let put = Change::Put(entry.clone());
    check_size(&put)?;
    if let Some(size) = branch.check_upload_address(path, &entry.address).await?
        && size != entry.size
    {
        return Err(ApiError::invalid(format!(
            "{size} bytes were uploaded to the address, and {} are said to be there: link it with what it has",
            entry.size
        )));
    }
    let staged = branch.stage(&[PathChange { path: path.clone(), change: put, condition }]).await;
    staged.map_err(|error| ApiError::from(error).conflict_is_precondition())?;
    Ok(entry)
}
