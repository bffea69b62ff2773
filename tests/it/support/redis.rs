//! A private, real `redis-server` in a temporary directory: started, stopped, killed, paused and
//! restarted at will, and gone with its value even when the test panics.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::until::until;

/// Where a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A Unix socket in the server's directory.
    Socket,
    /// A free port of the loopback interface.
    Port,
    /// Such a port, and another one for the bus of the cluster that the server is to be part of.
    Cluster,
}

/// The program that serves Redis in tests: `ONWARD_TEST_REDIS`, or else `redis-server`.
pub fn server_program() -> String {
    std::env::var("ONWARD_TEST_REDIS").unwrap_or_else(|_| "redis-server".to_owned())
}

/// The first part of the version of that program.
fn major() -> u32 {
    static MAJOR: OnceLock<u32> = OnceLock::new();
    *MAJOR.get_or_init(|| {
        let told = Command::new(server_program()).arg("--version").output();
        let told = told.expect("redis-server is needed: apt-get install redis-server").stdout;
        let told = String::from_utf8(told).unwrap();
        let version = told.split_once("v=").unwrap_or_else(|| panic!("no version: {told}")).1;
        version.split('.').next().unwrap().parse().unwrap()
    })
}

/// One server. Its data directory survives [`stop`](Self::stop), [`kill9`](Self::kill9) and
/// [`start`](Self::start), and goes with the value.
pub struct RedisServer {
    dir: TempDir,
    listen: Listen,
    port: u16,
    bus_port: u16,
    args: Vec<String>,
    variables: Vec<(String, String)>,
    child: Option<Child>,
}

impl RedisServer {
    /// A server on a Unix socket that keeps everything in an append-only file flushed at once, as
    /// a careful deployment does.
    pub fn new() -> Self {
        Self::with(Listen::Socket, &["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// A server on a Unix socket that keeps nothing on disk: a restart loses everything.
    pub fn forgetful() -> Self {
        Self::with(Listen::Socket, &["--appendonly", "no"])
    }

    /// A server with `args` behind the defaults, which they override (`--maxmemory`, `2mb`, …).
    pub fn with(listen: Listen, args: &[&str]) -> Self {
        Self::within(listen, args, &[])
    }

    /// The same, in an environment with `variables`.
    pub fn within(listen: Listen, args: &[&str], variables: &[(String, String)]) -> Self {
        let mut server = Self {
            dir: tempfile::Builder::new().prefix("onward-redis-").tempdir().unwrap(),
            listen,
            port: 0,
            bus_port: 0,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            variables: variables.to_vec(),
            child: None,
        };
        server.start();
        server
    }

    /// The URL for clients, the same over restarts.
    pub fn url(&self) -> String {
        match self.listen {
            Listen::Socket => format!("unix://{}", self.socket().display()),
            Listen::Port | Listen::Cluster => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// The server's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The Unix socket, if it listens on one.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// The port, 0 on a Unix socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of the cluster's bus.
    pub fn bus_port(&self) -> u16 {
        self.bus_port
    }

    /// A plain blocking connection.
    pub fn connect(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// Sends one command and returns its reply.
    pub fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).unwrap()
    }

    /// The same, of a server that may be down, or refuse.
    pub fn try_command<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        let patience = std::time::Duration::from_secs(5);
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(patience)?;
        connection.set_read_timeout(Some(patience))?;
        command.query(&mut connection)
    }

    /// Starts the server and waits until it answers. Another port is tried if somebody took it
    /// first; afterwards the port stays the same.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        for _ in 0..10 {
            if self.listen != Listen::Socket && self.port == 0 {
                self.port = free_port();
            }
            if self.listen == Listen::Cluster && self.bus_port == 0 {
                self.bus_port = free_port();
            }
            self.child = Some(self.spawn());
            if self.wait_ready() {
                return;
            }
            self.child = None;
            self.port = 0;
            self.bus_port = 0;
        }
        panic!("the server does not start:\n{}", self.log());
    }

    fn spawn(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = Command::new(server_program());
        if self.listen == Listen::Cluster {
            command.args(["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]);
            command.args(["--cluster-port", &self.bus_port.to_string()]);
        }
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--unixsocket", self.socket().to_str().unwrap()])
            .args(["--dir", self.dir.path().to_str().unwrap()])
            .args(["--save", "", "--maxmemory-policy", "noeviction"])
            .args(["--daemonize", "no"])
            // Before, it was always enabled, and no setting.
            .args(if major() >= 7 { &["--enable-debug-command", "yes"][..] } else { &[] })
            .args(&self.args)
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("redis-server is needed: apt-get install redis-server")
    }

    /// Whether its process runs, or is frozen.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Whether it came up (true) or ended by itself (false).
    fn wait_ready(&mut self) -> bool {
        let client = redis::Client::open(self.url()).unwrap();
        let child = self.child.as_mut().unwrap();
        let mut up = false;
        until("redis-server answers", || {
            if child.try_wait().unwrap().is_some() {
                return true;
            }
            up = client.get_connection().is_ok_and(|mut connection| {
                redis::cmd("PING").query::<String>(&mut connection).is_ok()
            });
            up
        });
        up
    }

    /// Ends it as a system does at shutdown: what is in memory is written as configured.
    pub fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    /// Ends it by its own command, without what is in memory.
    pub fn shut_down_without_saving(&mut self) {
        // It breaks the connection instead of an answer.
        let _ = redis::cmd("SHUTDOWN").arg("NOSAVE").query::<()>(&mut self.connect());
        let mut child = self.child.take().unwrap();
        child.wait().unwrap();
    }

    /// Ends it as a power failure does.
    pub fn kill9(&mut self) {
        self.end(Signal::SIGKILL);
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut child) = self.child.take() {
            // A stopped process takes no SIGTERM before it continues.
            let _ = kill(pid(&child), Signal::SIGCONT);
            kill(pid(&child), signal).unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops and starts it.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// Removes everything it has on disk. Only while it is stopped.
    pub fn wipe(&mut self) {
        assert!(self.child.is_none(), "stop the server first");
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else if path != self.log_path() {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    /// Freezes it: connections stay open, nothing is answered.
    pub fn pause(&self) {
        kill(pid(self.child.as_ref().unwrap()), Signal::SIGSTOP).unwrap();
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        kill(pid(self.child.as_ref().unwrap()), Signal::SIGCONT).unwrap();
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("redis.log")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
