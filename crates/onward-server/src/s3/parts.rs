//! Parts of an upload: from a body, or from an object that is there.

use s3s::dto::{
    CopyPartResult, ETag, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::checksums::Sum;
use super::copies::source;
use super::error::{told, within};
use super::gateway::Gateway;
use super::objects::modified;
use super::parted::{UnderWay, under_way};
use super::putting::{Sent, receive};
use super::unoffered::refuse_unoffered;
use crate::content::open;
use crate::received::{until_stopped, write};
use crate::writes::now;
use onward::Entry;
use onward::internals::clock;
use onward::internals::repo::multipart::{PARTS_MAX, Part};

fn number_of(number: i32) -> S3Result<u16> {
    let number = u16::try_from(number).ok().filter(|number| (1..=PARTS_MAX).contains(number));
    number.ok_or_else(|| s3_error!(InvalidArgument, "the number of a part is 1 to {PARTS_MAX}"))
}

/// Uploads a part.
pub async fn upload(
    gateway: &Gateway,
    request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let S3Request { input, headers, trailing_headers, .. } = request;
    refuse_unoffered(&headers)?;
    let number = number_of(input.part_number)?;
    let at = under_way(gateway, &input.bucket, &input.key, &input.upload_id).await?;
    let branch = at.named.repo.branch(at.named.reference.as_str());
    let sent = Sent {
        headers: &headers,
        body: input.body,
        trailers: trailing_headers,
        len: input.content_length,
    };
    let (entry, sum) = receive(gateway, &branch, &at.upload.path, sent).await?;
    let part = keep(&at, number, &entry, sum.clone()).await?;
    let sums = sum.map(|sum| sum.algorithm.alone(sum.value)).unwrap_or_default();
    Ok(S3Response::new(UploadPartOutput {
        e_tag: Some(ETag::Strong(part.md5)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        ..UploadPartOutput::default()
    }))
}

/// Makes a part of an object, or of a range of it.
pub async fn copy(
    gateway: &Gateway,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let S3Request { input, headers, .. } = request;
    refuse_unoffered(&headers)?;
    let number = number_of(input.part_number)?;
    let at = under_way(gateway, &input.bucket, &input.key, &input.upload_id).await?;
    let (from, entry) = source(gateway, &input.copy_source, &headers).await?;
    let range = input.copy_source_range.as_deref().map(|text| range_of(text, entry.size));
    let range = range.transpose()?;
    from.path()?;
    let len = range.as_ref().map_or(entry.size, |range| range.end - range.start);
    let _place = gateway.place(Some(len)).await?;
    let streamed = open(&gateway.app, &from.repo, &entry, range).await.map_err(told)?;
    let branch = at.named.repo.branch(at.named.reference.as_str());
    let written =
        write(branch, Some(at.upload.path.clone()), until_stopped(&gateway.app, streamed.chunks))
            .await
            .map_err(told)?;
    let part = keep(&at, number, &written, None).await?;
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(CopyPartResult {
            e_tag: Some(ETag::Strong(part.md5)),
            last_modified: modified(&Entry { mtime: now(), ..written }),
            ..CopyPartResult::default()
        }),
        ..UploadPartCopyOutput::default()
    }))
}

/// The bytes that `bytes=FIRST-LAST` names, which must be there.
fn range_of(text: &str, size: u64) -> S3Result<std::ops::Range<u64>> {
    let read = || {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last < size).then_some(first..last + 1)
    };
    read().ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "x-amz-copy-source-range is bytes=FIRST-LAST within the {size} bytes of the source"
        )
    })
}

async fn keep(at: &UnderWay, number: u16, entry: &Entry, sum: Option<Sum>) -> S3Result<Part> {
    let wanted = at.summing.map(|summing| summing.algorithm);
    let part = Part {
        address: entry.address.clone(),
        size: entry.size,
        md5: entry.checksum.clone(),
        sum: sum.filter(|sum| Some(sum.algorithm) == wanted).map(|sum| sum.value),
        written_ms: clock::now_ms(),
    };
    within(&at.named.repo, at.named.repo.put_part(at.id, number, &part)).await?;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_a_source_is_whole_and_within_it() {
        assert_eq!(range_of("bytes=0-9", 10).unwrap(), 0..10);
        assert_eq!(range_of("bytes=3-3", 10).unwrap(), 3..4);
        for bad in ["bytes=0-10", "bytes=5-4", "bytes=-5", "bytes=5-", "0-1", ""] {
            assert!(range_of(bad, 10).is_err(), "{bad}");
        }
        assert!(number_of(0).is_err() && number_of(10_001).is_err() && number_of(10_000).is_ok());
    }
}
