//! The files that the demo commits.

use std::path::{Path, PathBuf};
use std::process::Command;

use onward::{Error, Result};

use super::super::ingest::{Found, Skipped, walk};

/// The directory to take, and at most `limit` files of it.
pub fn find(dir: Option<PathBuf>, limit: u64) -> Result<(PathBuf, Vec<Found>)> {
    let dir = dir.or_else(toolchain_share).unwrap_or_else(|| ".".into());
    let dir = std::fs::canonicalize(&dir).map_err(|error| {
        Error::not_found(format!("directory '{}' cannot be read", dir.display())).with_source(error)
    })?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut files: Vec<Found> = Vec::new();
    walk(&dir, "", u64::MAX, 1, &Skipped::default(), |batch| {
        files.extend(batch.into_iter().filter(|found| !is_hidden_or_built(&dir, &found.file)));
        files.len() < limit
    })?;
    Ok((dir, files))
}

fn toolchain_share() -> Option<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let share = Path::new(String::from_utf8(output.stdout).ok()?.trim()).join("share");
    share.is_dir().then_some(share)
}

/// What changes while it is read, or is nobody's data.
fn is_hidden_or_built(dir: &Path, file: &Path) -> bool {
    let inner = file.strip_prefix(dir).unwrap_or(file);
    inner.iter().any(|part| part.to_string_lossy().starts_with('.')) || inner.starts_with("target")
}
