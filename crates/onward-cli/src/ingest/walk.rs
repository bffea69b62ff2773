//! The walk over a tree: which files there are, and which cannot be taken and why.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use onward::{Error, ObjectPath, Result};
use walkdir::WalkDir;

/// A file that can be taken.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it lies.
    pub file: PathBuf,
    /// Its path in the lake.
    pub path: ObjectPath,
}

/// Names of skipped files that are kept to be shown.
const NAMES_MAX: usize = 20;

/// What was not taken: counted always, and some of it by name.
#[derive(Debug, Default)]
pub struct Skipped {
    /// Symbolic links.
    pub symlinks: AtomicU64,
    /// Sockets, pipes, devices.
    pub special: AtomicU64,
    /// Names that are not UTF-8, or too long.
    pub names: AtomicU64,
    /// Files and directories that could not be read, or vanished.
    pub unreadable: AtomicU64,
    /// The first of the last two kinds, with the reason.
    reasons: Mutex<Vec<String>>,
}

impl Skipped {
    /// Counts one, and keeps its reason if there is room.
    pub fn add(&self, counter: &AtomicU64, reason: String) {
        counter.fetch_add(1, Ordering::Relaxed);
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        if reasons.len() < NAMES_MAX {
            reasons.push(reason);
        }
    }

    /// How many should have been taken and were not.
    pub fn missed(&self) -> u64 {
        self.names.load(Ordering::Relaxed) + self.unreadable.load(Ordering::Relaxed)
    }

    /// The first reasons.
    pub fn reasons(&self) -> Vec<String> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Walks `dir` in the order of names and hands out batches of at most `per_batch` files, at most
/// `limit` in all, until `take` says no.
pub fn walk(
    dir: &Path,
    prefix: &str,
    limit: u64,
    per_batch: usize,
    skipped: &Skipped,
    mut take: impl FnMut(Vec<Found>) -> bool,
) -> Result<()> {
    let mut batch = Vec::with_capacity(per_batch.min(1024));
    let mut left = limit;
    for item in WalkDir::new(dir).sort_by_file_name() {
        if left == 0 {
            break;
        }
        let item = match item {
            Ok(item) => item,
            Err(error) if error.depth() == 0 => {
                return Err(Error::not_found(format!("'{}' cannot be walked", dir.display()))
                    .with_source(error));
            }
            Err(error) => {
                skipped.add(&skipped.unreadable, error.to_string());
                continue;
            }
        };
        let kind = item.file_type();
        if kind.is_dir() {
            continue;
        }
        if kind.is_symlink() {
            skipped.symlinks.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        if !kind.is_file() {
            skipped.special.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let inner = item.path().strip_prefix(dir).unwrap_or(item.path());
        let path = [prefix.as_bytes(), inner.as_os_str().as_bytes()].concat();
        match ObjectPath::from_utf8(&path) {
            Ok(path) => batch.push(Found { file: item.into_path(), path }),
            Err(error) => {
                skipped.add(&skipped.names, error.to_string());
                continue;
            }
        }
        left -= 1;
        if batch.len() >= per_batch && !take(std::mem::take(&mut batch)) {
            return Ok(());
        }
    }
    if !batch.is_empty() {
        take(batch);
    }
    Ok(())
}
