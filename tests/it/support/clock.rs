//! Wall clocks that really jump: a small library that is preloaded into a process and shifts what it
//! is told of the time. Takes a C compiler, which building this project takes anyway.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::root::root;

/// The library, built once per test.
pub struct ClockLibrary {
    dir: TempDir,
}

/// The clock of one or more processes.
pub struct ShiftedClock {
    file: File,
    path: PathBuf,
    library: PathBuf,
}

impl ClockLibrary {
    /// Builds it.
    pub fn build() -> Self {
        let dir = tempfile::Builder::new().prefix("onward-clock-").tempdir().unwrap();
        let source = root().join("tests/it/support/clock_shift.c");
        let library = Self { dir };
        let built = Command::new("cc")
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .arg(library.path())
            .arg(source)
            .status()
            .expect("a C compiler is needed: apt-get install gcc libc6-dev");
        assert!(built.success(), "the library that shifts clocks is not built");
        library
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("clock_shift.so")
    }

    /// A clock that is right until it is told otherwise. It needs the library as long as processes
    /// are started with it.
    pub fn clock(&self, name: &str) -> ShiftedClock {
        let path = self.dir.path().join(name);
        let file = File::create(&path).unwrap();
        let clock = ShiftedClock { file, path, library: self.path() };
        clock.shift(0);
        clock
    }
}

impl ShiftedClock {
    /// Sets how many milliseconds the clock is ahead, from now on.
    pub fn shift(&self, ms: i64) {
        self.file.write_all_at(&ms.to_ne_bytes(), 0).unwrap();
    }

    /// What a process needs in its environment to go by this clock.
    pub fn variables(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD".into(), text(&self.library)),
            ("CLOCK_SHIFT_FILE".into(), text(&self.path)),
        ]
    }
}
