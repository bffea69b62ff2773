//! Uploads in parts: begun, given up, listed.

use std::time::{Duration, UNIX_EPOCH};

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CommonPrefix, CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, Initiator,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput,
    MultipartUpload, Part as ListedPart, Timestamp,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::Attributes;
use super::buckets::owner;
use super::error::{told, within};
use super::gateway::Gateway;
use super::listing::{Writing, amount};
use super::names::{Named, SLASH, named};
use super::summing::Summing;
use super::unoffered::refuse_unoffered;
use onward::internals::clock;
use onward::internals::model::name::BranchName;
use onward::internals::repo::multipart::{Done, Upload};

/// What says how many items a page has.
const PAGE: &str = "the length of a page";

/// An upload that is under way.
pub struct UnderWay {
    /// Where its object will be.
    pub named: Named,
    /// The id that its client was given.
    pub id: u128,
    /// What is known of it.
    pub upload: Upload,
    /// How its parts are summed.
    pub summing: Option<Summing>,
}

/// The upload that a request names by key and id.
pub async fn under_way(
    gateway: &Gateway,
    bucket: &str,
    key: &str,
    upload_id: &str,
) -> S3Result<UnderWay> {
    let (named, id) = (named(&gateway.app, bucket, key)?, id_of(upload_id)?);
    let upload = within(&named.repo, named.repo.upload(id)).await?;
    let is_of_key = |upload: &Upload| {
        upload.branch.as_str() == named.reference && Some(&upload.path) == named.path.as_ref()
    };
    let upload = upload.filter(is_of_key).ok_or_else(no_upload)?;
    let summing = upload.checksum.as_deref().and_then(Summing::parse);
    Ok(UnderWay { named, id, upload, summing })
}

/// 404, of an upload that was completed or given up, or is too old.
pub fn no_upload() -> s3s::S3Error {
    s3_error!(
        NoSuchUpload,
        "there is no such upload: it was completed or given up, or began more than a day ago"
    )
}

/// The id that clients were given.
pub fn id_of(upload_id: &str) -> S3Result<u128> {
    let is_id = upload_id.len() == 32 && upload_id.bytes().all(|b| b.is_ascii_hexdigit());
    u128::from_str_radix(upload_id, 16).ok().filter(|_| is_id).ok_or_else(no_upload)
}

fn shown_id(id: u128) -> String {
    format!("{id:032x}")
}

fn at(ms: i64) -> Option<Timestamp> {
    Some(Timestamp::from(UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).ok()?)))
}

/// Begins an upload.
pub async fn create(
    gateway: &Gateway,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let S3Request { input, headers, .. } = request;
    refuse_unoffered(&headers)?;
    let named = named(&gateway.app, &input.bucket, &input.key)?;
    named.branch().await?;
    let path = named.path()?.clone();
    let summing = Summing::of(
        input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str),
        input.checksum_type.as_ref().map(ChecksumType::as_str),
    )?;
    let attributes = Attributes::of(&headers, input.metadata)?;
    let (content_type, metadata) = attributes.into_parts();
    let branch = BranchName::new(named.reference.as_str()).map_err(told)?;
    let upload = Upload {
        branch,
        path,
        content_type,
        metadata,
        checksum: summing.map(Summing::written),
        created_ms: clock::now_ms(),
    };
    let id = within(&named.repo, named.repo.begin_upload(&upload)).await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(shown_id(id)),
        checksum_algorithm: summing.map(Summing::algorithm_shown),
        checksum_type: summing.map(Summing::kind_shown),
        ..CreateMultipartUploadOutput::default()
    }))
}

/// Gives an upload up: its parts go. A completion that has made its object before is not held up by this.
pub async fn abort(
    gateway: &Gateway,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    let UnderWay { named, id, upload, .. } =
        under_way(gateway, &input.bucket, &input.key, &input.upload_id).await?;
    let given_up = Done { branch: upload.branch, path: upload.path, entry: None, is_stored: false };
    let ending = async {
        let ended = named.repo.finish_upload(id, &given_up).await?;
        let kept = ended.entry.as_ref().map(|entry| entry.address.as_str());
        if ended.is_stored || has_name(&named, kept).await? {
            return Ok(false);
        }
        // What it became may be on its way to its name, and stays.
        named.repo.end_upload(id, kept).await.map(|()| true)
    };
    match within(&named.repo, ending).await? {
        true => Ok(S3Response::new(AbortMultipartUploadOutput::default())),
        false => Err(no_upload()),
    }
}

/// Whether what an upload became has its name.
async fn has_name(named: &Named, address: Option<&str>) -> onward::Result<bool> {
    let (Some(address), Some(path)) = (address, &named.path) else { return Ok(false) };
    let there = named.repo.branch(named.reference.as_str()).stat(path).await?;
    Ok(there.is_some_and(|there| there.address == address))
}

/// The parts of an upload.
pub async fn list_parts(
    gateway: &Gateway,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let UnderWay { named, id, summing, .. } =
        under_way(gateway, &input.bucket, &input.key, &input.upload_id).await?;
    let amount = amount(input.max_parts, PAGE)?;
    let after = u16::try_from(input.part_number_marker.unwrap_or_default()).unwrap_or(u16::MAX);
    let read = async {
        let mut numbers = named.repo.part_numbers(id).await?;
        numbers.retain(|number| *number > after);
        let is_truncated = numbers.len() > amount;
        numbers.truncate(amount);
        Ok::<_, onward::Error>((named.repo.parts(id, &numbers).await?, is_truncated))
    };
    let (parts, is_truncated) = within(&named.repo, read).await?;
    let last = parts.keys().last().map(|number| i32::from(*number));
    let shown = parts.into_iter().map(|(number, part)| {
        let sums = summing.zip(part.sum).map(|(summing, sum)| summing.algorithm.alone(sum));
        let sums = sums.unwrap_or_default();
        ListedPart {
            part_number: Some(i32::from(number)),
            e_tag: Some(ETag::Strong(part.md5)),
            size: i64::try_from(part.size).ok(),
            last_modified: at(part.written_ms),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
        }
    });
    let who = owner();
    Ok(S3Response::new(ListPartsOutput {
        parts: Some(shown.collect()),
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        is_truncated: Some(is_truncated),
        max_parts: i32::try_from(amount).ok(),
        part_number_marker: input.part_number_marker,
        next_part_number_marker: last.filter(|_| is_truncated),
        initiator: Some(Initiator { display_name: who.display_name.clone(), id: who.id.clone() }),
        owner: Some(who),
        checksum_algorithm: summing.map(Summing::algorithm_shown),
        checksum_type: summing.map(Summing::kind_shown),
        ..ListPartsOutput::default()
    }))
}

/// What comes in a listing of uploads.
struct Item {
    key: String,
    /// None of a common prefix.
    upload: Option<(u128, Upload)>,
}

/// The uploads that are under way.
pub async fn list_uploads(
    gateway: &Gateway,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let amount = amount(input.max_uploads, PAGE)?;
    let repo = gateway.app.onward.repo(input.bucket.as_str());
    let uploads = within(&repo, repo.uploads()).await?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().filter(|delimiter| !delimiter.is_empty());
    let mut items = items(uploads, &prefix, delimiter.as_deref());
    if let Some(marker) = input.key_marker.as_deref().filter(|marker| !marker.is_empty()) {
        let of_marker = input.upload_id_marker.as_deref().unwrap_or_default();
        items.retain(|item| is_behind(item, marker, of_marker));
    }
    let is_truncated = items.len() > amount;
    items.truncate(amount);
    let last = items.last().filter(|_| is_truncated);
    let next_key_marker = last.map(|item| writing.write(&item.key));
    let next_upload_id_marker =
        last.and_then(|item| item.upload.as_ref().map(|(id, _)| shown_id(*id)));
    let (mut uploads, mut common_prefixes) = (Vec::new(), Vec::new());
    for Item { key, upload } in items {
        let key = writing.write(key);
        match upload {
            None => common_prefixes.push(CommonPrefix { prefix: Some(key) }),
            Some((id, upload)) => uploads.push(MultipartUpload {
                key: Some(key),
                upload_id: Some(shown_id(id)),
                initiated: at(upload.created_ms),
                owner: Some(owner()),
                ..MultipartUpload::default()
            }),
        }
    }
    Ok(S3Response::new(ListMultipartUploadsOutput {
        uploads: Some(uploads),
        common_prefixes: Some(common_prefixes),
        bucket: Some(input.bucket),
        prefix: Some(writing.write(prefix)),
        delimiter: delimiter.map(|delimiter| writing.write(delimiter)),
        key_marker: input.key_marker.map(|marker| writing.write(marker)),
        upload_id_marker: input.upload_id_marker,
        next_key_marker,
        next_upload_id_marker,
        max_uploads: i32::try_from(amount).ok(),
        is_truncated: Some(is_truncated),
        encoding_type: writing.shown(),
        ..ListMultipartUploadsOutput::default()
    }))
}

/// Uploads and common prefixes in the order of keys, and those of one key in the order of their ids.
fn items(uploads: Vec<(u128, Upload)>, prefix: &str, delimiter: Option<&str>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for (id, upload) in uploads {
        let key = format!("{}{SLASH}{}", upload.branch, upload.path);
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let end = delimiter.and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()));
        match end.and_then(|end| rest.get(..end)) {
            Some(common) => items.push(Item { key: format!("{prefix}{common}"), upload: None }),
            None => items.push(Item { key, upload: Some((id, upload)) }),
        }
    }
    items.sort_by(|a, b| {
        let id = |item: &Item| item.upload.as_ref().map(|(id, _)| *id);
        a.key.cmp(&b.key).then_with(|| id(a).cmp(&id(b)))
    });
    items.dedup_by(|a, b| a.upload.is_none() && b.upload.is_none() && a.key == b.key);
    items
}

fn is_behind(item: &Item, marker: &str, id_marker: &str) -> bool {
    if item.key != marker {
        return item.key.as_str() > marker;
    }
    // Without an id all uploads of the marked key were listed before.
    let id = item.upload.as_ref().map(|(id, _)| shown_id(*id));
    !id_marker.is_empty() && id.is_some_and(|id| id.as_str() > id_marker)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(path: &str) -> Upload {
        Upload {
            branch: BranchName::new("main").unwrap(),
            path: path.parse().unwrap(),
            content_type: None,
            metadata: Default::default(),
            checksum: None,
            created_ms: 0,
        }
    }

    #[test]
    fn uploads_are_listed_like_objects_and_continued_behind_key_and_id() {
        let all =
            || vec![(2, upload("a/x")), (1, upload("a/x")), (3, upload("a/y")), (4, upload("b"))];
        let keys = |items: &[Item]| {
            items
                .iter()
                .map(|item| (item.key.clone(), item.upload.as_ref().map(|u| u.0)))
                .collect::<Vec<_>>()
        };
        let key = |text: &str| text.to_owned();
        let flat = items(all(), "main/", None);
        let expected = [("main/a/x", 1), ("main/a/x", 2), ("main/a/y", 3), ("main/b", 4)];
        assert_eq!(keys(&flat), expected.map(|(name, id)| (key(name), Some(id))));
        let folded = items(all(), "main/", Some("/"));
        assert_eq!(keys(&folded), [(key("main/a/"), None), (key("main/b"), Some(4))]);
        let behind = |marker: &str, id: &str| {
            let rest: Vec<Item> = flat
                .iter()
                .filter(|item| is_behind(item, marker, id))
                .map(|item| Item { key: item.key.clone(), upload: item.upload.clone() })
                .collect();
            rest.len()
        };
        assert_eq!(behind("main/a/x", ""), 2);
        assert_eq!(behind("main/a/x", &shown_id(1)), 3);
        assert_eq!(behind("main/a/x", &shown_id(2)), 2);
        assert_eq!(behind("main/b", ""), 0);
    }

    #[test]
    fn only_what_was_given_out_is_an_id() {
        assert_eq!(id_of(&shown_id(7)).unwrap(), 7);
        for bad in [
            "",
            "7",
            "../../etc",
            &"g".repeat(32),
            &"0".repeat(33),
            &format!("+{}", "0".repeat(31)),
        ] {
            assert!(id_of(bad).is_err(), "{bad}");
        }
    }
}
