//! Checksums of bodies: what a client says of what it sends is compared at the end of the body, before
//! anything of it counts. In a header or behind the body (a trailer); s3s reads trailers and believes them.

use std::sync::{Arc, Mutex, PoisonError};

use axum::BoxError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, HeaderName, StatusCode};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::{Checksum, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders, s3_error};
use subtle::ConstantTimeEq;

use super::error::told;
use crate::headers::text;
use crate::integrity;
use crate::received::ended_early;
use onward::internals::objects::{self, Hasher};

const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");
const PAYLOAD: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DECODED_LEN: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const SDK_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-sdk-checksum-algorithm");

/// What stands before the name of an algorithm in a header.
const HEADER_PREFIX: &str = "x-amz-checksum-";

/// A code of S3's that s3s has no name for.
const SHA256_MISMATCH: &str = "XAmzContentSHA256Mismatch";

/// Bytes of one request, at most: 5 GiB, as in S3. More are uploaded in parts.
pub const BODY_LEN_MAX: u64 = 5 << 30;

/// An algorithm of S3's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    /// All that there are.
    pub const ALL: [Self; 5] =
        [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// Its name in lower case, as headers end.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Crc32c => "crc32c",
            Self::Crc64Nvme => "crc64nvme",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// Under what an object keeps it.
    pub fn key(self) -> String {
        format!("checksum-{}", self.suffix())
    }

    /// Its name, as fields have it.
    pub fn name(self) -> String {
        self.suffix().to_ascii_uppercase()
    }

    /// The algorithm of this name, in whatever case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.suffix().eq_ignore_ascii_case(name))
    }

    fn header(self) -> HeaderName {
        HeaderName::from_static(match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        })
    }

    fn of_header(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        Self::named(name.strip_prefix(HEADER_PREFIX)?)
    }

    /// What works it out.
    pub fn hasher(self) -> ChecksumHasher {
        let mut hasher = ChecksumHasher::default();
        match self {
            Self::Crc32 => hasher.crc32 = Some(Crc32::new()),
            Self::Crc32c => hasher.crc32c = Some(Crc32c::new()),
            Self::Crc64Nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Self::Sha1 => hasher.sha1 = Some(Sha1::new()),
            Self::Sha256 => hasher.sha256 = Some(Sha256::new()),
        }
        hasher
    }

    /// Its value among those that there are.
    pub fn of(self, sums: &Checksum) -> Option<String> {
        match self {
            Self::Crc32 => sums.checksum_crc32.clone(),
            Self::Crc32c => sums.checksum_crc32c.clone(),
            Self::Crc64Nvme => sums.checksum_crc64nvme.clone(),
            Self::Sha1 => sums.checksum_sha1.clone(),
            Self::Sha256 => sums.checksum_sha256.clone(),
        }
    }

    /// A set of sums with this one alone.
    pub fn alone(self, value: String) -> Checksum {
        let mut sums = Checksum::default();
        match self {
            Self::Crc32 => sums.checksum_crc32 = Some(value),
            Self::Crc32c => sums.checksum_crc32c = Some(value),
            Self::Crc64Nvme => sums.checksum_crc64nvme = Some(value),
            Self::Sha1 => sums.checksum_sha1 = Some(value),
            Self::Sha256 => sums.checksum_sha256 = Some(value),
        }
        sums
    }
}

/// A checksum, in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    pub algorithm: Algorithm,
    pub value: String,
}

/// What a request says of its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    algorithm: Option<Algorithm>,
    /// In a header; else it follows the body.
    value: Option<String>,
    /// The MD5 of the body, in hex, as `Content-MD5` says it.
    md5: Option<String>,
    /// The bytes of a body that comes in pieces, which s3s does not compare.
    len: Option<u64>,
}

impl Said {
    /// By its headers.
    pub fn of(headers: &HeaderMap) -> S3Result<Self> {
        let md5 = integrity::expected(headers).map_err(|error| {
            S3Error::with_message(S3ErrorCode::InvalidDigest, error.message().to_owned())
        })?;
        let mut by_header = headers.keys().filter_map(|name| {
            Algorithm::of_header(name.as_str()).map(|algorithm| (name, algorithm))
        });
        let (first, second) = (by_header.next(), by_header.next());
        let trailer = match text(headers, &TRAILER).map_err(told)? {
            None => None,
            Some(name) => Some(Algorithm::of_header(name).ok_or_else(|| {
                s3_error!(
                    InvalidRequest,
                    "the header x-amz-trailer names something else than one checksum"
                )
            })?),
        };
        let len = decoded_len(headers)?;
        let said = match (first, second, trailer) {
            (None, _, trailer) => Self { algorithm: trailer, value: None, md5, len },
            (Some((name, algorithm)), None, None) => {
                let value = text(headers, name).map_err(told)?.map(str::to_owned);
                Self { algorithm: Some(algorithm), value, md5, len }
            }
            _ => {
                return Err(s3_error!(InvalidRequest, "a body has one checksum: send one of them"));
            }
        };
        if headers.contains_key(SDK_ALGORITHM) && said.algorithm.is_none() {
            return Err(s3_error!(
                InvalidRequest,
                "x-amz-sdk-checksum-algorithm is there, and no checksum in a header or trailer"
            ));
        }
        Ok(said)
    }

    /// By the headers of a request whose body is read as it was sent: none that a checksum follows.
    pub fn of_whole(headers: &HeaderMap) -> S3Result<Self> {
        match headers.contains_key(TRAILER) {
            true => Err(s3_error!(NotImplemented, "a body of XML has its checksum in a header")),
            false => Ok(Self { len: None, ..Self::of(headers)? }),
        }
    }
}

/// Whether the body of a request comes in pieces.
pub fn in_pieces(headers: &HeaderMap) -> bool {
    headers.get(&PAYLOAD).is_some_and(|payload| payload.as_bytes().starts_with(b"STREAMING-"))
}

/// How long a body is that comes in pieces, without what cuts it up.
fn decoded_len(headers: &HeaderMap) -> S3Result<Option<u64>> {
    if !in_pieces(headers) {
        return Ok(None);
    }
    let Some(len) = text(headers, &DECODED_LEN).map_err(told)? else { return Ok(None) };
    len.parse().map(Some).map_err(|_| {
        s3_error!(InvalidArgument, "the header x-amz-decoded-content-length is a number of bytes")
    })
}

/// What came of a body.
#[derive(Debug, Default)]
struct State {
    sum: Option<Sum>,
    why: Option<(S3ErrorCode, String)>,
}

/// What comes of a body that is under way.
#[derive(Clone, Default)]
pub struct Outcome(Arc<Mutex<State>>);

impl Outcome {
    /// The checksum that was said and is right, or that was asked for.
    pub fn sum(&self) -> Option<Sum> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sum.clone()
    }

    /// Why the body was not taken, if that was because of itself.
    pub fn refusal(&self) -> Option<S3Error> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (code, message) = state.why.clone()?;
        let mut error = S3Error::with_message(code, message);
        error.set_status_code(error.status_code().unwrap_or(StatusCode::BAD_REQUEST));
        Some(error)
    }

    /// Takes down why the body is not taken, and returns what ends it.
    pub fn refuse(&self, code: S3ErrorCode, message: impl Into<String>) -> BoxError {
        let message = message.into();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.why = Some((code, message.clone()));
        message.into()
    }
}

struct Watch {
    pieces: StreamingBlob,
    trailers: Option<TrailingHeaders>,
    said: Said,
    hasher: ChecksumHasher,
    md5: Option<Hasher>,
    len: u64,
    outcome: Outcome,
    is_over: bool,
}

/// The pieces of a body, with an error in place of its end where it is not what was said of it, and what
/// comes of it.
pub fn watched(
    said: Said,
    pieces: StreamingBlob,
    trailers: Option<TrailingHeaders>,
) -> (impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static, Outcome) {
    let outcome = Outcome::default();
    let watch = Watch {
        hasher: said.algorithm.map(Algorithm::hasher).unwrap_or_default(),
        md5: said.md5.is_some().then(|| Hasher::new(objects::Checksum::Md5)),
        said,
        pieces,
        trailers,
        len: 0,
        outcome: outcome.clone(),
        is_over: false,
    };
    let watched = futures::stream::unfold(watch, |mut watch| async move {
        let piece = watch.next().await?;
        watch.is_over |= piece.is_err();
        Some((piece, watch))
    });
    (watched.fuse(), outcome)
}

impl Watch {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        if self.is_over {
            return None;
        }
        let piece = match self.pieces.next().await {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Some(Err(self.broken(error))),
            None => return self.end().err().map(Err),
        };
        self.len += piece.len() as u64;
        if self.len > BODY_LEN_MAX {
            let why = format!("more than {BODY_LEN_MAX} bytes: upload it in parts");
            return Some(Err(self.outcome.refuse(S3ErrorCode::EntityTooLarge, why)));
        }
        self.hasher.update(&piece);
        if let Some(md5) = &mut self.md5 {
            md5.update(&piece);
        }
        Some(Ok(piece))
    }

    /// Compares what came with what was said.
    fn end(&mut self) -> Result<(), BoxError> {
        self.is_over = true;
        if let Some(said) = self.said.len.filter(|said| *said != self.len) {
            let why = format!(
                "{} bytes came, and x-amz-decoded-content-length says {said}: nothing was done, send it again",
                self.len
            );
            return Err(self.outcome.refuse(S3ErrorCode::IncompleteBody, why));
        }
        let wrong = |what: &str| {
            let message = format!(
                "the body does not have the {what} that was said: nothing was done, send it again"
            );
            self.outcome.refuse(S3ErrorCode::BadDigest, message)
        };
        if let (Some(md5), Some(said)) = (self.md5.take(), &self.said.md5)
            && md5.finish() != *said
        {
            return Err(wrong("MD5"));
        }
        let Some(algorithm) = self.said.algorithm else { return Ok(()) };
        let value = algorithm.of(&std::mem::take(&mut self.hasher).finalize()).unwrap_or_default();
        let header = algorithm.header();
        let trailer = || {
            let read = |trailers: &HeaderMap| text(trailers, &header).ok()?.map(str::to_owned);
            self.trailers.as_ref().and_then(|trailers| trailers.read(read)).flatten()
        };
        let said = self.said.value.clone().or_else(trailer);
        let Some(said) = said else {
            let why = format!("the trailer {header} was announced and did not come");
            return Err(self.outcome.refuse(S3ErrorCode::IncompleteBody, why));
        };
        if !is_same(&said, &value) {
            return Err(wrong(&algorithm.name()));
        }
        let mut state = self.outcome.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.sum = Some(Sum { algorithm, value });
        Ok(())
    }

    /// A body that is not what its signature says, or ends otherwise than it said.
    fn broken(&self, error: BoxError) -> BoxError {
        if ended_early(error.as_ref()).is_some() {
            return error;
        }
        // s3s does not name the types of these.
        let told = error.to_string();
        let (code, why) = match told {
            _ if told.contains("SignatureMismatch") => {
                (S3ErrorCode::SignatureDoesNotMatch, "a piece of the body has another signature")
            }
            _ if told.contains("Sha256Mismatch") => (
                S3ErrorCode::Custom(SHA256_MISMATCH.into()),
                "the body does not have the SHA256 that x-amz-content-sha256 says",
            ),
            _ => (S3ErrorCode::IncompleteBody, "the body broke off, or is not as long as was said"),
        };
        self.outcome.refuse(code, why)
    }
}

/// Whether two checksums in base64 are the same bytes.
pub fn is_same(said: &str, value: &str) -> bool {
    let bytes = |text: &str| STANDARD.decode(text.trim()).ok();
    match (bytes(said), bytes(value)) {
        (Some(said), Some(value)) => said.ct_eq(&value).into(),
        _ => false,
    }
}
