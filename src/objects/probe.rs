//! Finding out whether a store keeps what this program relies on.
//!
//! A store that checks whether an object is there and then writes it refuses the second writer of a
//! quiet moment, and lets several through at once. So one key is created by many writers at the same
//! time, each over a connection of its own, in several rounds.

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};

use super::backend::{ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use super::failure::{Refusal, Trouble, refused_as};
use super::layout;
use super::store::Objects;
use super::{key, write::Created};
use crate::clock;
use crate::model::error::{Error, Result};

/// Writers of one key at the same time. Stores that check and then write let 2 to 25 of 32 through.
const WRITERS: usize = 32;

/// Rounds. The store that forked least in ours did so in about half of them.
const ROUNDS: usize = 10;

/// Rounds and writers where the implementation is this machine's or this program's own: link(2) of a
/// local file system, or a lock.
const ROUNDS_AT_HOME: usize = 2;
const WRITERS_AT_HOME: usize = 8;

/// What was found out about a store that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// How often one key was created by many writers.
    pub rounds: usize,
    /// How many they were.
    pub writers: usize,
    /// Whether an object is replaced only as what it was when it was read.
    pub replaces: Replaces,
}

/// What a store makes of a write on the condition of the object's ETag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaces {
    /// It refuses the write when the object is another one by now.
    Refused,
    /// It knows no such condition, and says so: this program compares right before it writes.
    Unsupported,
    /// It writes all the same.
    Ignored,
}

impl Objects {
    /// Whether *create if absent* holds here without being tried: local files are linked to their
    /// name, which fails for everybody but the first, and memory has a lock.
    pub fn is_at_home(&self) -> bool {
        self.url().starts_with("file://") || self.url().starts_with("memory://")
    }

    /// Finds out whether the store can be written, read, listed and deleted from, and whether its
    /// put-if-absent really lets one writer through, of many at the same time too: a store that
    /// ignores the condition, or checks it first and writes then, would let a branch have two
    /// histories. Leaves nothing behind. Some 700 requests.
    pub async fn probe(&self) -> Result<Probed> {
        let in_use =
            |error: Error| error.context(format!("the storage {} cannot be used", self.url()));
        let (rounds, writers) = match self.is_at_home() {
            true => (ROUNDS_AT_HOME, WRITERS_AT_HOME),
            false => (ROUNDS, WRITERS),
        };
        let key = self.probe_key();
        let alone = self.creates_once(&key).await;
        self.cleaned(&key, alone).await.map_err(in_use)?;
        for _ in 0..rounds {
            let key = self.probe_key();
            let together = self.create_together(&key, writers).await;
            self.cleaned(&key, together).await.map_err(in_use)?;
        }
        let key = self.probe_key();
        let replaced = self.replaces(&key).await;
        let replaces = self.cleaned(&key, replaced).await.map_err(in_use)?;
        Ok(Probed { rounds, writers, replaces })
    }

    /// The error of a storage of which was found that branches fork on it.
    pub fn unsafe_here(&self, found: &str) -> Error {
        refused_as(self.named("rely on", "create if absent"), Refusal::Forks, found)
    }

    /// A fresh key for something that is removed again.
    pub fn probe_key(&self) -> String {
        layout::probe(clock::random_u64())
    }

    async fn cleaned<T>(&self, key: &str, outcome: Result<T>) -> Result<T> {
        let cleaned = self.delete(key).await;
        outcome.and_then(|found| cleaned.map(|()| found))
    }

    async fn creates_once(&self, key: &str) -> Result<()> {
        let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
        let written = self.create(key, first.clone()).await?;
        let found = self.create(key, second).await?;
        if written != Created::Written || found != Created::Found(first) {
            let why = "the second who created an object was let through";
            return Err(refused_as(self.named("probe", key), Refusal::Forks, why));
        }
        Ok(())
    }

    /// One round: every writer brings bytes of its own, one is told that they were written, and
    /// these are what everybody else and whoever reads finds.
    async fn create_together(&self, key: &str, writers: usize) -> Result<()> {
        let bytes = |writer: usize| Bytes::from(format!("writer {writer} of {key}"));
        let mut creates: FuturesUnordered<_> = (0..writers)
            .map(|writer| async move { (writer, self.create(key, bytes(writer)).await) })
            .collect();
        let mut winners = Vec::new();
        let mut found = Vec::new();
        while let Some((writer, created)) = creates.next().await {
            match created? {
                Created::Written => winners.push(writer),
                Created::Found(theirs) => found.push(theirs),
            }
        }
        let call = self.named("probe", key);
        let [winner] = winners.as_slice() else {
            let why = format!(
                "{} of {writers} writers that created one object at the same time were told that theirs was the first",
                winners.len()
            );
            return Err(refused_as(call, Refusal::Forks, &why));
        };
        let written = bytes(*winner);
        let there = self.get(key).await?;
        if there.as_ref() != Some(&written) || found.iter().any(|theirs| *theirs != written) {
            let why = "the object that many writers created at the same time is not what the first of them wrote";
            return Err(refused_as(call, Refusal::Forks, why));
        }
        Ok(())
    }

    /// Writes an object on the condition that it is what it was before it was overwritten.
    async fn replaces(&self, key: &str) -> Result<Replaces> {
        let path = key::object(key)?;
        let call = self.named("probe", key);
        self.put(key, Bytes::from_static(b"before")).await?;
        let before = self
            .within(call, async { self.store.head(&path).await })
            .await
            .map_err(|trouble| trouble.into_error(call))?;
        self.put(key, Bytes::from_static(b"between, and longer")).await?;
        let version = UpdateVersion { e_tag: before.e_tag, version: before.version };
        let options = PutOptions { mode: PutMode::Update(version), ..PutOptions::default() };
        self.meter.put(0);
        let put = self.store.put_opts(&path, PutPayload::from_static(b"behind"), options);
        match self.within(call, put).await {
            Ok(_) => Ok(Replaces::Ignored),
            Err(Trouble::Taken) => Ok(Replaces::Refused),
            Err(trouble) => {
                let error = trouble.into_error(call);
                match super::failure::refusal(&error) {
                    Some(Refusal::Unsupported) => Ok(Replaces::Unsupported),
                    _ => Err(error),
                }
            }
        }
    }
}
