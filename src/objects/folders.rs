//! Folders of local storage, made so that they outlive a power failure before anything lies in them.
//!
//! A name in a folder lasts from the next sync of the folder on. Where many make names in one folder at
//! the same time, as branches do that begin, one sync is enough for all who made theirs before it began.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Makes folders. Everything here blocks.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// Those that are being synced, or waited for.
    syncs: Mutex<HashMap<PathBuf, Arc<Syncs>>>,
}

impl Folders {
    /// Makes `folder`, and those above it up to `root`, which must be there. Returns when the names of
    /// all that were made last.
    pub(super) fn make(&self, folder: &Path, root: &Path) -> io::Result<()> {
        if folder == root {
            return Ok(());
        }
        let Some(above) = folder.parent().filter(|above| above.starts_with(root)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        // Whoever makes a folder stands among the syncs from before it is there until its name lasts, also where
        // he gives up as a sync fails: so where it is there, and nobody does, it lasts, and so do those above.
        let is_there = folder.try_exists()?;
        if is_there && self.lock().is_empty() {
            return Ok(());
        }
        self.make(above, root)?;
        if is_there && !self.lock().contains_key(above) {
            return Ok(());
        }
        let make = || match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
        self.sync_as(above, make, sync_of, Syncs::last_succeeded)
    }

    /// Makes all names last that the folder has after this `change`, with those that others give meanwhile.
    pub(super) fn sync(
        &self,
        folder: &Path,
        change: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        self.sync_as(folder, change, sync_of, |_| true)
    }

    /// The same by `sync`. The folder stays among those that are being synced until nobody else does so, and it
    /// `is_over`.
    fn sync_as(
        &self,
        folder: &Path,
        change: impl FnOnce() -> io::Result<()>,
        sync: impl Fn(&Path) -> io::Result<()>,
        is_over: impl Fn(&Syncs) -> bool,
    ) -> io::Result<()> {
        let syncs = Arc::clone(self.lock().entry(folder.to_owned()).or_default());
        let synced = change().and_then(|()| syncs.join(|| sync(folder)));
        let mut all = self.lock();
        drop(syncs);
        if all.get(folder).is_some_and(|syncs| Arc::strong_count(syncs) == 1 && is_over(syncs)) {
            all.remove(folder);
        }
        synced
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<Syncs>>> {
        self.syncs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sync_of(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The syncs of one folder, one after the other.
#[derive(Debug, Default)]
struct Syncs {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many were begun.
    begun: u64,
    /// The newest that succeeded.
    done: u64,
    /// Whether one is under way.
    running: bool,
    /// How many wait for its end.
    waiting: usize,
    /// The newest that failed, and why.
    failed: Option<(u64, Failure)>,
}

/// What a sync that failed tells all who share it.
#[derive(Debug, Clone, Copy)]
struct Failure {
    kind: io::ErrorKind,
    os: Option<i32>,
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        Self { kind: error.kind(), os: error.raw_os_error() }
    }

    fn error(self) -> io::Error {
        self.os.map_or_else(|| self.kind.into(), io::Error::from_raw_os_error)
    }
}

impl Syncs {
    /// Returns when a sync that began after this call has succeeded: somebody else's, or one that this
    /// call makes. One that fails after this call fails it, whoever makes it: a system reports once that it
    /// could not write, and who syncs again hears nothing of it.
    fn join(&self, sync: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.lock();
        let wanted = state.begun + 1;
        let under_way = state.begun - u64::from(state.running);
        while state.done < wanted {
            if let Some((_, failure)) = state.failed.filter(|(number, _)| *number > under_way) {
                return Err(failure.error());
            }
            if state.running {
                state.waiting += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiting -= 1;
                continue;
            }
            state.begun += 1;
            state.running = true;
            let number = state.begun;
            drop(state);
            let synced = sync();
            state = self.lock();
            state.running = false;
            match &synced {
                Ok(()) => state.done = number,
                Err(error) => state.failed = Some((number, Failure::of(error))),
            }
            self.changed.notify_all();
            synced?;
        }
        Ok(())
    }

    fn last_succeeded(&self) -> bool {
        let state = self.lock();
        state.done == state.begun
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    impl Syncs {
        /// Those that were begun, and the newest that succeeded.
        fn counted(&self) -> (u64, u64) {
            let state = self.lock();
            (state.begun, state.done)
        }
    }

    #[test]
    fn one_sync_is_enough_for_all_who_came_before_it_began() {
        const LATER: usize = 8;
        let syncs = Syncs::default();
        let made = AtomicU64::new(0);
        let (begun, has_begun) = mpsc::channel();
        // The first goes on until all others wait, for whom it is not enough.
        let sync = || {
            if made.fetch_add(1, Ordering::Relaxed) == 0 {
                begun.send(()).unwrap();
                while syncs.lock().waiting < LATER {
                    thread::yield_now();
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            scope.spawn(|| syncs.join(sync).unwrap());
            has_begun.recv().unwrap();
            for _ in 0..LATER {
                scope.spawn(|| syncs.join(sync).unwrap());
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 2);
        assert_eq!(syncs.counted(), (2, 2));
    }

    #[test]
    fn a_sync_that_failed_is_nobodys() {
        let syncs = Syncs::default();
        assert!(syncs.join(|| Err(io::ErrorKind::StorageFull.into())).is_err());
        assert_eq!(syncs.counted(), (1, 0));
        syncs.join(|| Ok(())).unwrap();
        assert_eq!(syncs.counted(), (2, 2));
    }

    #[test]
    fn a_sync_that_failed_fails_all_who_came_before_its_end() {
        const LATER: usize = 8;
        let syncs = Syncs::default();
        let (begun, has_begun) = mpsc::channel();
        // It fails when all others wait, who made their names while it was under way.
        let fails = || {
            begun.send(()).unwrap();
            while syncs.lock().waiting < LATER {
                thread::yield_now();
            }
            Err(io::ErrorKind::StorageFull.into())
        };
        thread::scope(|scope| {
            let first = scope.spawn(|| syncs.join(fails));
            has_begun.recv().unwrap();
            let others: Vec<_> =
                (0..LATER).map(|_| scope.spawn(|| syncs.join(|| Ok(())))).collect();
            for failed in others.into_iter().chain([first]) {
                let error = failed.join().unwrap().unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            }
        });
        assert_eq!(syncs.counted(), (1, 0));
        syncs.join(|| Ok(())).unwrap();
        assert_eq!(syncs.counted(), (2, 2), "who comes later has a sync of his own");
    }

    #[test]
    fn many_make_the_same_folder_and_its_neighbours_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (folders, root) = (Folders::default(), dir.path());
        for turn in 0..50 {
            thread::scope(|scope| {
                for n in 0..16 {
                    let folder = root.join(format!("{turn}/{}", n % 4));
                    let folders = &folders;
                    scope.spawn(move || folders.make(&folder, root).unwrap());
                }
            });
            assert_eq!(fs::read_dir(root.join(turn.to_string())).unwrap().count(), 4);
        }
        assert!(folders.lock().is_empty());
    }

    #[test]
    fn who_finds_a_folder_that_somebody_still_makes_last_waits_for_that() {
        let dir = tempfile::tempdir().unwrap();
        let (folders, root) = (Folders::default(), dir.path());
        // Somebody has made it, and has not come to the sync.
        fs::create_dir(root.join("a")).unwrap();
        let syncs = Arc::clone(folders.lock().entry(root.to_owned()).or_default());
        folders.make(&root.join("a"), root).unwrap();
        assert_eq!(syncs.counted(), (1, 1), "of its name");
        folders.make(&root.join("a/b"), root).unwrap();
        assert_eq!(syncs.counted(), (2, 2), "of that of the folder above");
        fs::create_dir(root.join("a/c")).unwrap();
        folders.make(&root.join("a/c"), root).unwrap();
        assert_eq!(syncs.counted(), (3, 3), "also where it is there already");
    }

    #[test]
    fn a_folder_whose_sync_failed_does_not_last_until_one_succeeds() {
        let dir = tempfile::tempdir().unwrap();
        let (folders, root) = (Folders::default(), dir.path());
        let fails = |_: &Path| Err(io::ErrorKind::StorageFull.into());
        let make = || fs::create_dir(root.join("a"));
        assert!(folders.sync_as(root, make, fails, Syncs::last_succeeded).is_err());
        let syncs = Arc::clone(&folders.lock()[root]);
        // It is there, and nobody makes it any more.
        folders.make(&root.join("a/b"), root).unwrap();
        assert_eq!(syncs.counted(), (2, 2), "its name is synced by the next who needs it");
        drop(syncs);
        folders.make(&root.join("a/c"), root).unwrap();
        assert!(folders.lock().is_empty(), "and then nothing is kept of it");
    }

    #[test]
    fn folders_are_made_below_the_root_and_never_the_root_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (folders, root) = (Folders::default(), dir.path());
        folders.make(&root.join("a/b/c"), root).unwrap();
        folders.make(&root.join("a/b/c"), root).unwrap();
        folders.make(root, root).unwrap();
        assert!(root.join("a/b/c").is_dir());
        assert!(folders.lock().is_empty(), "nothing is kept of what is done");
        let gone = root.join("gone");
        assert!(folders.make(&gone.join("a"), &gone).is_err());
        assert!(!gone.exists());
        assert!(folders.make(dir.path().parent().unwrap(), root).is_err());
        fs::write(root.join("file"), "").unwrap();
        assert!(folders.make(&root.join("file/a"), root).is_err());
    }
}
