//! The small runs inside a log entry, which travel in their canonical bytes.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

use crate::tree::InlineRun;

/// The paths and values of the runs of a log entry, at most, when they are read. Paths share what
/// they begin with, so that few bytes can stand for many; a batch is cut at 64 MiB of changes, and
/// what is folded on top of that is bounded by its number of records.
const RUNS_MAX: usize = 512 * 1024 * 1024;

pub(super) fn serialize<S: Serializer>(
    runs: &[Arc<InlineRun>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let encoded: Vec<ByteBuf> = runs.iter().map(|run| ByteBuf::from(run.encode())).collect();
    encoded.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Arc<InlineRun>>, D::Error> {
    let encoded: Vec<ByteBuf> = Vec::deserialize(deserializer)?;
    let mut runs = Vec::with_capacity(encoded.len());
    let mut held = 0;
    for bytes in encoded {
        let run = InlineRun::decode(&bytes).map_err(D::Error::custom)?;
        held += run.held_bytes();
        if held > RUNS_MAX {
            return Err(D::Error::custom("its runs are over the size limit"));
        }
        runs.push(Arc::new(run));
    }
    Ok(runs)
}
