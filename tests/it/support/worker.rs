//! Processes of their own, to be killed and stopped: this test binary once more, as a worker.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::until::until;

/// The variable that makes the test binary a worker, and says what it is to do.
pub const JOB: &str = "ONWARD_TEST_WORKER";

/// Begins each line that a worker reports.
pub const MARK: &str = "worker: ";

/// A running worker; killed with the value.
pub struct Worker {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker on `job`, with variables of its own.
    pub fn start(job: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_telling(job, variables, Stdio::null())
    }

    /// The same; what it has to say of itself goes to `errors`.
    pub fn start_telling(job: &str, variables: &[(&str, &str)], errors: Stdio) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker::entry", "--nocapture", "--test-threads", "1"])
            .env(JOB, job)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Waits for the worker's next report; `None` when it has ended.
    pub fn report(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The test runner may have begun the line.
            if let Some((_, report)) = line.split_once(MARK) {
                return Some(report.trim_end().to_owned());
            }
        }
    }

    /// Every report up to its end, and how it ended.
    pub fn finish(mut self) -> (Vec<String>, ExitStatus) {
        let mut reports = Vec::new();
        while let Some(report) = self.report() {
            reports.push(report);
        }
        (reports, self.child.wait().unwrap())
    }

    /// Waits until it has ended.
    pub fn await_end(&mut self) -> ExitStatus {
        let mut status = None;
        until("the worker has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Ends it as a power failure does.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it wherever it is.
    pub fn stop(&self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
        self.await_stop();
    }

    /// Waits until it is stopped.
    pub fn await_stop(&self) {
        await_stop(self.child.id());
    }

    /// Ends a stop.
    pub fn resume(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a process is stopped.
pub fn await_stop(pid: u32) {
    let stat = format!("/proc/{pid}/stat");
    until("the process is stopped", || {
        let stat = std::fs::read_to_string(&stat).unwrap();
        // The state follows the name, which may contain anything.
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    });
}
