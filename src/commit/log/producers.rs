//! Rows of producers as Redis has them. One that is damaged there is taken from the log, so that it holds
//! up nobody, and is put right by the next op that is decided for its producer.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::lake::Lake;
use crate::commit::op::verdict::ProducerRow;
use crate::model::error::{ErrorKind, Result};
use crate::model::ids::{BranchUid, Ticket};

/// Reads the rows that Redis has of producers when `done` tickets are decided.
pub async fn read_rows(
    lake: &Lake,
    uid: BranchUid,
    done: u64,
    rows: BTreeMap<String, Bytes>,
) -> Result<BTreeMap<String, ProducerRow>> {
    let mut read = BTreeMap::new();
    let mut damaged = BTreeSet::new();
    for (name, row) in rows {
        match ProducerRow::decode(&row) {
            Ok(row) => drop(read.insert(name, row)),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!(%error, producer = name, branch = %uid, "taking its row from the log");
                damaged.insert(name);
            }
            Err(error) => return Err(error),
        }
    }
    if !damaged.is_empty() {
        read.extend(Box::pin(newest_rows(lake, uid, done, damaged)).await?);
    }
    Ok(read)
}

/// The newest row of each producer in the first `done` tickets of the log, which is read from there back
/// until all are found.
async fn newest_rows(
    lake: &Lake,
    uid: BranchUid,
    done: u64,
    mut wanted: BTreeSet<String>,
) -> Result<BTreeMap<String, ProducerRow>> {
    let mut found = BTreeMap::new();
    let firsts = lake.log_tickets(uid, Ticket(0)).await?;
    for first in firsts.into_iter().rev().filter(|first| first.0 <= done) {
        if wanted.is_empty() {
            break;
        }
        let entry = lake.known_entry(uid, first).await?;
        wanted.retain(|name| match entry.producers.get(name) {
            Some(row) => {
                found.insert(name.clone(), row.clone());
                false
            }
            None => !entry.forgotten.contains(name),
        });
    }
    Ok(found)
}
