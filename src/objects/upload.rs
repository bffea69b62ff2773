//! Uploads of any size in bounded memory: one write if it is small, parts otherwise, and nothing
//! left visible if it fails.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::{JoinHandle, JoinSet};

use super::backend::{MultipartUpload, PutPayload, UploadPart};
use super::failure::Call;
use super::store::Objects;
use super::{key, open};
use crate::model::error::{Error, Result};

/// Size of a part in bytes: all parts but the last are equal, as some stores demand.
const PART_LEN: usize = 16 << 20;

/// The same where nothing limits how many parts there are, and none of them is a request.
const LOCAL_PART_LEN: usize = 1 << 20;

/// Parts on their way at once; with the one being read, three are in memory.
const PARTS_IN_FLIGHT_MAX: usize = 2;

/// What a part begins with: most uploads are small.
const SMALL_LEN: usize = 64 << 10;

/// The most parts an upload to S3 has.
const PARTS_MAX: u64 = 10_000;

/// The largest upload, in bytes (156 GiB).
pub const UPLOAD_LEN_MAX: u64 = PART_LEN as u64 * PARTS_MAX;

/// The checksum that an upload is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Checksum {
    /// 32 lower-case hex digits, as clients of lakeFS compare it. It goes one byte after the other: some
    /// 500 MB/s, whatever else is fast.
    #[default]
    Md5,
    /// `blake3:` and 64 lower-case hex digits; several times as fast.
    Blake3,
}

/// A finished upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Size in bytes.
    pub size: u64,
    /// Checksum of the content.
    pub checksum: String,
}

/// Works out a [`Checksum`] piece by piece.
#[derive(Debug)]
pub struct Hasher(Algorithm);

#[derive(Debug)]
enum Algorithm {
    Md5(Md5),
    Blake3(Box<blake3::Hasher>),
    Nothing,
}

impl Hasher {
    /// Of nothing yet.
    pub fn new(checksum: Checksum) -> Self {
        Self(match checksum {
            Checksum::Md5 => Algorithm::Md5(Md5::new()),
            Checksum::Blake3 => Algorithm::Blake3(Box::default()),
        })
    }

    /// Of no checksum at all.
    pub(super) fn of_nothing() -> Self {
        Self(Algorithm::Nothing)
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Algorithm::Md5(hasher) => hasher.update(bytes),
            Algorithm::Blake3(hasher) => drop(hasher.update(bytes)),
            Algorithm::Nothing => {}
        }
    }

    /// The checksum, as entries have it.
    pub fn finish(self) -> String {
        match self.0 {
            Algorithm::Md5(hasher) => {
                hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
            }
            Algorithm::Blake3(hasher) => format!("blake3:{}", hasher.finalize().to_hex()),
            Algorithm::Nothing => String::new(),
        }
    }
}

/// Size and checksum of what has been read so far. Large parts are gone through on a thread of their
/// own, while the next one is read.
struct Tally {
    size: u64,
    hashing: Hashing,
}

enum Hashing {
    Done(Hasher),
    Running(JoinHandle<Hasher>),
}

impl Hashing {
    async fn done(self) -> Result<Hasher> {
        match self {
            Self::Done(hasher) => Ok(hasher),
            Self::Running(running) => running.await.map_err(|error| {
                Error::internal("a checksum was not worked out").with_source(error)
            }),
        }
    }
}

impl Tally {
    fn new(hasher: Hasher) -> Self {
        Self { size: 0, hashing: Hashing::Done(hasher) }
    }

    async fn add(mut self, bytes: &Bytes) -> Result<Self> {
        self.size += bytes.len() as u64;
        let mut hasher = self.hashing.done().await?;
        self.hashing = match bytes.len() > SMALL_LEN {
            true => {
                let bytes = bytes.clone();
                Hashing::Running(tokio::task::spawn_blocking(move || {
                    hasher.update(&bytes);
                    hasher
                }))
            }
            false => {
                hasher.update(bytes);
                Hashing::Done(hasher)
            }
        };
        Ok(self)
    }

    async fn finish(self) -> Result<Uploaded> {
        Ok(Uploaded { size: self.size, checksum: self.hashing.done().await?.finish() })
    }
}

impl Objects {
    /// Writes all that `reader` gives to `key`, replacing what is there, with at most 48 MiB in
    /// memory, and 3 on local files. The object appears whole or not at all; parts already sent are withdrawn on error.
    /// (If the process dies, parts stay invisible in the store until its rule for incomplete
    /// uploads removes them.) The deadline holds for each part, not for the reader.
    pub async fn upload(
        &self,
        key: &str,
        reader: impl AsyncRead + Send,
        checksum: Checksum,
    ) -> Result<Uploaded> {
        self.upload_hashed(key, reader, Hasher::new(checksum)).await
    }

    pub(super) async fn upload_hashed(
        &self,
        key: &str,
        reader: impl AsyncRead + Send,
        hasher: Hasher,
    ) -> Result<Uploaded> {
        let path = key::object(key)?;
        let call = self.named("upload", key);
        let mut reader = std::pin::pin!(reader);
        let first = self.read_part(call, reader.as_mut()).await?;
        let tally = Tally::new(hasher).add(&first).await?;
        if first.len() < self.part_len() {
            self.put(key, first).await?;
            return tally.finish().await;
        }
        self.check_root(call).await?;
        let begin = self.store.put_multipart_opts(&path, Default::default());
        let mut upload = self.within(call, begin).await.map_err(|t| t.into_error(call))?;
        let sent = self.send_parts(call, upload.as_mut(), first, reader, tally).await;
        let done = match sent {
            Ok(uploaded) => self
                .within(call, upload.complete())
                .await
                .map(|_| uploaded)
                .map_err(|trouble| trouble.into_error(call)),
            Err(error) => Err(error),
        };
        if done.is_err()
            && let Err(trouble) = self.within(call, upload.abort()).await
        {
            tracing::warn!(key, error = %trouble.into_error(call), "parts of a failed upload stay");
        }
        done
    }

    async fn send_parts(
        &self,
        call: Call<'_>,
        upload: &mut dyn MultipartUpload,
        first: Bytes,
        mut reader: Pin<&mut (impl AsyncRead + Send)>,
        mut tally: Tally,
    ) -> Result<Uploaded> {
        // Tasks of their own, so that parts travel while a slow reader is waited for; dropped with
        // the set.
        let mut in_flight = JoinSet::new();
        let mut part = first;
        while !part.is_empty() {
            if tally.size > UPLOAD_LEN_MAX {
                return Err(Error::invalid(format!(
                    "{call}: it is larger than the limit of {UPLOAD_LEN_MAX} bytes"
                )));
            }
            if in_flight.len() == PARTS_IN_FLIGHT_MAX {
                finish_one(call, &mut in_flight).await?;
            }
            self.meter.put(part.len());
            let sending: UploadPart = upload.put_part(PutPayload::from(part));
            let (objects, key) = (self.clone(), call.key.to_owned());
            in_flight.spawn(async move {
                let call = objects.named("upload a part of", &key);
                objects.within(call, sending).await.map_err(|trouble| trouble.into_error(call))
            });
            part = self.read_part(call, reader.as_mut()).await?;
            tally = tally.add(&part).await?;
        }
        while !in_flight.is_empty() {
            finish_one(call, &mut in_flight).await?;
        }
        tally.finish().await
    }

    fn part_len(&self) -> usize {
        match open::is_elsewhere(self.url()) {
            true => PART_LEN,
            false => LOCAL_PART_LEN,
        }
    }

    /// A full part, or what is left of the input.
    async fn read_part(
        &self,
        call: Call<'_>,
        mut reader: Pin<&mut (impl AsyncRead + Send)>,
    ) -> Result<Bytes> {
        let full = self.part_len();
        let mut part = BytesMut::with_capacity(SMALL_LEN);
        while part.len() < full {
            if part.len() == part.capacity() {
                part.reserve(full - part.len());
            }
            let room = (full - part.len()) as u64;
            let read = reader.as_mut().take(room).read_buf(&mut part).await.map_err(|error| {
                Error::invalid(format!("{call}: the input broke off; send it again"))
                    .with_source(error)
            })?;
            if read == 0 {
                break;
            }
        }
        Ok(part.freeze())
    }
}

async fn finish_one(call: Call<'_>, in_flight: &mut JoinSet<Result<()>>) -> Result<()> {
    match in_flight.join_next().await {
        None => Ok(()),
        Some(Ok(sent)) => sent,
        Some(Err(error)) => {
            Err(Error::internal(format!("{call}: a part's task ended early")).with_source(error))
        }
    }
}
