//! One writer: takes batches of files, makes entries of them, commits each batch.

use std::io;
use std::sync::Arc;

use onward::internals::clock;
use onward::internals::objects::open_file;
use onward::internals::repo::Branch;
use onward::{Change, Entry, Error, ErrorKind, ObjectPath, Outcome, PathChange, Result};
use tokio::sync::{Mutex, mpsc, watch};

use super::super::commit::TIMEOUT;
use super::super::session::blocking;
use super::entry::{Checksum, READS_MAX, Stamp, changing, is_the_upload, link};
use super::report::Report;
use super::walk::Found;

/// How files get into the lake.
#[derive(Debug, Clone, Copy)]
pub enum Plan {
    /// As they lie.
    Link(Checksum),
    /// As copies.
    Upload,
}

/// One of many writers.
pub struct Writer {
    pub number: u16,
    pub branch: Branch,
    pub plan: Plan,
    pub report: Arc<Report>,
    pub stopped: watch::Receiver<bool>,
}

/// The batches that wait for a writer.
pub type Work = Arc<Mutex<mpsc::Receiver<Vec<Found>>>>;

impl Writer {
    /// Commits batches until there are none, or it is told to stop.
    pub async fn run(self, work: Work) -> Result<()> {
        while !*self.stopped.borrow() {
            let batch = work.lock().await.recv().await;
            let Some(batch) = batch else { break };
            if *self.stopped.borrow() {
                break;
            }
            let first = batch.first().map(|found| found.path.to_string()).unwrap_or_default();
            let entries = match self.plan {
                Plan::Link(checksum) => self.link(batch, checksum).await?,
                Plan::Upload => self.upload(batch).await?,
            };
            if !entries.is_empty() {
                self.commit(entries, &first).await?;
            }
        }
        Ok(())
    }

    /// What the branch has for these files by now: an ingestion that ended goes on where it was.
    async fn there(&self, batch: &[Found]) -> Result<Vec<Option<Entry>>> {
        let paths: Vec<ObjectPath> = batch.iter().map(|found| found.path.clone()).collect();
        self.branch.committed(&paths).await
    }

    /// Links files, but those that the branch has with the same checksum at the same address.
    async fn link(&self, batch: Vec<Found>, checksum: Checksum) -> Result<Vec<(Found, Entry)>> {
        let there = self.there(&batch).await?;
        let report = Arc::clone(&self.report);
        blocking(move || {
            let mut entries = Vec::with_capacity(batch.len());
            for (found, there) in batch.into_iter().zip(there) {
                let is_there = |entry: &Entry| {
                    there.is_some_and(|there| {
                        (&there.address, &there.checksum, there.size)
                            == (&entry.address, &entry.checksum, entry.size)
                    })
                };
                match link(&found.file, checksum) {
                    Ok(entry) if is_there(&entry) => report.unchanged(1),
                    Ok(entry) => entries.push((found, entry)),
                    Err(error) => report.unreadable(&found, &error),
                }
            }
            Ok(entries)
        })
        .await
    }

    /// Uploads files, but those that the branch has as uploads of the same checksum.
    async fn upload(&self, batch: Vec<Found>) -> Result<Vec<(Found, Entry)>> {
        let there = self.there(&batch).await?;
        let mut entries = Vec::with_capacity(batch.len());
        for (found, there) in batch.into_iter().zip(there) {
            let there = there.filter(|there| self.branch.repository().data_key(there).is_some());
            let file = found.file.clone();
            let is_there = move || match there {
                Some(there) => is_the_upload(&file, &there),
                None => Ok(false),
            };
            let uploaded = match blocking(move || Ok(is_there())).await? {
                Ok(true) => {
                    self.report.unchanged(1);
                    continue;
                }
                Ok(false) => self.upload_one(&found).await?,
                Err(error) => Err(error),
            };
            match uploaded {
                Ok(entry) => entries.push((found, entry)),
                Err(error) => self.report.unreadable(&found, &error),
            }
        }
        Ok(entries)
    }

    /// Uploads a file that nobody writes to meanwhile.
    async fn upload_one(&self, found: &Found) -> Result<io::Result<Entry>> {
        for _ in 0..READS_MAX {
            let path = found.file.clone();
            let file = match blocking(move || Ok(open_file(&path))).await? {
                Ok(file) => file,
                Err(error) => return Ok(Err(error)),
            };
            let mut file = tokio::fs::File::from_std(file);
            let before = match file.metadata().await {
                Ok(metadata) => Stamp::of(&metadata),
                Err(error) => return Ok(Err(error)),
            };
            let entry = self.branch.upload(&mut file).await?;
            let after = file.metadata().await.map(|metadata| Stamp::of(&metadata));
            if after.is_ok_and(|after| after == before) {
                return Ok(Ok(entry));
            }
            self.branch.withdraw(&entry).await;
        }
        Ok(Err(changing()))
    }

    /// Commits one batch under one op id, however often it has to be submitted.
    async fn commit(&self, entries: Vec<(Found, Entry)>, first: &str) -> Result<()> {
        let op_id = clock::new_op_id();
        let (files, bytes) = (entries.len() as u64, entries.iter().map(|(_, e)| e.size).sum());
        let watch = clock::Stopwatch::start();
        let outcome = loop {
            let mut change = self
                .branch
                .change()
                .op_id(op_id)
                .message(format!("ingest {files} files from {first}"))
                .meta("writer", self.number.to_string());
            for (found, entry) in &entries {
                change.push(PathChange {
                    path: found.path.clone(),
                    change: Change::Put(entry.clone()),
                    condition: None,
                })?;
            }
            match change.timeout(TIMEOUT).commit().await {
                Err(error) => match error.kind() {
                    ErrorKind::Overloaded { retry_after } => {
                        tokio::time::sleep(clock::jittered(retry_after)).await;
                    }
                    _ => return Err(error),
                },
                Ok(outcome) => break outcome,
            }
        };
        match outcome {
            Outcome::Committed { details, .. } => {
                self.report.committed(
                    files,
                    bytes,
                    watch.elapsed(),
                    details.rounds,
                    details.rounds_bound,
                );
                Ok(())
            }
            Outcome::NoChanges { .. } => {
                self.report.unchanged(files);
                Ok(())
            }
            other => Err(Error::unavailable(format!(
                "commit {op_id} of {files} files from '{first}' ended as {}: run it again to go on",
                other.name().replace('_', " ")
            ))),
        }
    }
}
