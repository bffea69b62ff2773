//! Metadata as it lies in the warehouse: read once, validated, kept for those who ask again.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use onward::internals::model::error::quoted;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use serde_json::{Map, Value};

use super::entry::{Lost, Pointer};
use super::error::{CatalogError, Kind, Result};
use super::packed::{pack, unpack};
use super::warehouse::Warehouse;
use crate::table::{METADATA_BYTES_MAX, Metadata};

/// What PyIceberg deletes old metadata by, which tags and history of a branch still name.
const DELETES_METADATA: &str = "write.metadata.delete-after-commit.enabled";

/// Metadata kept in memory, in bytes of its files; parsed it takes several times as much.
const KEPT_BYTES: u64 = 12 << 20;
/// How many pieces of metadata are expected to be kept.
const KEPT_ITEMS: usize = 1024;

/// A table as one version of its metadata has it.
#[derive(Debug)]
pub struct Loaded {
    /// Where the metadata is.
    pub pointer: Pointer,
    /// What it says.
    pub metadata: Metadata,
    /// What a client is told of it, all snapshots with it.
    told: Bytes,
}

/// Which snapshots of a table are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Snapshots {
    /// All of them.
    #[default]
    All,
    /// Those that branches and tags name.
    Refs,
}

impl Loaded {
    /// New metadata that is to lie at `location`, and the bytes of its file.
    pub(super) fn new(location: String, metadata: Metadata) -> Result<(Self, Bytes)> {
        let (told, bytes) = tell(Some(&location), |out| metadata.write(out));
        if bytes.len() > METADATA_BYTES_MAX {
            return Err(CatalogError::invalid(format!(
                "the metadata of this table would have {} bytes, the limit is {METADATA_BYTES_MAX}: expire snapshots",
                bytes.len()
            )));
        }
        let bytes = pack(&location, &bytes);
        Ok((Self::of(location, metadata, &bytes, told), bytes))
    }

    fn of(location: String, metadata: Metadata, bytes: &[u8], told: Bytes) -> Self {
        let told = match deletes_metadata(&metadata) {
            true => tell(Some(&location), |out| out.extend(serve(metadata.json().clone()))).0,
            false => told,
        };
        let pointer = Pointer {
            location,
            checksum: blake3::hash(bytes).to_hex().to_string(),
            size: bytes.len() as u64,
            uuid: metadata.uuid().to_owned(),
            mtime: metadata.last_updated_ms().div_euclid(1000),
            lost: Lost::Unknown,
        };
        Self { pointer, metadata, told }
    }

    /// Reads and validates a file of metadata, whoever wrote it.
    pub(super) async fn read(warehouse: &Warehouse, location: &str) -> Result<Self> {
        let missing = || {
            CatalogError::new(
                Kind::NotFound,
                format!("there is no metadata at '{}'", quoted(location)),
            )
        };
        let bytes =
            warehouse.get(location, METADATA_BYTES_MAX as u64).await?.ok_or_else(missing)?;
        let plain = unpack(&bytes)?;
        let metadata = Metadata::parse(&plain)?;
        warehouse.check(metadata.location())?;
        let (told, _) = tell(Some(location), |out| out.extend_from_slice(&plain));
        Ok(Self::of(location.to_owned(), metadata, &bytes, told))
    }

    /// What a client is told that loads the table, or has changed it.
    pub fn told(&self, snapshots: Snapshots) -> Bytes {
        match snapshots {
            Snapshots::All => self.told.clone(),
            Snapshots::Refs => {
                let of_refs = || serve(self.metadata.json_of_refs());
                tell(Some(&self.pointer.location), |out| out.extend(of_refs())).0
            }
        }
    }

    /// What a client is told that loads the table, and how it is to reach the files, in pieces. The first of them is
    /// shared with all who are told.
    pub fn told_with(&self, snapshots: Snapshots, access: &Access) -> [Bytes; 2] {
        access.told(self.told(snapshots))
    }

    /// What tells this answer from others.
    pub fn e_tag(&self, snapshots: Snapshots) -> String {
        match snapshots {
            Snapshots::All => self.pointer.checksum.clone(),
            Snapshots::Refs => format!("{}-refs", self.pointer.checksum),
        }
    }
}

/// How a client that has nothing of its own is to reach the files of a table: parts of what it is told of that.
#[derive(Clone, Default)]
pub struct Access {
    /// Settings of the client.
    pub config: Map<String, Value>,
    /// Credentials by locations; none where nothing is given.
    pub credentials: Option<Value>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// What is told of a table that ends with an empty `config`, with this in its place, in two pieces: what is told
    /// to all is in memory once.
    fn told(&self, plain: Bytes) -> [Bytes; 2] {
        if self.config.is_empty() && self.credentials.is_none() {
            return [plain, Bytes::new()];
        }
        let of_table = plain.strip_suffix(NO_CONFIG).map_or(plain.len(), <[u8]>::len);
        let mut told = Vec::new();
        let mut add = |name: &str, value: &Value| {
            told.extend_from_slice(format!(r#","{name}":{value}"#).as_bytes());
        };
        add("config", &Value::Object(self.config.clone()));
        if let Some(credentials) = &self.credentials {
            add("storage-credentials", credentials);
        }
        told.push(b'}');
        [plain.slice(..of_table), told.into()]
    }
}

/// How what is told of a table ends.
const NO_CONFIG: &[u8] = br#","config":{}}"#;

/// What a client is told of metadata at a location, and the part of it that is the metadata: one piece of memory for
/// the file, and for all who are told.
fn tell(location: Option<&str>, write: impl FnOnce(&mut Vec<u8>)) -> (Bytes, Bytes) {
    let mut told =
        format!(r#"{{"metadata-location":{},"metadata":"#, Value::from(location)).into_bytes();
    let from = told.len();
    write(&mut told);
    let to = told.len();
    told.extend_from_slice(NO_CONFIG);
    let told = Bytes::from(told);
    let metadata = told.slice(from..to);
    (told, metadata)
}

/// A table that a commit is to make.
#[derive(Debug)]
pub struct Staged(pub(super) Metadata);

impl Staged {
    /// What it says.
    pub fn metadata(&self) -> &Metadata {
        &self.0
    }

    /// What a client is told of it, in pieces.
    pub fn told_with(&self, access: &Access) -> [Bytes; 2] {
        access.told(tell(None, |out| self.0.write(out)).0)
    }
}

fn deletes_metadata(metadata: &Metadata) -> bool {
    metadata.property(DELETES_METADATA).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The bytes of metadata with nothing in it that makes a client delete what history names.
fn serve(mut metadata: Value) -> Vec<u8> {
    if let Some(Value::Object(properties)) = metadata.get_mut("properties")
        && let Some(deletes) = properties.get_mut(DELETES_METADATA)
    {
        *deletes = Value::from("false");
    }
    metadata.to_string().into_bytes()
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<String, Arc<Loaded>> for ByBytes {
    fn weight(&self, _: &String, loaded: &Arc<Loaded>) -> u64 {
        loaded.told.len().max(1) as u64
    }
}

/// Tables that were read or written lately, by the location of their metadata.
pub(super) struct Kept(Cache<String, Arc<Loaded>, ByBytes>);

impl Default for Kept {
    fn default() -> Self {
        // One shard: of several each would take files of its part of the bytes only.
        let mut options = OptionsBuilder::new();
        options.shards(1).estimated_items_capacity(KEPT_ITEMS).weight_capacity(KEPT_BYTES);
        Self(match options.build() {
            Ok(options) => Cache::with_options(
                options,
                ByBytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            Err(_) => Cache::with_weighter(KEPT_ITEMS, KEPT_BYTES, ByBytes),
        })
    }
}

impl Kept {
    /// The table that an entry of a branch points to.
    pub(super) async fn load(
        &self,
        warehouse: &Warehouse,
        pointer: &Pointer,
    ) -> Result<Arc<Loaded>> {
        if let Some(kept) = self.0.get(&pointer.location)
            && kept.pointer.checksum == pointer.checksum
            && kept.pointer.lost == pointer.lost
        {
            return Ok(kept);
        }
        let mut loaded = Loaded::read(warehouse, &pointer.location).await.map_err(|error| match error.kind {
            Kind::Unavailable => error,
            _ => CatalogError::new(Kind::Internal, format!("the table's metadata is damaged: {error}; an earlier commit of the branch may have it whole")),
        })?;
        if loaded.pointer.checksum != pointer.checksum {
            return Err(CatalogError::new(
                Kind::Internal,
                format!(
                    "'{}' is not what was committed: its checksum is another; an earlier commit of the branch may be whole",
                    pointer.location
                ),
            ));
        }
        loaded.pointer.lost.clone_from(&pointer.lost);
        let loaded = Arc::new(loaded);
        self.keep(&loaded);
        Ok(loaded)
    }

    /// Keeps a table.
    pub(super) fn keep(&self, loaded: &Arc<Loaded>) {
        self.0.insert(loaded.pointer.location.clone(), Arc::clone(loaded));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_told_to_all_is_in_memory_once_and_what_is_for_one_stands_behind_it() {
        let (plain, _) = tell(Some("s3://b/t/1.json"), |out| out.extend_from_slice(b"{}"));
        let [all, none] = Access::default().told(plain.clone());
        assert_eq!((all.as_ptr(), all.len(), none.len()), (plain.as_ptr(), plain.len(), 0));
        let config = Map::from_iter([("k".to_owned(), Value::from("v"))]);
        let credentials = Some(json!([{"prefix": "s3://b/t/"}]));
        let [all, own] = Access { config, credentials }.told(plain.clone());
        assert_eq!(all.as_ptr(), plain.as_ptr());
        let told: Value = serde_json::from_slice(&[all, own].concat()).unwrap();
        assert_eq!(
            told,
            json!({
                "metadata-location": "s3://b/t/1.json", "metadata": {},
                "config": {"k": "v"}, "storage-credentials": [{"prefix": "s3://b/t/"}],
            })
        );
    }
}
