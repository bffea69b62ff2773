//! Reading a log: what entries there are, and one after the other to its end.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use crate::model::error::Result;
use crate::model::ids::{BranchUid, Ticket};
use crate::objects::layout;

use super::entry::LogEntry;
use super::lake::Lake;
use crate::commit::context::BATCH_MAX;

/// Log entries read at the same time, at most.
const READS: usize = 16;

/// Log entries held while a log is read, at most.
const READ_AHEAD: usize = 64;

impl Lake {
    /// First tickets of the log entries of `uid` behind `after`, in order.
    pub async fn log_tickets(&self, uid: BranchUid, after: Ticket) -> Result<Vec<Ticket>> {
        let prefix = layout::log_dir(self.life(), uid);
        let after_key = layout::log_entry(self.life(), uid, after);
        let mut tickets: Vec<Ticket> = self
            .objects()
            .list(&prefix, Some(&after_key))
            .try_filter_map(|listed| async move {
                Ok(layout::parse_log_entry(&listed.key).map(|(_, first)| first))
            })
            .try_collect()
            .await?;
        tickets.sort_unstable();
        tickets.retain(|ticket| *ticket > after);
        Ok(tickets)
    }

    /// The log from the entry at `next` on, in order, to its end. The listing that it starts from
    /// need not be complete: names of entries follow from the entries before them.
    pub async fn log_from(&self, uid: BranchUid, next: Ticket) -> Result<LogTail> {
        let after = Ticket(next.0.saturating_sub(1));
        let listed = match self.objects().lists_in_order() {
            true => self.log_tickets(uid, after).await?,
            // A folder can only be listed whole, however little of it is wanted.
            false => Vec::new(),
        };
        Ok(LogTail { lake: self.clone(), uid, next, listed: listed.into(), ahead: VecDeque::new() })
    }

    /// First ticket of the entry that holds ticket `wanted`, or of one before it that is near; `None`
    /// where the log does not come so far.
    pub async fn near(&self, uid: BranchUid, wanted: Ticket) -> Result<Option<Ticket>> {
        let before = Ticket(wanted.0.saturating_sub(BATCH_MAX as u64 + 1));
        if self.objects().lists_in_order() {
            return Ok(self.log_tickets(uid, before).await?.first().copied());
        }
        for first in (before.0 + 1..=wanted.0).rev().map(Ticket) {
            let key = layout::log_entry(self.life(), uid, first);
            if self.objects().size(&key).await?.is_some() {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// Reads log entries in parallel, in the order given.
    pub async fn entries(&self, uid: BranchUid, firsts: &[Ticket]) -> Result<Vec<Arc<LogEntry>>> {
        futures::stream::iter(firsts.iter().copied())
            .map(|first| self.known_entry(uid, first))
            .buffered(READS)
            .try_collect()
            .await
    }
}

/// A log being read to its end.
#[derive(Debug)]
pub struct LogTail {
    lake: Lake,
    uid: BranchUid,
    next: Ticket,
    listed: VecDeque<Ticket>,
    ahead: VecDeque<Arc<LogEntry>>,
}

impl LogTail {
    /// The next entry; `None` at the end of the log. Fails where an entry is missing in the middle.
    pub async fn next(&mut self) -> Result<Option<Arc<LogEntry>>> {
        if self.ahead.is_empty() {
            let count = self.listed.len().min(READ_AHEAD);
            let firsts: Vec<Ticket> = self.listed.drain(..count).collect();
            self.ahead = self.lake.entries(self.uid, &firsts).await?.into();
        }
        let is_next = self.ahead.front().is_some_and(|entry| entry.first == self.next);
        let read_ahead = if is_next { self.ahead.pop_front() } else { None };
        let entry = match read_ahead {
            Some(entry) => entry,
            None => match self.lake.entry(self.uid, self.next).await? {
                Some(entry) => entry,
                None if self.ahead.is_empty() => return Ok(None),
                None => return Err(self.lake.entries.missing(self.uid, self.next)),
            },
        };
        self.next = entry.last().next();
        Ok(Some(entry))
    }
}
