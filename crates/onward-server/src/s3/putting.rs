//! PUT: the bytes first, compared with what was said of them, then the name, on its conditions.

use http::HeaderMap;
use s3s::dto::{ChecksumType, ETag, PutObjectInput, PutObjectOutput, StreamingBlob};
use s3s::{S3Request, S3Response, S3Result, TrailingHeaders, s3_error};

use super::attributes::Attributes;
use super::checksums::{BODY_LEN_MAX, Said, Sum, watched};
use super::error::{told, told_of};
use super::gateway::Gateway;
use super::names::{Named, named};
use super::objects::tag_of;
use super::unoffered::refuse_unoffered;
use super::written::Pen;
use crate::conditions::{Conditions, ETag as ETagOf};
use crate::received::{until_stopped, write};
use crate::writes::require;
use onward::internals::repo::Branch;
use onward::internals::repo::write_policy::Written;
use onward::{Entry, ObjectPath};

/// A body of a request, with what its headers and trailers say of it.
pub struct Sent<'a> {
    pub headers: &'a HeaderMap,
    pub body: Option<StreamingBlob>,
    pub trailers: Option<TrailingHeaders>,
    pub len: Option<i64>,
}

/// PUT of an object, or of the folder of a branch, which is there already.
pub async fn put(
    gateway: &Gateway,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let S3Request { input, headers, extensions, trailing_headers, .. } = request;
    refuse_unoffered(&headers)?;
    let named = named(&gateway.app, &input.bucket, &input.key)?;
    let branch = named.branch().await?;
    let sent = Sent {
        headers: &headers,
        body: input.body,
        trailers: trailing_headers,
        len: input.content_length,
    };
    let conditions = write_conditions(&headers)?;
    if named.path.is_none() {
        check_folder(&named, &conditions)?;
        return folder(sent).await;
    }
    let attributes = Attributes::of(&headers, input.metadata)?;
    check_now(&branch, &named, &conditions).await?;
    let (entry, sum) = receive(gateway, &branch, named.path()?, sent).await?;
    let entry = finished(entry, attributes, sum.as_ref());
    Pen::new(&branch, &extensions).store(named.path()?, &entry, &conditions).await?;
    let sums = sum.map(|sum| sum.algorithm.alone(sum.value)).unwrap_or_default();
    let is_summed = sums != s3s::dto::Checksum::default();
    Ok(S3Response::new(PutObjectOutput {
        e_tag: Some(ETag::Strong(tag_of(&entry))),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: is_summed.then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        ..PutObjectOutput::default()
    }))
}

/// What a write is to find: by ETags, which alone tell versions apart.
pub fn write_conditions(headers: &HeaderMap) -> S3Result<Conditions> {
    for dated in [http::header::IF_MODIFIED_SINCE, http::header::IF_UNMODIFIED_SINCE] {
        if headers.contains_key(&dated) {
            return Err(s3_error!(
                NotImplemented,
                "a write has no conditions by dates: use If-Match or If-None-Match"
            ));
        }
    }
    Conditions::of(headers).map_err(told)
}

/// A client must not send much to hear that its conditions did not hold even before.
pub async fn check_now(branch: &Branch, named: &Named, conditions: &Conditions) -> S3Result<()> {
    if conditions.is_none() {
        return Ok(());
    }
    let path = named.path()?;
    let there = seen(branch, path).await.map_err(told)?;
    require(conditions, path, there.as_ref()).map_err(told)
}

/// What the conditions of a write to a path are judged by.
pub async fn seen(branch: &Branch, path: &ObjectPath) -> onward::Result<Option<Entry>> {
    match branch.written(path).await? {
        Written::Staged => branch.stat(path).await,
        Written::Committed => {
            Ok(branch.committed(std::slice::from_ref(path)).await?.pop().flatten())
        }
    }
}

/// Writes a body into the repository of a branch for a path of it, and returns its entry, not staged yet.
pub async fn receive(
    gateway: &Gateway,
    branch: &Branch,
    path: &ObjectPath,
    sent: Sent<'_>,
) -> S3Result<(Entry, Option<Sum>)> {
    let said = Said::of(sent.headers)?;
    let len = sent.len.and_then(|len| u64::try_from(len).ok());
    if len.is_some_and(|len| len > BODY_LEN_MAX) {
        return Err(s3_error!(
            EntityTooLarge,
            "a request has {BODY_LEN_MAX} bytes at most: upload it in parts"
        ));
    }
    let _place = gateway.place(len).await?;
    let body = sent.body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
    let (pieces, outcome) = watched(said, body, sent.trailers);
    let pieces = until_stopped(&gateway.app, Box::pin(pieces));
    match write(branch.clone(), Some(path.clone()), pieces).await {
        Ok(entry) => Ok((entry, outcome.sum())),
        Err(error) => match outcome.refusal() {
            Some(refusal) => Err(refusal),
            None => Err(told_of(branch.repository(), error).await),
        },
    }
}

/// The entry with all that is known of it.
pub fn finished(entry: Entry, mut attributes: Attributes, sum: Option<&Sum>) -> Entry {
    if let Some(sum) = sum {
        attributes.own(&sum.algorithm.key(), sum.value.clone());
    }
    attributes.put_on(entry)
}

/// Fails with 412 where the conditions do not hold of the folder of a branch, which is there and empty.
pub fn check_folder(named: &Named, conditions: &Conditions) -> S3Result<()> {
    let etag = ETagOf::of_checksum(super::objects::MD5_OF_NOTHING);
    conditions.require(&format!("'{}'", named.key()), Some(&etag)).map_err(told)
}

/// Clients that know folders make one before they write into it. That of a branch needs no object.
async fn folder(sent: Sent<'_>) -> S3Result<S3Response<PutObjectOutput>> {
    use futures::StreamExt;
    let (mut pieces, outcome) = match sent.body {
        Some(body) => {
            let (pieces, outcome) = watched(Said::of(sent.headers)?, body, sent.trailers);
            (pieces.boxed(), outcome)
        }
        None => (futures::stream::empty().boxed(), Default::default()),
    };
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) if piece.is_empty() => {}
            Ok(_) => {
                return Err(s3_error!(
                    InvalidArgument,
                    "the key names a branch and no object: write BRANCH/PATH"
                ));
            }
            Err(_) => return Err(outcome.refusal().unwrap_or_else(|| s3_error!(IncompleteBody))),
        }
    }
    let nothing = super::objects::MD5_OF_NOTHING.to_owned();
    Ok(S3Response::new(PutObjectOutput {
        e_tag: Some(ETag::Strong(nothing)),
        ..PutObjectOutput::default()
    }))
}
