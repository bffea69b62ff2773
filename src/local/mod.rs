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

mod place;
mod process;
mod wire;

use std::path::Path;
use std::time::Duration;

use crate::clock::Deadline;
use crate::model::error::{Error, Result};
use place::Place;
use process::Found;
use wire::Answer;

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

/// What is known about a local instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalStatus {
    /// URL of its Redis, running or not.
    pub redis_url: String,
    /// URL of its storage.
    pub storage_url: String,
    /// How its Redis is.
    pub server: ServerState,
}

/// How the Redis of a local instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerState {
    /// No server runs.
    Stopped,
    /// A server runs and answers.
    Running {
        /// Its process id.
        pid: u32,
        /// Its version, such as `7.0.15`.
        version: String,
        /// How long it runs.
        uptime: Duration,
        /// Memory that it uses, in bytes.
        used_memory: u64,
    },
    /// A server runs but does not answer now: it loads its data, is paused, or is stuck.
    Silent,
}

/// How a local instance is started and how long is waited for it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Programs to try as the server, the first that is installed wins.
    pub programs: Vec<String>,
    /// The longest wait for a server to start (it loads its data first) or to stop.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            programs: vec!["redis-server".to_owned(), "valkey-server".to_owned()],
            patience: Duration::from_secs(60),
        }
    }
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
        let place = Place::make(data_dir.as_ref())?;
        let deadline = Deadline::after(options.patience);
        let found = |started| -> Result<Self> {
            Ok(Self { redis_url: place.redis_url()?, storage_url: place.storage_url()?, started })
        };
        if wire::ping(&place.socket) == Answer::Well {
            return found(false);
        }
        let _starting = place.lock_start(&deadline)?;
        // Somebody may have started it while the lock was waited for.
        match wire::ping(&place.socket) {
            Answer::Well => return found(false),
            Answer::Busy => return wait_for_loading(&place, &deadline).and_then(|()| found(false)),
            Answer::Nobody => {}
        }
        let alive = match process::find(&place, &deadline)? {
            Found::Reachable => return found(false),
            Found::Gone(alive) => alive,
            // It lives, but nobody can reach it (its socket was removed): replace it.
            Found::Unreachable => {
                process::terminate(&place, &deadline)?;
                place.lock_alive(&deadline)?
            }
        };
        process::start(&place, alive, options, &deadline)?;
        found(true)
    }
}

fn wait_for_loading(place: &Place, deadline: &Deadline) -> Result<()> {
    if process::wait_until(deadline, || wire::ping(&place.socket) == Answer::Well) {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "the local Redis of {} runs but does not answer; see {}",
        place.data_dir.display(),
        place.log.display()
    )))
}

/// Stops the local instance of `data_dir` and waits until it has ended, its data on disk. Returns
/// whether one was running.
pub fn stop(data_dir: impl AsRef<Path>) -> Result<bool> {
    stop_with(data_dir, &Options::default())
}

/// As [`stop`], with another patience.
pub fn stop_with(data_dir: impl AsRef<Path>, options: &Options) -> Result<bool> {
    let Some(place) = Place::find(data_dir.as_ref())? else { return Ok(false) };
    let deadline = Deadline::after(options.patience);
    let _starting = place.lock_start(&deadline)?;
    if place.try_lock_alive()?.is_some() {
        place.remove_stale()?;
        return Ok(false);
    }
    let polite = wire::ping(&place.socket) == Answer::Well && {
        wire::shutdown(&place.socket);
        process::wait_until(&deadline.at_most(GRACE), || process::is_gone(&place))
    };
    if !polite {
        process::terminate(&place, &deadline)?;
    }
    place.remove_stale()?;
    Ok(true)
}

/// How long a polite request to shut down is given before a signal follows.
const GRACE: Duration = Duration::from_secs(10);

/// How the local instance of `data_dir` is; `None` if there is no such directory. Starts nothing.
pub fn status(data_dir: impl AsRef<Path>) -> Result<Option<LocalStatus>> {
    let Some(place) = Place::find(data_dir.as_ref())? else { return Ok(None) };
    let server = match wire::info(&place.socket) {
        Some(running) => running,
        None if place.try_lock_alive()?.is_some() => ServerState::Stopped,
        None => ServerState::Silent,
    };
    let (redis_url, storage_url) = (place.redis_url()?, place.storage_url()?);
    Ok(Some(LocalStatus { redis_url, storage_url, server }))
}
