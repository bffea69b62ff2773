//! Which server of a cluster has which slot, as last heard.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use crate::coord::attempts::Attempts;

use super::address::Address;
use super::dial::{Dialer, ask};
use super::slots::SlotMap;

/// Who has which slots, as last heard. All links of a cluster share it.
#[derive(Debug)]
pub(super) struct Topology {
    pub(super) dialer: Dialer,
    /// The servers that the URL names, asked besides those that have slots.
    seeds: Vec<Address>,
    /// A std mutex: held for a look, never across an await.
    known: Mutex<Known>,
    /// One task at a time asks.
    refreshing: Attempts<RedisError>,
    /// How often a slot was found with another server, or the connection to one was lost.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    slots: SlotMap,
    /// Whether it was heard and not found wrong since.
    fresh: bool,
}

impl Topology {
    /// What is known of a cluster before any of `seeds` was asked.
    pub(super) fn new(dialer: Dialer, seeds: Vec<Address>) -> Self {
        Self {
            dialer,
            seeds,
            known: Mutex::default(),
            refreshing: Attempts::default(),
            changes: AtomicU64::new(0),
        }
    }

    /// How often a slot was found with another server, or the connection to one was lost.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The connection to a server was lost: what comes back at its address may have lost data.
    pub(super) fn note_loss(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server of a slot; any server, where the call is about none.
    pub(super) async fn address(&self, slot: Option<u16>) -> RedisResult<Address> {
        if let Some(address) = self.known_address(slot) {
            return Ok(address);
        }
        self.refresh().await?;
        self.known_address(slot).ok_or_else(|| {
            self.doubt();
            let kind = ErrorKind::Server(ServerErrorKind::ClusterDown);
            RedisError::from((kind, "no server of the cluster has the slot"))
        })
    }

    fn known_address(&self, slot: Option<u16>) -> Option<Address> {
        let known = self.known();
        let found = match slot {
            Some(slot) => known.slots.owner(slot).cloned(),
            None => known.slots.servers().into_iter().next(),
        };
        found.filter(|_| known.fresh)
    }

    /// The map may be wrong: it is asked for again before the next call.
    pub(super) fn doubt(&self) {
        self.known().fresh = false;
    }

    /// A server says that a slot is at another.
    pub(super) fn moved(&self, slot: u16, address: Address) {
        let mut known = self.known();
        if known.slots.owner(slot) == Some(&address) {
            return;
        }
        // A server that had no slots has taken over from one that failed, with all it had. Where
        // one slot moves, others may not have heard of it yet, and are not asked.
        if !known.slots.servers().contains(&address) {
            known.fresh = false;
        }
        known.slots.learn(slot, address);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    async fn refresh(&self) -> RedisResult<()> {
        let there = || self.known().fresh.then_some(());
        self.refreshing.share(there, self.ask_all()).await
    }

    async fn ask_all(&self) -> RedisResult<()> {
        let mut servers = self.known().slots.servers();
        servers.extend(self.seeds.iter().cloned());
        let questions = servers.iter().map(|server| self.ask(server));
        let slots = ask(questions).await?.into_iter().next().unwrap_or_default();
        let mut known = self.known();
        if !known.slots.is_empty() && slots.differs(&known.slots) {
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
        *known = Known { slots, fresh: true };
        Ok(())
    }

    /// The map as one server has it, and the newest epoch that server has heard of.
    async fn ask(&self, server: &Address) -> RedisResult<(u64, SlotMap)> {
        let mut connection = self.dialer.prompt(server).await?;
        let info = redis::cmd("CLUSTER").arg("INFO").query_async::<String>(&mut connection).await?;
        let epoch = info
            .lines()
            .find_map(|line| line.strip_prefix("cluster_current_epoch:"))
            .and_then(|epoch| epoch.trim().parse().ok())
            .unwrap_or(0);
        let slots =
            redis::cmd("CLUSTER").arg("SLOTS").query_async::<Value>(&mut connection).await?;
        let map = SlotMap::parse(&slots, server).ok_or_else(|| {
            RedisError::from((ErrorKind::Parse, "the reply to CLUSTER SLOTS cannot be read"))
        })?;
        Ok((epoch, map))
    }
}
