//! What snapshots bring along, read before it is known what they are put on.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value;

use super::shelf::{all_of, read};
use super::why::NotRebased;
use crate::table::avro::container::PLAIN_BYTES_MAX;
use crate::table::avro::list::{Entry, List};
use crate::table::avro::manifest::Manifest;
use crate::table::json::number;
use crate::table::{AVRO_BYTES_MAX, Commit, TableFiles, Update};

/// Snapshots of a commit that are read ahead.
const AHEAD_MAX: usize = 4;
/// What is read ahead is kept while a commit waits, and so is small.
const SMALL: Limits =
    Limits { file_bytes: 64 << 10, list_bytes: 1 << 20, manifests: 8, manifest_bytes: 16 << 10 };
/// What is read when it is needed.
const LARGE: Limits = Limits {
    file_bytes: AVRO_BYTES_MAX,
    list_bytes: PLAIN_BYTES_MAX,
    manifests: usize::MAX,
    manifest_bytes: PLAIN_BYTES_MAX,
};

/// The most that is read for one snapshot.
struct Limits {
    /// Of one file, as it lies there; of all manifests together.
    file_bytes: u64,
    /// Of the list, when it is not compressed any more.
    list_bytes: usize,
    manifests: usize,
    /// Of a manifest, when it is not compressed any more.
    manifest_bytes: usize,
}

/// The manifests of what a snapshot adds.
#[derive(Debug)]
pub(super) struct Brought {
    /// What its client's list says of each.
    pub entries: Vec<Entry>,
    pub manifests: Vec<Manifest>,
}

/// What the snapshots of a commit bring along, as far as it was read ahead.
#[derive(Debug, Default)]
pub struct Ahead(HashMap<i64, Brought>);

impl Ahead {
    /// Reads the manifests of a commit's appends, so that it does not have to be done while others wait. What is
    /// large, or cannot be read, is left out: it is read when it is needed.
    pub async fn read(commit: &Commit, files: &dyn TableFiles) -> Self {
        let mut read = HashMap::new();
        for update in commit.updates.iter().take(AHEAD_MAX) {
            let Update::AddSnapshot(snapshot) = update else { continue };
            let operation = snapshot.pointer("/summary/operation").and_then(Value::as_str);
            if operation == Some("append")
                && let Some(id) = number(snapshot, "snapshot-id")
                && let Ok(brought) = Brought::within(snapshot, &SMALL, files).await
            {
                read.insert(id, brought);
            }
        }
        Self(read)
    }

    pub(super) fn of(&self, snapshot: &Value) -> Option<&Brought> {
        self.0.get(&number(snapshot, "snapshot-id")?)
    }
}

impl Brought {
    pub(super) async fn read(snapshot: &Value, files: &dyn TableFiles) -> Result<Self, NotRebased> {
        Self::within(snapshot, &LARGE, files).await
    }

    async fn within(
        snapshot: &Value,
        limits: &Limits,
        files: &dyn TableFiles,
    ) -> Result<Self, NotRebased> {
        let id = number(snapshot, "snapshot-id").unwrap_or(-1);
        let list = snapshot.get("manifest-list").and_then(Value::as_str).unwrap_or_default();
        let file = read(files, list, limits.file_bytes).await?;
        let mut entries = List::entries_within(&file, limits.list_bytes)?;
        entries.retain(|entry| entry.snapshot_id == id);
        if entries.len() > limits.manifests {
            return Err(NotRebased::not(format!("more than {} manifests", limits.manifests)));
        }
        let paths = entries.iter().map(|entry| entry.path.as_str());
        let read = paths.map(|path| read(files, path, limits.file_bytes)).collect();
        let read: Vec<Bytes> = all_of(read, limits.file_bytes).await?;
        let read = read.iter().map(|file| Manifest::read_within(file, limits.manifest_bytes));
        let manifests = read.collect::<Result<_, _>>()?;
        Ok(Self { entries, manifests })
    }
}
