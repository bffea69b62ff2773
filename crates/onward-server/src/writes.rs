//! What writes of objects have in common: their conditions, and how an address is staged.

use std::time::Duration;

use http::StatusCode;

use super::conditions::{Conditions, ETag};
use super::error::{ApiError, ApiResult};
use onward::internals::clock;
use onward::internals::repo::Branch;
use onward::internals::repo::change_set::check_size;
use onward::{Change, Condition, Entry, Error, ErrorKind, ObjectPath, PathChange};

/// How long a signed address can be used.
pub const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// How often a write on a condition is judged anew when the object is written meanwhile.
pub const ATTEMPTS: usize = 16;

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
    conditions: &Conditions,
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
    stage(branch, path, put, conditions).await?;
    Ok(entry)
}

/// Stages a change of a path on the conditions of the request: none of them can come to be wrong in
/// between.
pub async fn stage(
    branch: &Branch,
    path: &ObjectPath,
    change: Change,
    conditions: &Conditions,
) -> ApiResult<()> {
    if conditions.is_none() {
        let change = PathChange { path: path.clone(), change, condition: None };
        return Ok(branch.stage(&[change]).await?);
    }
    let judged = |there: Option<&Entry>| {
        require(conditions, path, there)?;
        Ok(change.clone())
    };
    stage_judged(branch, path, judged).await
}

/// Stages what was uploaded, on conditions; where it certainly is not, the bytes go again.
pub async fn keep(
    branch: &Branch,
    path: &ObjectPath,
    entry: &Entry,
    conditions: &Conditions,
) -> ApiResult<()> {
    match stage(branch, path, Change::Put(entry.clone()), conditions).await {
        Ok(()) => Ok(()),
        Err(error) => Err(withdrawn(branch, entry, error).await),
    }
}

/// What is told of an upload that did not get its name: where that is certain, its bytes go again.
pub async fn withdrawn(branch: &Branch, entry: &Entry, error: ApiError) -> ApiError {
    if !is_certain(&error) {
        return error;
    }
    let is_refused = error.status() == StatusCode::BAD_REQUEST;
    let is_left_behind = is_refused && branch.is_left_behind(&entry.address).await.unwrap_or(false);
    branch.withdraw(entry).await;
    if is_left_behind { made_again() } else { error }
}

/// The bytes lie where nothing is kept any more, and the client has them still.
fn made_again() -> ApiError {
    ApiError::from(Error::unavailable(
        "the repository was deleted and made again meanwhile, and nothing was kept: upload again",
    ))
}

/// Whether an error says for certain that nothing was staged.
fn is_certain(error: &ApiError) -> bool {
    use StatusCode as S;
    matches!(
        error.status(),
        S::BAD_REQUEST | S::FORBIDDEN | S::NOT_FOUND | S::CONFLICT | S::PRECONDITION_FAILED
    )
}

/// Fails with 412 where the conditions do not hold of what a path names.
pub fn require(conditions: &Conditions, path: &ObjectPath, there: Option<&Entry>) -> ApiResult<()> {
    let etag = there.map(|entry| ETag::of_checksum(&entry.checksum));
    conditions.require(&format!("'{path}'"), etag.as_ref())
}

/// Stages what `judge` makes of what a path names, where it still names that: else it is judged anew.
pub async fn stage_judged(
    branch: &Branch,
    path: &ObjectPath,
    judge: impl Fn(Option<&Entry>) -> ApiResult<Change>,
) -> ApiResult<()> {
    for _ in 0..ATTEMPTS {
        let there = branch.stat(path).await?;
        let change = judge(there.as_ref())?;
        let change = PathChange { path: path.clone(), change, condition: Some(unchanged(there)) };
        match branch.stage(&[change]).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            staged => return Ok(staged?),
        }
    }
    Err(overtaken())
}

/// That a path still names what it named.
pub fn unchanged(there: Option<Entry>) -> Condition {
    there.map_or(Condition::Absent, |entry| Condition::Checksum(entry.checksum))
}

/// What is told where a write was judged anew as often as that is done.
pub fn overtaken() -> ApiError {
    ApiError::from(Error::unavailable(
        "the object was written again and again meanwhile, and nothing was done: try again",
    ))
}
