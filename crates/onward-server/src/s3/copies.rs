//! CopyObject: a link within a repository, which moves no bytes; between repositories the bytes are copied.

use http::{HeaderMap, HeaderName, header};
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, MetadataDirective,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::Attributes;
use super::error::told;
use super::gateway::Gateway;
use super::names::{Named, named};
use super::objects::{find, modified, tag_of};
use super::putting::{check_now, write_conditions};
use super::unoffered::refuse_unoffered;
use super::written::Pen;
use crate::conditions::{self, Conditions};
use crate::content::open;
use crate::received::{until_stopped, write};
use crate::writes::now;
use onward::{Change, Entry};

/// What stands before the name of a condition that is about the source of a copy.
const SOURCE_PREFIX: &str = "x-amz-copy-source-";

/// The object that a copy is made of.
pub async fn source(
    gateway: &Gateway,
    source: &CopySource,
    headers: &HeaderMap,
) -> S3Result<(Named, Entry)> {
    let (bucket, key) = match source {
        CopySource::Bucket { bucket, key, version_id: None } => (bucket, key),
        CopySource::Bucket { bucket, key, version_id: Some(id) } if &**id == "null" => {
            (bucket, key)
        }
        CopySource::Bucket { .. } => {
            return Err(s3_error!(
                NoSuchVersion,
                "objects have no versions here: name a commit as the ref"
            ));
        }
        _ => return Err(s3_error!(NotImplemented, "a copy is made of BUCKET/KEY")),
    };
    let named = named(&gateway.app, bucket, key)?;
    let entry = find(&named).await?;
    let etag = conditions::ETag::of_checksum(&entry.checksum);
    let conditions = source_conditions(headers)?;
    match conditions.is_wanted(&etag, entry.mtime).map_err(told)? {
        true => Ok((named, entry)),
        false => Err(s3_error!(PreconditionFailed, "the source is what the request does not want")),
    }
}

/// Conditions about the source, as if they were those of a read of it.
fn source_conditions(headers: &HeaderMap) -> S3Result<Conditions> {
    let names = [
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
    ];
    let mut of_source = HeaderMap::new();
    for name in names {
        let Ok(from) = HeaderName::try_from(format!("{SOURCE_PREFIX}{name}")) else { continue };
        for value in headers.get_all(from) {
            of_source.append(name.clone(), value.clone());
        }
    }
    Conditions::of(&of_source).map_err(told)
}

/// Copies an object.
pub async fn copy(
    gateway: &Gateway,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let S3Request { input, headers, extensions, .. } = request;
    refuse_unoffered(&headers)?;
    let to = named(&gateway.app, &input.bucket, &input.key)?;
    let branch = to.branch().await?;
    let (from, entry) = source(gateway, &input.copy_source, &headers).await?;
    let conditions = write_conditions(&headers)?;
    let replaced = match input.metadata_directive.as_ref().map(MetadataDirective::as_str) {
        Some(MetadataDirective::REPLACE) => Some(Attributes::of(&headers, input.metadata)?),
        _ => None,
    };
    to.path()?;
    check_now(&branch, &to, &conditions).await?;
    let is_link = from.path.is_some() && from.bucket == to.bucket;
    let copied = match is_link {
        true => entry.clone(),
        false => moved(gateway, &from, &entry, &to).await?,
    };
    let kept = Entry {
        mtime: now(),
        metadata: entry.metadata,
        content_type: entry.content_type,
        ..copied
    };
    let kept = match replaced {
        Some(attributes) => attributes.with_sums_of(&kept).put_on(kept),
        None => kept,
    };
    let pen = Pen::new(&branch, &extensions);
    match is_link {
        true => pen.change(to.path()?, Change::Put(kept.clone()), &conditions).await?,
        false => pen.store(to.path()?, &kept, &conditions).await?,
    }
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(CopyObjectResult {
            e_tag: Some(ETag::Strong(tag_of(&kept))),
            last_modified: modified(&kept),
            ..CopyObjectResult::default()
        }),
        ..CopyObjectOutput::default()
    }))
}

/// The bytes of an object, written into another repository.
async fn moved(gateway: &Gateway, from: &Named, entry: &Entry, to: &Named) -> S3Result<Entry> {
    let (branch, path) = (to.repo.branch(to.reference.as_str()), to.path.clone());
    if from.path.is_none() {
        let nothing = futures::stream::empty::<std::io::Result<bytes::Bytes>>();
        return write(branch, path, nothing).await.map_err(told);
    }
    let _place = gateway.place(Some(entry.size)).await?;
    let streamed = open(&gateway.app, &from.repo, entry, None).await.map_err(told)?;
    write(branch, path, until_stopped(&gateway.app, streamed.chunks)).await.map_err(told)
}
