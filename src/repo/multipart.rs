//! Uploads in parts: several requests, to any processes, that become one object.
//!
//! An upload is a folder of small records. Its parts are uploaded objects like all others, which nothing
//! names: what a client leaves undone is collected as garbage, when no client can take it up any more.
//! Completing it brings the parts together in one object, giving it up leaves none: which of both it is,
//! and which object, is created if absent ([`Done`]), so that all who end one upload have one end of it.
//! That the object has got its name is noted there, before anybody is told so: it gets it once.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::handles::Repository;
use super::upload_address::VALID_MINUTES;
use crate::clock;
use crate::commit::log::record::{decode, encode};
use crate::model::entry::Entry;
use crate::model::error::{Error, Result};
use crate::model::name::BranchName;
use crate::model::path::ObjectPath;
use crate::objects::{Created, Objects, UPLOAD_LEN_MAX, layout, lost_part};

/// The most parts of an upload, as in S3.
pub const PARTS_MAX: u16 = 10_000;

/// Uploads in parts that are listed, at most.
pub const UPLOADS_MAX: usize = 10_000;

/// How long an upload can be completed from its beginning on, in milliseconds: what is garbage is older.
const VALID_MS: i64 = VALID_MINUTES * 60_000;

/// Records read, and objects removed, at the same time.
const AT_ONCE: usize = 32;

/// An upload in parts that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The branch that the object is for.
    pub branch: BranchName,
    /// The path that it will have.
    pub path: ObjectPath,
    /// The media type that it will have.
    #[serde(default)]
    pub content_type: Option<String>,
    /// The pairs that it will have.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// How its parts are summed, in the words of whoever began it.
    #[serde(default)]
    pub checksum: Option<String>,
    /// When it began, milliseconds since the Unix epoch.
    pub created_ms: i64,
}

/// A part that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The object that has its bytes: an address in the deployment's storage.
    pub address: String,
    /// Its length in bytes.
    pub size: u64,
    /// The MD5 of its bytes, in hex.
    pub md5: String,
    /// Its checksum of the kind that the upload has.
    #[serde(default)]
    pub sum: Option<String>,
    /// When it was uploaded, milliseconds since the Unix epoch.
    pub written_ms: i64,
}

/// How an upload ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The branch that the object is for.
    pub branch: BranchName,
    /// The path that the upload was begun for.
    pub path: ObjectPath,
    /// The object that its parts became, as it is staged or committed; `None` of one that was given up.
    #[serde(default)]
    pub entry: Option<Entry>,
    /// Whether the object has had its name: whatever the path names since then is newer.
    #[serde(default)]
    pub is_stored: bool,
}

#[doc(hidden)]
impl Repository {
    /// Begins an upload, and returns its id. Costs one write.
    pub async fn begin_upload(&self, upload: &Upload) -> Result<u128> {
        let life = self.life().await?;
        let id = clock::random_u128();
        self.objects().create(&layout::upload(&life, id), encode(upload)?).await?;
        Ok(id)
    }

    /// An upload that is under way and can still be completed. Costs one read.
    pub async fn upload(&self, id: u128) -> Result<Option<Upload>> {
        let found: Option<Upload> = self.record(&layout::upload(&self.life().await?, id)).await?;
        let oldest = clock::now_ms() - VALID_MS;
        Ok(found.filter(|upload| upload.created_ms > oldest))
    }

    /// Takes down a part, in place of one of the same number. The bytes of that one stay until they are
    /// garbage: a completion that has read its record may have made them the object. Costs a write.
    pub async fn put_part(&self, id: u128, number: u16, part: &Part) -> Result<()> {
        let key = layout::upload_part(&self.life().await?, id, number);
        self.objects().put(&key, encode(part)?).await
    }

    /// Parts by their numbers, those that there are of those that are asked for. Costs a read each.
    pub async fn parts(&self, id: u128, numbers: &[u16]) -> Result<BTreeMap<u16, Part>> {
        let life = &self.life().await?;
        let reads = numbers.iter().map(|&number| async move {
            let part = self.record::<Part>(&layout::upload_part(life, id, number)).await?;
            Ok::<_, Error>(part.map(|part| (number, part)))
        });
        Ok(found(reads.collect()).await?.into_iter().collect())
    }

    /// The numbers of all parts of an upload, in order. Costs a listing of them.
    pub async fn part_numbers(&self, id: u128) -> Result<Vec<u16>> {
        let folder = layout::upload_dir(&self.life().await?, id);
        let mut listing = self.objects().list(&folder, None).take(usize::from(PARTS_MAX) + 2);
        let mut numbers = Vec::new();
        while let Some(found) = listing.try_next().await? {
            numbers.extend(layout::parse_upload_part(&found.key));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Uploads under way, by branch, path and id; of more than [`UPLOADS_MAX`] those of the first ids. Costs a listing and a read
    /// for each.
    pub async fn uploads(&self) -> Result<Vec<(u128, Upload)>> {
        let folder = layout::uploads_dir(&self.life().await?);
        let ids = self.objects().list_dirs(&folder).await?;
        let ids = ids.iter().filter_map(|id| u128::from_str_radix(id, 16).ok()).take(UPLOADS_MAX);
        let reads = ids.map(|id| async move {
            Ok::<_, Error>(self.upload(id).await?.map(|upload| (id, upload)))
        });
        let mut uploads: Vec<(u128, Upload)> = found(reads.collect()).await?;
        uploads.sort_by(|(a, one), (b, other)| {
            (&one.branch, &one.path, a).cmp(&(&other.branch, &other.path, b))
        });
        Ok(uploads)
    }

    /// Brings parts together in one object, in their order, and returns its entry with size and address
    /// alone. A part that is alone is the object, and no byte is moved; else each is once more, by
    /// [`Objects::join`].
    pub async fn assemble(&self, parts: &[Part]) -> Result<Entry> {
        let size = parts.iter().map(|part| part.size).sum();
        if size > UPLOAD_LEN_MAX {
            return Err(Error::invalid(format!(
                "the parts have {size} bytes together, the limit is {UPLOAD_LEN_MAX}"
            )));
        }
        if let [part] = parts {
            return Ok(Entry::new(part.address.clone(), size, ""));
        }
        let objects = self.objects().clone();
        let mut keys = Vec::with_capacity(parts.len());
        for part in parts {
            let key = objects.key_of(&part.address).ok_or_else(|| lost_part(&part.address))?;
            keys.push((key.to_owned(), part.size));
        }
        let key = layout::data(&self.life().await?, clock::random_u128());
        objects.join(&keys, &key).await?;
        Ok(Entry::new(objects.address(&key), size, ""))
    }

    /// How an upload ended, if it has. Costs one read.
    pub async fn upload_done(&self, id: u128) -> Result<Option<Done>> {
        self.record(&layout::upload_done(&self.life().await?, id)).await
    }

    /// Takes down how an upload ended, and returns that; or how it ended before. The entry is not
    /// staged by this. Costs one write.
    pub async fn finish_upload(&self, id: u128, done: &Done) -> Result<Done> {
        let key = layout::upload_done(&self.life().await?, id);
        match self.objects().create(&key, encode(done)?).await? {
            Created::Written => Ok(done.clone()),
            Created::Found(bytes) => decode(&key, &bytes),
        }
    }

    /// Notes that the object of an upload, which [`Repository::finish_upload`] returned, has its name.
    /// Costs one write.
    pub async fn upload_stored(&self, id: u128, done: &Done) -> Result<()> {
        let key = layout::upload_done(&self.life().await?, id);
        let stored = Done { is_stored: true, ..done.clone() };
        self.objects().put(&key, encode(&stored)?).await
    }

    /// Removes an upload that has ended, and its parts, but for the object `kept` that it became: none
    /// but that can have come of it. Costs a listing, a read of each part and the removals; what is left
    /// by a failure is garbage.
    pub async fn end_upload(&self, id: u128, kept: Option<&str>) -> Result<()> {
        let life = self.life().await?;
        let numbers = self.part_numbers(id).await?;
        self.objects().delete(&layout::upload(&life, id)).await?;
        let parts = self.parts(id, &numbers).await?;
        let objects = self.objects();
        let bytes = parts.values().filter(|part| kept != Some(part.address.as_str()));
        let bytes = bytes.filter_map(|part| objects.key_of(&part.address).map(str::to_owned));
        let records = numbers.iter().map(|&number| layout::upload_part(&life, id, number));
        let keys: Vec<String> = bytes.chain(records).collect();
        objects.delete_many(&keys).await
    }

    fn objects(&self) -> &Objects {
        self.onward.coordinator().objects()
    }

    async fn record<T: for<'a> Deserialize<'a>>(&self, key: &str) -> Result<Option<T>> {
        let Some(bytes) = self.objects().get(key).await? else { return Ok(None) };
        decode(key, &bytes).map(Some)
    }
}

/// What records have that are read some at the same time, in any order; without those that are not there.
async fn found<T>(reads: Vec<impl Future<Output = Result<Option<T>>>>) -> Result<Vec<T>> {
    let reads = futures::stream::iter(reads).buffer_unordered(AT_ONCE);
    reads.try_filter_map(async |found| Ok(found)).try_collect().await
}
