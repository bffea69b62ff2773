//! Where the files of a local instance lie, and the two locks.
//!
//! The path of a Unix socket is limited to about 100 bytes. A data directory with a longer one has
//! its socket in a private directory of the system, named by a hash of the data directory; the
//! choice is written down in the file `socket`, since another process may have another environment
//! and must still find the same server.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use url::Url;

use super::wait::wait_until;
use crate::clock::Deadline;
use crate::model::error::{Error, Result};

/// The longest path of a socket, in bytes: 108 on Linux, 104 elsewhere, less the final NUL and
/// some room for the name under which the server first makes it.
const SOCKET_PATH_LEN_MAX: usize = 100;

/// The files of one data directory.
#[derive(Debug)]
pub(super) struct DataDir {
    pub(super) path: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) log: PathBuf,
    pub(super) pid: PathBuf,
    store: PathBuf,
}

impl DataDir {
    /// The files of `data_dir`, made if absent.
    pub(super) fn make(data_dir: &Path) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .map_err(|error| failed("make", data_dir, error))?;
        Self::at(data_dir)
    }

    /// The files of `data_dir`, `None` if there is no such directory.
    pub(super) fn find(data_dir: &Path) -> Result<Option<Self>> {
        match data_dir.try_exists() {
            Ok(true) => Self::at(data_dir).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(failed("look at", data_dir, error)),
        }
    }

    fn at(data_dir: &Path) -> Result<Self> {
        let data_dir =
            fs::canonicalize(data_dir).map_err(|error| failed("open", data_dir, error))?;
        Ok(Self {
            socket: socket_of(&data_dir)?,
            log: data_dir.join("redis.log"),
            pid: data_dir.join("redis.pid"),
            store: data_dir.join("store"),
            path: data_dir,
        })
    }

    pub(super) fn redis_url(&self) -> Result<String> {
        url_of(&self.socket).map(|url| url.replacen("file:", "unix:", 1))
    }

    pub(super) fn storage_url(&self) -> Result<String> {
        url_of(&self.store)
    }

    /// The right to start and stop the server; waits for others who have it.
    pub(super) fn lock_start(&self, deadline: &Deadline) -> Result<File> {
        self.lock_within("start", deadline)
    }

    /// The lock that a living server holds; waits for a dying one.
    pub(super) fn lock_alive(&self, deadline: &Deadline) -> Result<File> {
        self.lock_within("alive", deadline)
    }

    /// The lock that a living server holds; `None` if one lives.
    pub(super) fn try_lock_alive(&self) -> Result<Option<File>> {
        self.try_lock("alive")
    }

    fn lock_within(&self, name: &str, deadline: &Deadline) -> Result<File> {
        let mut outcome = Ok(None);
        wait_until(deadline, || {
            outcome = self.try_lock(name);
            !matches!(outcome, Ok(None))
        });
        outcome?.ok_or_else(|| {
            Error::unavailable(format!(
                "another process holds {} for too long: it starts or stops the local Redis; \
                 see {}",
                self.path.join(name).display(),
                self.log.display()
            ))
        })
    }

    fn try_lock(&self, name: &str) -> Result<Option<File>> {
        let path = self.path.join(name);
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| failed("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed("lock", &path, error)),
        }
    }

    /// Removes what a server that was killed has left.
    pub(super) fn remove_stale(&self) -> Result<()> {
        if_there("remove", &self.socket, |path| fs::remove_file(path))?;
        if_there("remove", &self.pid, |path| fs::remove_file(path))
    }

    /// The same before another start, but for the mark by which a server that died is told from one that was
    /// told to end: the file with the process id stays, and names nobody until the next server does.
    pub(super) fn make_room(&self) -> Result<()> {
        if_there("remove", &self.socket, |path| fs::remove_file(path))?;
        let empty = |path: &Path| File::options().write(true).truncate(true).open(path).map(drop);
        if_there("empty", &self.pid, empty)
    }

    /// Writes the choice of the socket down, for processes with another environment.
    pub(super) fn record_socket(&self) -> Result<()> {
        let path = self.path.join("socket");
        fs::write(&path, self.socket.as_os_str().as_bytes())
            .map_err(|error| failed("write", &path, error))
    }
}

fn if_there(verb: &str, path: &Path, change: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    match change(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(verb, path, error)),
        _ => Ok(()),
    }
}

pub(super) fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::unavailable(format!(
        "cannot {verb} {} of the local instance; check its rights and the space left, or name \
         another directory with --data-dir",
        path.display()
    ))
    .with_source(error)
}

fn url_of(path: &Path) -> Result<String> {
    Url::from_file_path(path)
        .map(String::from)
        .map_err(|()| Error::internal(format!("{} is not absolute", path.display())))
}

fn socket_of(data_dir: &Path) -> Result<PathBuf> {
    let beside = data_dir.join("redis.sock");
    if fits(&beside) {
        return Ok(beside);
    }
    let hash = blake3::hash(data_dir.as_os_str().as_bytes()).to_hex();
    let name: String = hash.chars().take(16).chain(".sock".chars()).collect();
    // A record that came along with a copied directory names another hash and is not believed.
    let recorded = fs::read(data_dir.join("socket")).ok().and_then(|bytes| {
        let path = PathBuf::from(String::from_utf8(bytes).ok()?);
        path.ends_with(&name).then_some(path)
    });
    if let Some(path) = recorded.filter(|path| path.parent().is_some_and(|dir| dir.is_dir())) {
        private_dir(path.parent().unwrap_or(data_dir))?;
        return Ok(path);
    }
    let uid = nix::unistd::geteuid();
    let bases = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .into_iter()
        .chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
    for base in bases.filter(|base| base.is_absolute() && base.is_dir()) {
        let dir = base.join(format!("onward-{uid}"));
        let path = dir.join(&name);
        if fits(&path) {
            private_dir(&dir)?;
            return Ok(path);
        }
    }
    Err(Error::unavailable(format!(
        "no place for the socket of {}: its path and that of the system's temporary directory are \
         longer than {SOCKET_PATH_LEN_MAX} bytes; name a shorter one with --data-dir",
        data_dir.display()
    )))
}

fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= SOCKET_PATH_LEN_MAX
}

/// Makes a directory that only this user can enter, or checks that it is one: whoever could put a
/// socket there could pretend to be our Redis.
fn private_dir(dir: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("make", dir, error)),
    }
    let metadata = fs::symlink_metadata(dir).map_err(|error| failed("look at", dir, error))?;
    let ours = metadata.is_dir()
        && metadata.uid() == nix::unistd::geteuid().as_raw()
        && metadata.mode() & 0o077 == 0;
    if ours {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "{} is not a directory that only this user can enter; remove it, or name a shorter \
         --data-dir so that it is not needed",
        dir.display()
    )))
}
