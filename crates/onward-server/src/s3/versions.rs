//! Versions of objects: each has one, which is called `null`, as in a bucket of S3 that keeps none. What an object was
//! before is at the commits that have it, which are refs.

use s3s::dto::{
    ETag, ListObjectVersionsInput, ListObjectVersionsOutput, ObjectVersion,
    ObjectVersionStorageClass,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::buckets::owner;
use super::gateway::Gateway;
use super::listing::{Writing, amount, common_prefixes, given};
use super::objects::{modified, tag_of};
use super::page::{Asked, page};
use onward::Entry;

/// The one version that objects have.
const NULL: &str = "null";

/// Fails where a request asks for another version than the one that there is.
pub fn required(version_id: Option<&str>) -> S3Result<()> {
    match version_id {
        None | Some(NULL) => Ok(()),
        Some(_) => {
            Err(s3_error!(NoSuchVersion, "objects have no versions here: name a commit as the ref"))
        }
    }
}

/// The one version of each object. A key that is marked was listed with its version.
pub async fn list(
    gateway: &Gateway,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = request.input;
    let marker = given(input.key_marker.clone());
    if marker.is_none() && given(input.version_id_marker.clone()).is_some() {
        return Err(s3_error!(
            InvalidArgument,
            "a version is marked behind its key: send key-marker"
        ));
    }
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let amount = amount(input.max_keys, "max-keys")?;
    let asked = Asked {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: given(input.delimiter.clone()),
        after: marker,
        amount,
    };
    let page = page(&gateway.app.onward.repo(input.bucket.as_str()), &asked).await?;
    let version = |(key, entry): &(String, Entry)| ObjectVersion {
        key: Some(writing.write(key)),
        version_id: Some(NULL.to_owned()),
        is_latest: Some(true),
        e_tag: Some(ETag::Strong(tag_of(entry))),
        last_modified: modified(entry),
        size: i64::try_from(entry.size).ok(),
        storage_class: Some(ObjectVersionStorageClass::from_static(
            ObjectVersionStorageClass::STANDARD,
        )),
        owner: Some(owner()),
        ..ObjectVersion::default()
    };
    Ok(S3Response::new(ListObjectVersionsOutput {
        versions: Some(page.objects.iter().map(version).collect()),
        common_prefixes: Some(common_prefixes(&page, writing)),
        is_truncated: Some(page.next.is_some()),
        next_version_id_marker: page.next.as_ref().map(|_| NULL.to_owned()),
        next_key_marker: page.next.map(|next| writing.write(next)),
        name: Some(input.bucket),
        prefix: Some(writing.write(&asked.prefix)),
        delimiter: asked.delimiter.map(|delimiter| writing.write(delimiter)),
        key_marker: Some(writing.write(input.key_marker.unwrap_or_default())),
        version_id_marker: input.version_id_marker,
        max_keys: i32::try_from(amount).ok(),
        encoding_type: writing.shown(),
        ..ListObjectVersionsOutput::default()
    }))
}
