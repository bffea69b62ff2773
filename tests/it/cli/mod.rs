//! The command as users meet it: the real binary, with a data directory of its own.

mod bench;
mod care;
mod doctor;
mod exits;
mod imports;
mod looking_back;
mod manners;
mod merges;
mod refusals;
mod session;
mod small;
mod together;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A directory to work in, whose local instance goes with it, even when the test panics.
pub struct Desk {
    dir: TempDir,
}

/// What a command said.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one JSON object on stdout.
    pub fn json(&self) -> Value {
        let lines = self.lines();
        assert_eq!(lines.len(), 1, "{}", self.stdout);
        lines[0].clone()
    }

    /// The JSON objects on stdout.
    pub fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The error object on stderr.
    pub fn error(&self) -> Value {
        let last = self.stderr.lines().last().unwrap_or_default();
        serde_json::from_str::<Value>(last).unwrap()["error"].clone()
    }
}

impl Desk {
    pub fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("onward-cli-").tempdir().unwrap() }
    }

    /// With a repository `lake` and its branch `main`.
    pub fn lake() -> Self {
        let desk = Self::new();
        desk.done("repo create lake");
        desk
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The command with these words, in this directory, with nothing set from outside.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onward"));
        command.args(words).current_dir(self.path()).stdin(Stdio::null());
        for name in ["REDIS", "STORAGE", "DATA_DIR", "COMMITTER", "FAILPOINTS"] {
            command.env_remove(format!("ONWARD_{name}"));
        }
        command.env("USER", "tester");
        command
    }

    /// Runs words that have spaces in them.
    pub fn words(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().unwrap())
    }

    /// Runs a line of words.
    pub fn run(&self, line: &str) -> Said {
        self.words(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs a line that must succeed.
    pub fn done(&self, line: &str) -> Said {
        let said = self.run(line);
        assert_eq!(said.code, 0, "{line}: {}{}", said.stdout, said.stderr);
        said
    }

    /// Runs a line that must fail with this code.
    pub fn fails(&self, code: i32, line: &str) -> Said {
        let said = self.run(line);
        assert_eq!(said.code, code, "{line}: {}{}", said.stdout, said.stderr);
        said
    }

    /// Runs a line with something on stdin.
    pub fn fed(&self, line: &str, input: &[u8]) -> Said {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut child = self
            .command(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have refused before it read all.
        let _ = child.stdin.take().unwrap().write_all(input);
        Said::of(child.wait_with_output().unwrap())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = onward::internals::local::stop(self.path().join(".onward"));
    }
}
