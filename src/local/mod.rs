//! The local instance of a data directory: a private Redis on a Unix socket and storage in files,
//! started when somebody needs it, shared by all processes that name the same directory.
//!
//! **Who is alive?** The server holds a lock on the file `alive` of the data directory for as long
//! as it lives (it inherits the locked file as its standard input), so neither a stale pid nor a
//! removed socket can make two servers write to one append-only file. **Who may start or stop
//! it?** Whoever holds the lock on the file `start`; the kernel takes both locks back from the
//! dead. Both are advisory `flock` locks: the data directory belongs on a local file system.
//!
//! This room starts and ends processes and asks them whether they are well; it knows nothing of
//! what Onward keeps in them. All calls block, the longest for [`Options::patience`].

mod data_dir;
mod options;
mod process;
mod status;
mod wait;
mod wire;

use std::path::Path;
use std::time::Duration;

use crate::clock::Deadline;
use crate::model::error::{Error, Result};
use data_dir::DataDir;
use process::Found;
use wait::wait_until;
use wire::Answer;

pub use options::Options;
pub use status::{LocalStatus, ServerState};

/// A running local instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalInstance {
    /// URL of its Redis: `unix:///…`.
    pub redis_url: String,
    /// URL of its storage: `file:///…`.
    pub storage_url: String,
    /// Whether this call started it.
    pub started: bool,
}

impl LocalInstance {
    /// The instance of `data_dir`, started if it does not run. The server outlives this process
    /// and its terminal, until [`stop`]. Safe to call from any number of processes at once: one
    /// of them starts the server, all of them get it.
    pub fn ensure(data_dir: impl AsRef<Path>) -> Result<Self> {
        Self::ensure_with(data_dir, &Options::default())
    }

    /// As [`ensure`](Self::ensure), with other programs or another patience.
    pub fn ensure_with(data_dir: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let dir = DataDir::make(data_dir.as_ref())?;
        let deadline = Deadline::after(options.patience);
        let found = |started| -> Result<Self> {
            Ok(Self { redis_url: dir.redis_url()?, storage_url: dir.storage_url()?, started })
        };
        if wire::ping(&dir.socket) == Answer::Well {
            return found(false);
        }
        let _starting = dir.lock_start(&deadline)?;
        // Somebody may have started it while the lock was waited for.
        match wire::ping(&dir.socket) {
            Answer::Well => return found(false),
            Answer::Busy => return wait_for_loading(&dir, &deadline).and_then(|()| found(false)),
            Answer::Nobody => {}
        }
        let alive = match process::find(&dir, &deadline)? {
            Found::Reachable => return found(false),
            Found::Gone(alive) => alive,
            // It lives, but nobody can reach it (its socket was removed): replace it.
            Found::Unreachable => {
                process::terminate(&dir, &deadline)?;
                dir.lock_alive(&deadline)?
            }
        };
        process::start(&dir, alive, options, &deadline)?;
        found(true)
    }
}

/// Starts the local instance of `data_dir` again if its server has died, and not if it was told to end
/// (which removes the file with its process id; a start that fails does not). Returns whether it did. Costs a
/// ping where it lives.
pub fn revive(data_dir: impl AsRef<Path>) -> Result<bool> {
    let options = Options::default();
    let Some(dir) = DataDir::find(data_dir.as_ref())? else { return Ok(false) };
    if wire::ping(&dir.socket) == Answer::Well {
        return Ok(false);
    }
    let deadline = Deadline::after(options.patience);
    let _starting = dir.lock_start(&deadline)?;
    let Some(alive) = dir.try_lock_alive()?.filter(|_| dir.pid.exists()) else { return Ok(false) };
    process::start(&dir, alive, &options, &deadline)?;
    Ok(true)
}

fn wait_for_loading(dir: &DataDir, deadline: &Deadline) -> Result<()> {
    if wait_until(deadline, || wire::ping(&dir.socket) == Answer::Well) {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "the local Redis of {} runs but does not answer; see {}",
        dir.path.display(),
        dir.log.display()
    )))
}

/// Stops the local instance of `data_dir` and waits until it has ended, its data on disk. Returns
/// whether one was running.
pub fn stop(data_dir: impl AsRef<Path>) -> Result<bool> {
    stop_with(data_dir, &Options::default())
}

/// As [`stop`], with another patience.
pub fn stop_with(data_dir: impl AsRef<Path>, options: &Options) -> Result<bool> {
    let Some(dir) = DataDir::find(data_dir.as_ref())? else { return Ok(false) };
    let deadline = Deadline::after(options.patience);
    let _starting = dir.lock_start(&deadline)?;
    if dir.try_lock_alive()?.is_some() {
        dir.remove_stale()?;
        return Ok(false);
    }
    let polite = wire::ping(&dir.socket) == Answer::Well && {
        wire::shutdown(&dir.socket);
        wait_until(&deadline.at_most(GRACE), || process::is_gone(&dir))
    };
    if !polite {
        process::terminate(&dir, &deadline)?;
    }
    dir.remove_stale()?;
    Ok(true)
}

/// How long a polite request to shut down is given before a signal follows.
const GRACE: Duration = Duration::from_secs(10);

/// Whether there is a local instance in `data_dir`, running or not. Starts nothing.
pub fn exists(data_dir: impl AsRef<Path>) -> Result<bool> {
    Ok(DataDir::find(data_dir.as_ref())?.is_some())
}

/// How the local instance of `data_dir` is; `None` if there is no such directory. Starts nothing.
pub fn status(data_dir: impl AsRef<Path>) -> Result<Option<LocalStatus>> {
    let Some(dir) = DataDir::find(data_dir.as_ref())? else { return Ok(None) };
    let server = match wire::info(&dir.socket) {
        Some(running) => running,
        None if dir.try_lock_alive()?.is_some() => ServerState::Stopped,
        None => ServerState::Silent,
    };
    let (redis_url, storage_url) = (dir.redis_url()?, dir.storage_url()?);
    Ok(Some(LocalStatus { redis_url, storage_url, server }))
}
