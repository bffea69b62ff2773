//! CompleteMultipartUpload: parts become one object, once.

use s3s::dto::{
    Checksum, ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CompletedPart, ETag,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use tracing::Instrument;

use super::attributes::Attributes;
use super::checksums::is_same;
use super::error::{told, within};
use super::gateway::{Gateway, UploadPlace};
use super::names::{Named, named};
use super::objects::{CHECKSUM_TYPE, sums_of, tag_of};
use super::parted::{UnderWay, id_of, no_upload, under_way};
use super::putting::{check_now, seen, write_conditions};
use super::summing::given_sum;
use super::written::Pen;
use crate::conditions::{self as tags, Conditions};
use crate::writes::{ATTEMPTS, now, overtaken, require};
use onward::internals::objects::{self, Hasher};
use onward::internals::repo::Branch;
use onward::internals::repo::multipart::{Done, PARTS_MAX, Part};
use onward::{Change, Entry};

/// The shortest part that is not the last one, in bytes, as in S3.
const PART_LEN_MIN: u64 = 5 << 20;

/// Bytes from which on bringing parts together may take longer than clients wait for an answer: they are
/// sent blanks meanwhile, behind a 200, as by S3.
const LONG_LEN: u64 = 1 << 30;

/// Completes an upload. Who asks once more is told what it became.
pub async fn complete(
    gateway: &Gateway,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let S3Request { input, headers, extensions, .. } = request;
    let conditions = write_conditions(&headers)?;
    let to = named(&gateway.app, &input.bucket, &input.key)?;
    let id = id_of(&input.upload_id)?;
    if let Some(done) = done_before(&to, id).await? {
        let branch = to.branch().await?;
        let pen = Pen::new(&branch, &extensions);
        let entry = Naming { to: &to, id, pen: &pen, conditions: &conditions }.finish(done).await?;
        return Ok(S3Response::new(answer(input, &entry)));
    }
    let at = under_way(gateway, &input.bucket, &input.key, &input.upload_id).await?;
    let branch = at.named.branch().await?;
    check_now(&branch, &at.named, &conditions).await?;
    let wanted = input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref());
    let parts = chosen(&at, wanted.unwrap_or_default()).await?;
    if input.mpu_object_size.is_some_and(|said| u64::try_from(said) != Ok(len_of(&parts))) {
        return Err(s3_error!(
            InvalidRequest,
            "the parts do not have the size that is said of all of them"
        ));
    }
    let is_long = len_of(&parts) > LONG_LEN;
    // A part that is alone is not written again.
    let written = if parts.len() > 1 { len_of(&parts) } else { 0 };
    let place = gateway.place(Some(written)).await?;
    let pen = Pen::new(&branch, &extensions);
    let finishing = Completion { at, parts, input, branch, pen, conditions, place }.finish();
    if !is_long {
        return finishing.await.map(S3Response::new);
    }
    // The client hears that it goes on, and at the end what came of it; it ends without him, too.
    let finishing = tokio::spawn(finishing.in_current_span());
    let future = async { finishing.await.unwrap_or_else(|_| Err(s3_error!(InternalError))) };
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        future: Some(Box::pin(future)),
        ..CompleteMultipartUploadOutput::default()
    }))
}

/// All that completing an upload takes.
struct Completion {
    at: UnderWay,
    parts: Vec<Part>,
    input: CompleteMultipartUploadInput,
    branch: Branch,
    pen: Pen,
    conditions: Conditions,
    place: Option<UploadPlace>,
}

impl Completion {
    async fn finish(self) -> S3Result<CompleteMultipartUploadOutput> {
        let Self { at, parts, input, branch, pen, conditions, place: _place } = self;
        let entry = assembled(&at, &parts, &input).await?;
        let done = Done {
            branch: at.upload.branch.clone(),
            path: at.upload.path.clone(),
            entry: Some(entry.clone()),
            is_stored: false,
        };
        let repo = &at.named.repo;
        let ended = repo.finish_upload(at.id, &done).await.map_err(told)?;
        let is_ours = ended.entry.as_ref().is_some_and(|first| first.address == entry.address);
        if !is_ours && parts.len() > 1 {
            // Somebody else was faster: what he made of it counts.
            branch.withdraw(&entry).await;
        }
        let naming = Naming { to: &at.named, id: at.id, pen: &pen, conditions: &conditions };
        let entry = naming.finish(ended).await?;
        Ok(answer(input, &entry))
    }
}

fn len_of(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.size).sum()
}

async fn done_before(to: &Named, id: u128) -> S3Result<Option<Done>> {
    let done = within(&to.repo, to.repo.upload_done(id)).await?;
    Ok(done.filter(|done| {
        done.branch.as_str() == to.reference && Some(&done.path) == to.path.as_ref()
    }))
}

/// The name of what an upload became.
struct Naming<'a> {
    to: &'a Named,
    id: u128,
    pen: &'a Pen,
    conditions: &'a Conditions,
}

impl Naming<'_> {
    /// Gives the object its name, if it never had it, and returns its entry. Nobody is told that it has
    /// it before that is noted: whatever was written since stays.
    async fn finish(&self, done: Done) -> S3Result<Entry> {
        let Some(entry) = done.entry.clone() else { return Err(no_upload()) };
        let repo = &self.to.repo;
        if !done.is_stored && self.store(&entry).await? {
            repo.upload_stored(self.id, &done).await.map_err(told)?;
        }
        if let Err(error) = repo.end_upload(self.id, Some(&entry.address)).await {
            tracing::warn!(%error, "parts of a completed upload stay until they are garbage");
        }
        Ok(entry)
    }

    /// Gives the path its object, in place of what is seen there before anything else: of several who do
    /// so one does. Returns whether that is not noted yet.
    async fn store(&self, entry: &Entry) -> S3Result<bool> {
        let Self { to, id, pen, conditions } = *self;
        let (branch, path) = (to.repo.branch(to.reference.as_str()), to.path()?);
        for _ in 0..ATTEMPTS {
            let there = seen(&branch, path).await.map_err(told)?;
            if there.as_ref().is_some_and(|there| there.address == entry.address) {
                return Ok(true);
            }
            // Another one may have given it its name since it was looked at, and that may be written over.
            if to.repo.upload_done(id).await.map_err(told)?.is_some_and(|done| done.is_stored) {
                return Ok(false);
            }
            to.repo.upload(id).await.map_err(told)?.ok_or_else(no_upload)?;
            require(conditions, path, there.as_ref()).map_err(told)?;
            let there = there.map(|there| tags::ETag::of_checksum(&there.checksum));
            let unchanged = Conditions::unchanged(there);
            // The bytes stay where the conditions do not hold: whoever asks again may have others.
            match pen.change(path, Change::Put(entry.clone()), &unchanged).await {
                Err(error) if *error.code() == S3ErrorCode::PreconditionFailed => {}
                stored => return stored.map(|()| true),
            }
        }
        Err(told(overtaken()))
    }
}

/// The parts that a client names, as they were uploaded.
async fn chosen(at: &UnderWay, wanted: &[CompletedPart]) -> S3Result<Vec<Part>> {
    if wanted.is_empty() || wanted.len() > usize::from(PARTS_MAX) {
        return Err(s3_error!(MalformedXML, "an upload is completed of 1 to {PARTS_MAX} parts"));
    }
    let number = |part: &CompletedPart| part.part_number.and_then(|n| u16::try_from(n).ok());
    let numbers: Option<Vec<u16>> = wanted.iter().map(number).collect();
    let numbers = numbers.ok_or_else(|| s3_error!(InvalidPart, "a part has no number"))?;
    if !numbers.is_sorted_by(|a, b| a < b) {
        return Err(s3_error!(InvalidPartOrder, "parts are named in the order of their numbers"));
    }
    let repo = &at.named.repo;
    let mut there = within(repo, repo.parts(at.id, &numbers)).await?;
    let mut parts = Vec::with_capacity(wanted.len());
    for (number, said) in numbers.iter().zip(wanted) {
        let part = there.remove(number).filter(|part| is_meant(at, part, said));
        parts.push(part.ok_or_else(|| {
            s3_error!(InvalidPart, "part {number} was not uploaded, or is another one by now")
        })?);
    }
    let all_but_last = parts.split_last().map(|(_, others)| others).unwrap_or_default();
    if all_but_last.iter().any(|part| part.size < PART_LEN_MIN) {
        return Err(s3_error!(
            EntityTooSmall,
            "all parts but the last have {PART_LEN_MIN} bytes at least"
        ));
    }
    Ok(parts)
}

fn is_meant(at: &UnderWay, part: &Part, said: &CompletedPart) -> bool {
    let tag = said.e_tag.as_ref().is_some_and(|tag| tag.value() == part.md5);
    let sums = Checksum {
        checksum_crc32: said.checksum_crc32.clone(),
        checksum_crc32c: said.checksum_crc32c.clone(),
        checksum_crc64nvme: said.checksum_crc64nvme.clone(),
        checksum_sha1: said.checksum_sha1.clone(),
        checksum_sha256: said.checksum_sha256.clone(),
        checksum_type: None,
    };
    let sum = at.summing.and_then(|summing| summing.algorithm.of(&sums)).zip(part.sum.as_ref());
    tag && sum.is_none_or(|(said, there)| is_same(&said, there))
}

/// The object of all parts, with what was said of it when its upload began.
async fn assembled(
    at: &UnderWay,
    parts: &[Part],
    input: &CompleteMultipartUploadInput,
) -> S3Result<Entry> {
    let sums: Option<Vec<(&str, u64)>> =
        parts.iter().map(|part| Some((part.sum.as_deref()?, part.size))).collect();
    let sum = at.summing.zip(sums).and_then(|(summing, sums)| summing.of_parts(&sums));
    let said = given_sum(input);
    if let Some((algorithm, said)) = said {
        let kind = input.checksum_type.as_ref().map(ChecksumType::as_str);
        let known =
            at.summing.zip(sum.as_ref()).filter(|(summing, _)| summing.algorithm == algorithm);
        let is_right = known.is_some_and(|(summing, sum)| {
            kind.is_none_or(|kind| kind == summing.kind()) && is_same_sum(&said, sum)
        });
        if !is_right {
            return Err(s3_error!(
                BadDigest,
                "the object does not have the checksum that is said of it"
            ));
        }
    }
    let entry = within(&at.named.repo, at.named.repo.assemble(parts)).await?;
    let mut attributes =
        Attributes::from_parts(at.upload.content_type.clone(), at.upload.metadata.clone());
    if let Some((summing, sum)) = at.summing.zip(sum) {
        attributes.own(&summing.algorithm.key(), sum);
        attributes.own(CHECKSUM_TYPE, summing.kind().to_owned());
    }
    Ok(attributes.put_on(Entry { checksum: tag_of_parts(parts), mtime: now(), ..entry }))
}

/// Composite sums have the number of parts behind them.
fn is_same_sum(said: &str, sum: &str) -> bool {
    let split = |text: &str| match text.split_once('-') {
        Some((sum, parts)) => (sum.to_owned(), Some(parts.to_owned())),
        None => (text.to_owned(), None),
    };
    let ((said, said_parts), (sum, parts)) = (split(said), split(sum));
    is_same(&said, &sum) && (said_parts.is_none() || said_parts == parts)
}

/// The ETag of an object of parts, as in S3: the MD5 of their MD5s, and how many they are.
fn tag_of_parts(parts: &[Part]) -> String {
    let mut all = Hasher::new(objects::Checksum::Md5);
    for part in parts {
        let pairs = part.md5.as_bytes().chunks(2);
        for pair in pairs {
            let byte =
                std::str::from_utf8(pair).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
            // A sidecar that sums with BLAKE3 has other checksums: any text tells versions apart.
            match byte {
                Some(byte) => all.update(&[byte]),
                None => all.update(pair),
            }
        }
    }
    format!("{}-{}", all.finish(), parts.len())
}

fn answer(input: CompleteMultipartUploadInput, entry: &Entry) -> CompleteMultipartUploadOutput {
    let sums = sums_of(entry);
    CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(tag_of(entry))),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        ..CompleteMultipartUploadOutput::default()
    }
}
