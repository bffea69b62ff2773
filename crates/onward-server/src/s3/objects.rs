//! Reading objects: GET and HEAD, all of one or a part, on conditions.

use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body as Bytes;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE};
use http::{HeaderMap, HeaderName};
use s3s::dto::{
    Checksum, ChecksumType, ETag, GetObjectAttributesInput, GetObjectAttributesOutput,
    GetObjectAttributesParts, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    ObjectAttributes, StorageClass, StreamingBlob, Timestamp,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::{self, expires, kept, metadata};
use super::checksums::Algorithm;
use super::error::{not_modified, told, within};
use super::gateway::Gateway;
use super::names::{Named, named};
use crate::conditions::{self, Conditions};
use crate::content::{Wanted, behind_the_end, open, wanted};
use onward::Entry;
use onward::internals::model::error::quoted;

/// The type of an object of which nobody has said one, as in S3.
const CONTENT_TYPE_DEFAULT: &str = "binary/octet-stream";

/// The type of what is no object but the folder of a ref.
const FOLDER_TYPE: &str = "application/x-directory";

/// What can be asked of an object alone.
const ATTRIBUTES: [&str; 5] = [
    ObjectAttributes::CHECKSUM,
    ObjectAttributes::ETAG,
    ObjectAttributes::OBJECT_PARTS,
    ObjectAttributes::OBJECT_SIZE,
    ObjectAttributes::STORAGE_CLASS,
];

/// The MD5 of nothing.
pub const MD5_OF_NOTHING: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// What says how checksums of several parts were put together.
pub const CHECKSUM_TYPE: &str = "checksum-type";

const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// The ETag of an object, without quotes.
pub fn tag_of(entry: &Entry) -> String {
    entry.checksum.trim_matches('"').to_owned()
}

/// When an object was written.
pub fn modified(entry: &Entry) -> Option<Timestamp> {
    let seconds = u64::try_from(entry.mtime).ok()?;
    Some(Timestamp::from(UNIX_EPOCH + Duration::from_secs(seconds)))
}

/// The object that a key names. The folder of a ref, as clients ask for it that know folders, is there and
/// empty.
pub async fn find(named: &Named) -> S3Result<Entry> {
    let reference = named.reference()?;
    let Some(path) = &named.path else {
        within(&named.repo, named.repo.commit_of(&reference)).await?;
        let content_type = Some(FOLDER_TYPE.to_owned());
        return Ok(Entry { content_type, ..Entry::new("", 0, MD5_OF_NOTHING) });
    };
    within(&named.repo, named.repo.stat(&reference, path)).await
}

/// The checksums that are known of an object.
pub fn sums_of(entry: &Entry) -> Checksum {
    let own = |name: &str| attributes::own(entry, name);
    let known = Algorithm::ALL
        .into_iter()
        .find_map(|algorithm| Some(algorithm.alone(own(&algorithm.key())?.to_owned())));
    let Some(mut sums) = known else { return Checksum::default() };
    let kind = own(CHECKSUM_TYPE).unwrap_or(ChecksumType::FULL_OBJECT);
    sums.checksum_type = Some(ChecksumType::from(kind.to_owned()));
    sums
}

/// What both answers say of an object.
macro_rules! described {
    ($output:ident, $entry:expr, $headers:expr, $is_whole:expr) => {{
        let entry: &Entry = $entry;
        let asks = $headers
            .get(&CHECKSUM_MODE)
            .is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"enabled"));
        let sums = if asks && $is_whole { sums_of(entry) } else { Checksum::default() };
        let content_type = entry.content_type.clone();
        $output {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: kept(entry, &CACHE_CONTROL),
            content_disposition: kept(entry, &CONTENT_DISPOSITION),
            content_encoding: kept(entry, &CONTENT_ENCODING),
            content_language: kept(entry, &CONTENT_LANGUAGE),
            content_type: Some(content_type.unwrap_or_else(|| CONTENT_TYPE_DEFAULT.to_owned())),
            e_tag: Some(ETag::Strong(tag_of(entry))),
            expires: expires(entry),
            last_modified: modified(entry),
            metadata: metadata(entry),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            ..$output::default()
        }
    }};
}

/// An object that is read, and which part of it.
struct Read {
    named: Named,
    entry: Entry,
    part: Option<std::ops::Range<u64>>,
}

impl Read {
    async fn new(
        gateway: &Gateway,
        (bucket, key): (&str, &str),
        headers: &HeaderMap,
        part_number: Option<i32>,
    ) -> S3Result<Self> {
        let named = named(&gateway.app, bucket, key)?;
        let entry = find(&named).await?;
        let etag = conditions::ETag::of_checksum(&entry.checksum);
        let conditions = Conditions::of(headers).map_err(told)?;
        if !conditions.is_wanted(&etag, entry.mtime).map_err(told)? {
            return Err(not_modified(&etag.quoted()));
        }
        // An object is one piece here, however it was uploaded.
        let is_part = match part_number {
            None => false,
            Some(1) => entry.size > 0,
            Some(_) => return Err(s3_error!(InvalidRange, "the object has one part")),
        };
        let part = match wanted(headers, &etag, entry.size).map_err(told)? {
            None => is_part.then_some(0..entry.size),
            Some(Wanted::Part(part)) => Some(part),
            Some(Wanted::Nothing) => return Err(told(behind_the_end(entry.size))),
        };
        Ok(Self { named, entry, part })
    }

    fn len(&self) -> Option<i64> {
        let len = self.part.as_ref().map_or(self.entry.size, |part| part.end - part.start);
        i64::try_from(len).ok()
    }

    fn content_range(&self) -> Option<String> {
        let part = self.part.as_ref()?;
        Some(format!("bytes {}-{}/{}", part.start, part.end.saturating_sub(1), self.entry.size))
    }
}

/// GET of an object, or of a part of it.
pub async fn get(
    gateway: &Gateway,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let S3Request { input, headers, .. } = request;
    let read = Read::new(gateway, (&input.bucket, &input.key), &headers, input.part_number).await?;
    let body = match &read.named.path {
        None => Bytes::empty(),
        Some(_) => {
            let part = read.part.clone();
            let opened = open(&gateway.app, &read.named.repo, &read.entry, part).await;
            Bytes::from_stream(opened.map_err(told)?.chunks)
        }
    };
    let is_whole = read.part.is_none();
    Ok(S3Response::new(GetObjectOutput {
        body: Some(StreamingBlob::from(s3s::Body::http_body_unsync(body))),
        content_length: read.len(),
        content_range: read.content_range(),
        ..described!(GetObjectOutput, &read.entry, headers, is_whole)
    }))
}

/// HEAD: what GET would say, without the bytes.
pub async fn head(
    gateway: &Gateway,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let S3Request { input, headers, .. } = request;
    let read = Read::new(gateway, (&input.bucket, &input.key), &headers, input.part_number).await?;
    let is_whole = read.part.is_none();
    Ok(S3Response::new(HeadObjectOutput {
        content_length: read.len(),
        content_range: read.content_range(),
        ..described!(HeadObjectOutput, &read.entry, headers, is_whole)
    }))
}

/// What an object is, as far as the request asks for it. Of one that was uploaded in parts, how many they were; the parts
/// are one piece since.
pub async fn attributes(
    gateway: &Gateway,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = request.input;
    let entry = find(&named(&gateway.app, &input.bucket, &input.key)?).await?;
    // s3s takes a list in one header for one name.
    let lists = input.object_attributes.iter().map(ObjectAttributes::as_str);
    let asked: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
    if let Some(unknown) = asked.iter().find(|name| !ATTRIBUTES.contains(name)) {
        return Err(s3_error!(InvalidArgument, "there is no attribute '{}'", quoted(unknown)));
    }
    let asks = |name: &str| asked.contains(&name);
    let parts = parts_of(&tag_of(&entry));
    let sums = sums_of(&entry);
    let has_sums = sums.checksum_type.is_some();
    Ok(S3Response::new(GetObjectAttributesOutput {
        checksum: (has_sums && asks(ObjectAttributes::CHECKSUM)).then_some(sums),
        e_tag: asks(ObjectAttributes::ETAG).then(|| ETag::Strong(tag_of(&entry))),
        last_modified: modified(&entry),
        object_parts: parts.filter(|_| asks(ObjectAttributes::OBJECT_PARTS)).map(|parts| {
            GetObjectAttributesParts { total_parts_count: Some(parts), ..Default::default() }
        }),
        object_size: asks(ObjectAttributes::OBJECT_SIZE)
            .then(|| i64::try_from(entry.size).ok())
            .flatten(),
        storage_class: asks(ObjectAttributes::STORAGE_CLASS)
            .then(|| StorageClass::from_static(StorageClass::STANDARD)),
        ..GetObjectAttributesOutput::default()
    }))
}

/// Of how many parts an object was, by what S3 makes the ETag of: an MD5, and their number.
fn parts_of(tag: &str) -> Option<i32> {
    let (md5, parts) = tag.split_once('-')?;
    let is_md5 = md5.len() == 32 && md5.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.parse().ok().filter(|parts| is_md5 && *parts > 0)
}

/// Fails where there is no such object.
pub async fn require(gateway: &Gateway, bucket: &str, key: &str) -> S3Result<()> {
    find(&named(&gateway.app, bucket, key)?).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_behind_anything_but_an_md5_is_none_of_parts() {
        assert_eq!(parts_of(&format!("{MD5_OF_NOTHING}-12")), Some(12));
        for tag in [MD5_OF_NOTHING, "etl-2026", "d41d8cd9-1", &format!("{MD5_OF_NOTHING}-x"), "-3"]
        {
            assert_eq!(parts_of(tag), None, "{tag}");
        }
    }
}
