//! A small file system of its own, that can be really full and really read-only. Takes root; where
//! mounting is not possible there is none, and faults have to be put into the processes instead.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A mounted file system; unmounted with the value.
pub struct SmallDisk {
    at: TempDir,
}

impl SmallDisk {
    /// A file system of so many MiB in memory, if this process may mount one.
    pub fn mount(mib: usize) -> Option<Self> {
        let at = tempfile::Builder::new().prefix("onward-disk-").tempdir().unwrap();
        let size = format!("size={mib}m");
        let path = at.path().to_str().unwrap();
        mount(&["-t", "tmpfs", "-o", &size, "onward-test", path]).then_some(Self { at })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.at.path()
    }

    /// Takes all room that is left. [`free`](Self::free) gives it back.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        // The last page that fits may be smaller than what is asked for.
        for size in [1 << 20, 4096, 1] {
            let zeros = vec![0; size];
            while ballast.write_all(&zeros).is_ok() {}
        }
    }

    /// Gives back what [`fill`](Self::fill) took.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    /// Whether writes are refused from now on. While a file is open for writing nothing changes,
    /// and the answer is false.
    pub fn read_only(&self, read_only: bool) -> bool {
        let option = if read_only { "remount,ro" } else { "remount,rw" };
        mount(&["-o", option, self.path().to_str().unwrap()])
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, should somebody still have a file open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).stderr(Stdio::null()).status();
    }
}

fn mount(args: &[&str]) -> bool {
    let status = Command::new("mount").args(args).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
