//! A real broker: the one that `scripts/test-kafka` has started, or one of a test's own, to be killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::redis::free_port;
use super::topics::Topics;
use super::until::until_async;

/// What `scripts/test-kafka` says.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run scripts/test-kafka"))
}

/// The broker that all tests share.
pub fn shared() -> Topics {
    Topics::at(&variable("ONWARD_TEST_KAFKA"))
}

/// Gives a user of the shared broker a right.
pub fn allow(user: &str, kind: &str, name: &str, operation: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker/allow.py");
    let brokers = variable("ONWARD_TEST_KAFKA");
    let words = [script, &brokers, user, kind, name, operation];
    let done = Command::new(variable("ONWARD_TEST_KAFKA_PYTHON")).args(words).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A broker of one's own; killed with the value.
pub struct Server {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    pub async fn new() -> Self {
        Self::with("").await
    }

    /// With settings besides the usual ones.
    pub async fn with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (port, controller) = (free_port(), free_port());
        let template = fs::read_to_string(variable("ONWARD_TEST_KAFKA_TEMPLATE")).unwrap();
        let settings = format!("{template}\n{more}\n")
            .replace("@PORT@", &port.to_string())
            .replace("@CONTROLLER@", &controller.to_string())
            .replace("@DATA@", dir.path().join("data").to_str().unwrap());
        fs::write(dir.path().join("server.properties"), settings).unwrap();
        let mut server = Self { dir, port, child: None };
        let id = "MkU3OEVBNTcwNTJENDM2Qg";
        let formatted =
            server.java(&["kafka.tools.StorageTool", "format", "-t", id, "-c"]).status();
        assert!(formatted.unwrap().success(), "{}", server.log());
        server.start().await;
        server
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn java(&self, arguments: &[&str]) -> Command {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let jars = format!("{}/*", variable("ONWARD_TEST_KAFKA_JARS"));
        let mut command = Command::new("java");
        command
            .args([
                "-Xms128m",
                "-Xmx384m",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-cp",
                &jars,
            ])
            .args(arguments)
            .arg(self.dir.path().join("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command
    }

    pub async fn start(&mut self) {
        self.child = Some(self.java(&["kafka.Kafka"]).spawn().unwrap());
        let topics = Topics::at(&self.brokers());
        until_async("the broker answers", || async { topics.is_answered() }).await;
    }

    /// Ends it as a power failure does.
    pub fn kill9(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends it in order: what its log has is not looked through when it starts again.
    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
        child.wait().unwrap();
    }

    /// The file with the first records of a partition.
    pub fn first_segment(&self, topic: &str, partition: i32) -> PathBuf {
        let folder = self.dir.path().join("data").join(format!("{topic}-{partition}"));
        folder.join(format!("{:020}.log", 0))
    }

    fn log_path(&self) -> impl AsRef<Path> {
        self.dir.path().join("log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
