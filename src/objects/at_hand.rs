//! Reads of local files that need not wait, because the system has in memory what they ask for.
//!
//! To have another thread read takes two switches between threads, which cost several times what reading a
//! small object does; not to have it do so could hold up everybody while a disk turns. Linux tells which of
//! the two it would be: it opens a path only where it knows all of it (`RESOLVE_CACHED`, since 5.12), and
//! reads only what it has (`RWF_NOWAIT`, which tmpfs does not know: there all is in memory). Where it would
//! have to wait, and on other systems, nothing is at hand.

use std::fs::{File, Metadata};
use std::io;
#[cfg(target_os = "linux")]
use std::os::unix::fs::FileExt;
use std::path::Path;

#[cfg(target_os = "linux")]
use rustix::fs::{CWD, FsWord, Mode, OFlags, ResolveFlags, fstatfs, openat2};
#[cfg(target_os = "linux")]
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// How the system calls the type of a tmpfs.
#[cfg(target_os = "linux")]
const TMPFS: FsWord = 0x0102_1994;

/// Opens a file for reading; `None` where that might have to wait, or cannot be told. Of errors there is one:
/// that there is no such file.
#[cfg(target_os = "linux")]
pub(super) fn open(path: &Path) -> Option<io::Result<File>> {
    // Whatever is no file must not be waited for either.
    look_up(path, OFlags::RDONLY | OFlags::NONBLOCK)
}

/// What there is to know of a folder; `None` where that is not at hand.
#[cfg(target_os = "linux")]
pub(super) fn folder(path: &Path) -> Option<Metadata> {
    look_up(path, OFlags::PATH | OFlags::DIRECTORY)?.ok()?.metadata().ok()
}

/// Fills `into` with what a file has from `offset` on. Returns whether all of that was at hand.
#[cfg(target_os = "linux")]
pub(super) fn fill(file: &File, into: &mut [u8], offset: u64) -> bool {
    let read = preadv2(file, &mut [io::IoSliceMut::new(into)], offset, ReadWriteFlags::NOWAIT);
    match read {
        Ok(read) => read == into.len(),
        Err(Errno::OPNOTSUPP) => {
            let is_memory = fstatfs(file).is_ok_and(|of| of.f_type == TMPFS);
            is_memory && file.read_exact_at(into, offset).is_ok()
        }
        Err(_) => false,
    }
}

#[cfg(target_os = "linux")]
fn look_up(path: &Path, flags: OFlags) -> Option<io::Result<File>> {
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Whether the system has turned out not to do this, or not to let it be done.
    static IS_REFUSED: AtomicBool = AtomicBool::new(false);

    if IS_REFUSED.load(Ordering::Relaxed) {
        return None;
    }
    match openat2(CWD, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED) {
        Ok(opened) => Some(Ok(opened.into())),
        Err(Errno::NOENT) => Some(Err(io::ErrorKind::NotFound.into())),
        Err(Errno::NOSYS | Errno::INVAL | Errno::PERM) => {
            IS_REFUSED.store(true, Ordering::Relaxed);
            None
        }
        Err(_) => None,
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn open(_: &Path) -> Option<io::Result<File>> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn folder(_: &Path) -> Option<Metadata> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn fill(_: &File, _: &mut [u8], _: u64) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn what_is_at_hand_is_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "0123456789").unwrap();
        // It was written a moment ago. A system that cannot tell has nothing at hand.
        if let Some(file) = open(&path) {
            let file = file.unwrap();
            let mut bytes = [0; 4];
            if fill(&file, &mut bytes, 3) {
                assert_eq!(&bytes, b"3456");
            }
            assert!(!fill(&file, &mut bytes, 8), "there are two bytes left");
        }
        if let Some(found) = folder(dir.path()) {
            assert_eq!(found.ino(), fs::metadata(dir.path()).unwrap().ino());
        }
        assert!(folder(&path).is_none(), "it is a file");
        if let Some(absent) = open(&dir.path().join("none")) {
            assert_eq!(absent.unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        if let Some(opened) = open(&pipe) {
            assert!(!opened.unwrap().metadata().unwrap().is_file());
        }
    }
}
