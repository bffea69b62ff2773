//! The local instance: one server for a data directory, whoever starts it, however often.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid};
use onward::internals::local::{self, LocalInstance, Options, ServerState};
use tempfile::TempDir;

use crate::support::until::until;

const DATA_DIR_VARIABLE: &str = "ONWARD_TEST_DATA_DIR";

/// A data directory whose instance goes with it, even when the test panics.
struct DataDir {
    dir: TempDir,
    data: PathBuf,
}

impl DataDir {
    fn new(below: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("onward-local-").tempdir().unwrap();
        let data = dir.path().join(below);
        Self { dir, data }
    }

    fn pid(&self) -> Pid {
        match local::status(&self.data).unwrap().unwrap().server {
            ServerState::Running { pid, .. } => Pid::from_raw(pid.try_into().unwrap()),
            other => panic!("not running: {other:?}"),
        }
    }

    fn kill9(&self) {
        kill(self.pid(), Signal::SIGKILL).unwrap();
        until("the server is gone", || {
            local::status(&self.data).unwrap().unwrap().server == ServerState::Stopped
        });
    }
}

impl AsRef<Path> for DataDir {
    fn as_ref(&self) -> &Path {
        &self.data
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = local::stop(&self.data);
        let _ = self.dir.path();
    }
}

fn set(instance: &LocalInstance, value: &str) {
    let mut connection =
        redis::Client::open(instance.redis_url.as_str()).unwrap().get_connection().unwrap();
    redis::cmd("SET").arg("k").arg(value).exec(&mut connection).unwrap();
}

fn get(instance: &LocalInstance) -> Option<String> {
    let mut connection =
        redis::Client::open(instance.redis_url.as_str()).unwrap().get_connection().unwrap();
    redis::cmd("GET").arg("k").query(&mut connection).unwrap()
}

#[test]
fn an_instance_starts_on_demand_stops_and_keeps_its_data() {
    let dir = DataDir::new("with space ü/.onward");
    assert_eq!(local::status(&dir).unwrap(), None);
    assert!(!local::stop(&dir).unwrap());
    let first = LocalInstance::ensure(&dir).unwrap();
    assert!(first.started);
    set(&first, "v");
    let again = LocalInstance::ensure(&dir).unwrap();
    assert!(!again.started);
    assert_eq!((&again.redis_url, &again.storage_url), (&first.redis_url, &first.storage_url));
    assert_ne!(getpgid(Some(dir.pid())).unwrap(), getpgid(None).unwrap(), "Ctrl-C is not for it");
    assert!(local::stop(&dir).unwrap());
    assert_eq!(local::status(&dir).unwrap().unwrap().server, ServerState::Stopped);
    assert!(!local::stop(&dir).unwrap());
    let next = LocalInstance::ensure(&dir).unwrap();
    assert!(next.started);
    assert_eq!(get(&next).as_deref(), Some("v"));
    assert!(onward::internals::objects::Objects::open(&next.storage_url).is_ok());
}

#[test]
fn what_a_killed_server_leaves_behind_does_not_stop_the_next() {
    let dir = DataDir::new("d");
    let first = LocalInstance::ensure(&dir).unwrap();
    dir.kill9();
    assert!(dir.data.join("redis.sock").exists() && dir.data.join("redis.pid").exists());
    let second = LocalInstance::ensure(&dir).unwrap();
    assert!(second.started);
    assert_eq!(second.redis_url, first.redis_url);
}

#[test]
fn a_server_whose_socket_was_removed_is_replaced_and_never_doubled() {
    let dir = DataDir::new("d");
    let first = LocalInstance::ensure(&dir).unwrap();
    set(&first, "kept");
    let old = dir.pid();
    std::fs::remove_file(dir.data.join("redis.sock")).unwrap();
    let second = LocalInstance::ensure(&dir).unwrap();
    assert!(second.started);
    assert_ne!(dir.pid(), old);
    assert_eq!(get(&second).as_deref(), Some("kept"));
    assert!(nix::sys::signal::kill(old, None).is_err(), "the old one has ended");
}

#[test]
fn a_paused_server_is_told_from_a_stopped_one_and_can_be_stopped() {
    let dir = DataDir::new("d");
    let first = LocalInstance::ensure(&dir).unwrap();
    set(&first, "kept");
    kill(dir.pid(), Signal::SIGSTOP).unwrap();
    assert_eq!(local::status(&dir).unwrap().unwrap().server, ServerState::Silent);
    let impatient = Options { patience: std::time::Duration::ZERO, ..Options::default() };
    let error = LocalInstance::ensure_with(&dir, &impatient).unwrap_err();
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert!(local::stop(&dir).unwrap());
    assert_eq!(get(&LocalInstance::ensure(&dir).unwrap()).as_deref(), Some("kept"));
}

#[test]
fn a_long_data_directory_has_its_socket_elsewhere_and_all_find_it() {
    let dir = DataDir::new(&["a-rather-long-name"; 8].join("/"));
    let first = LocalInstance::ensure(&dir).unwrap();
    assert!(!dir.data.join("redis.sock").exists());
    assert!(first.redis_url.len() < 110, "{}", first.redis_url);
    set(&first, "v");
    // Another environment would choose another place, were the choice not written down.
    let elsewhere = tempfile::tempdir().unwrap();
    let output = child(&dir.data).env("XDG_RUNTIME_DIR", elsewhere.path()).output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("started=false"));
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn sixteen_processes_that_start_at_once_end_with_one_server() {
    let dir = DataDir::new("d");
    let children: Vec<_> =
        (0..16).map(|_| child(&dir.data).stdout(Stdio::piped()).spawn().unwrap()).collect();
    let outputs: Vec<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    let starters = outputs.iter().filter(|output| output.contains("started=true")).count();
    assert_eq!(starters, 1, "{outputs:?}");
    // The process that started it is gone; the server is not.
    assert!(!LocalInstance::ensure(&dir).unwrap().started);
}

#[test]
fn sixteen_threads_that_start_at_once_end_with_one_server() {
    let dir = DataDir::new("d");
    let started: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..16).map(|_| scope.spawn(|| LocalInstance::ensure(&dir).unwrap().started)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(started.iter().filter(|&&started| started).count(), 1);
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let dir = DataDir::new("d");
    std::fs::create_dir_all(&dir.data).unwrap();
    let broken = dir.data.join("broken-server");
    std::fs::write(&broken, "#!/bin/sh\ncase $1 in --version) echo 'Redis server v=7.0.0';; *) echo 'Bad directive' >&2; exit 1;; esac\n").unwrap();
    std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let ensure = |program: &Path| {
        let programs = vec![program.to_str().unwrap().to_owned()];
        LocalInstance::ensure_with(&dir, &Options { programs, ..Options::default() })
    };
    let error = ensure(&broken).unwrap_err();
    assert!(error.to_string().contains("Bad directive"), "{error}");
    let error = ensure(Path::new("no-such-server")).unwrap_err();
    assert!(error.to_string().contains("apt-get install redis-server"), "{error}");
    assert!(LocalInstance::ensure(&dir).unwrap().started, "a failed start is in nobody's way");
}

#[test]
fn one_that_died_and_could_not_be_started_is_revived_later_unless_it_was_stopped() {
    let dir = DataDir::new("d");
    let log = dir.data.join("redis.log");
    let dies_and_cannot_start = || {
        dir.kill9();
        std::fs::remove_file(&log).unwrap();
        std::fs::create_dir(&log).unwrap();
        for _ in 0..2 {
            local::revive(&dir).unwrap_err();
        }
        // Nor does it look stopped after somebody else has tried.
        LocalInstance::ensure(&dir).unwrap_err();
        local::revive(&dir).unwrap_err();
    };
    LocalInstance::ensure(&dir).unwrap();
    assert!(!local::revive(&dir).unwrap());
    dies_and_cannot_start();
    std::fs::remove_dir(&log).unwrap();
    assert!(local::revive(&dir).unwrap());
    dies_and_cannot_start();
    std::fs::remove_dir(&log).unwrap();
    assert!(!local::stop(&dir).unwrap());
    assert!(!local::revive(&dir).unwrap());
    assert_eq!(local::status(&dir).unwrap().unwrap().server, ServerState::Stopped);
}

/// This test binary as another process that runs [`in_another_process`].
fn child(data_dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "local::in_another_process", "--nocapture"])
        .env(DATA_DIR_VARIABLE, data_dir)
        .stdin(Stdio::null());
    command
}

/// Does nothing unless [`child`] runs it.
#[test]
fn in_another_process() {
    if let Some(data_dir) = std::env::var_os(DATA_DIR_VARIABLE) {
        let instance = LocalInstance::ensure(data_dir).unwrap();
        println!("started={}", instance.started);
    }
}
