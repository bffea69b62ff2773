//! The server process: which program, how it is started, and how it is ended if it does not listen.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::data_dir::{DataDir, failed};
use super::options::Options;
use super::wait::wait_until;
use super::wire::{self, Answer};
use crate::clock::Deadline;
use crate::model::error::{Error, Result};

/// The oldest version whose commands and Lua Onward is written for.
const VERSION_MIN: (u32, u32) = (6, 2);

/// How long a living server without a socket is given to make one.
const COMING_UP: Duration = Duration::from_secs(5);

/// Whether no server lives.
pub(super) fn is_gone(dir: &DataDir) -> bool {
    matches!(dir.try_lock_alive(), Ok(Some(_)))
}

/// What became of a server that did not answer at first.
pub(super) enum Found {
    /// A server is there and answers.
    Reachable,
    /// It does not live; this is the lock for the next.
    Gone(File),
    /// It lives and does not answer.
    Unreachable,
}

/// Looks for a living server. One without a socket is given a little time: the process that
/// started it may have died before it was up.
pub(super) fn find(dir: &DataDir, deadline: &Deadline) -> Result<Found> {
    let mut found = Ok(Found::Unreachable);
    wait_until(&deadline.at_most(COMING_UP), || {
        found = match dir.try_lock_alive() {
            Ok(Some(alive)) => Ok(Found::Gone(alive)),
            Ok(None) if wire::ping(&dir.socket) == Answer::Well => Ok(Found::Reachable),
            Ok(None) => Ok(Found::Unreachable),
            Err(error) => Err(error),
        };
        !matches!(found, Ok(Found::Unreachable))
    });
    found
}

/// Ends a server that cannot be reached, with a signal that lets it write its data, and waits.
pub(super) fn terminate(dir: &DataDir, deadline: &Deadline) -> Result<()> {
    let stuck = || {
        Error::unavailable(format!(
            "the local Redis of {} neither answers nor ends; end it by hand and see {}",
            dir.path.display(),
            dir.log.display()
        ))
    };
    let text = match fs::read_to_string(&dir.pid) {
        Ok(text) => text,
        Err(_) if is_gone(dir) => return Ok(()),
        Err(error) => return Err(stuck().with_source(error)),
    };
    // The file is this server's, or empty: it is written under the lock that a living server holds.
    let pid: i32 = match text.trim().parse() {
        Ok(pid) if pid > 1 => pid,
        _ if is_gone(dir) => return Ok(()),
        _ => return Err(stuck()),
    };
    // SIGCONT, since a paused process takes nothing else. An error means that it has just ended,
    // which the wait below notices.
    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
    if wait_until(deadline, || is_gone(dir)) { Ok(()) } else { Err(stuck()) }
}

/// Starts the server and waits until it answers. `alive` is the lock that it takes over.
pub(super) fn start(
    dir: &DataDir,
    alive: File,
    options: &Options,
    deadline: &Deadline,
) -> Result<()> {
    let program = installed(&options.programs)?;
    dir.make_room()?;
    dir.record_socket()?;
    let mut child = spawn(program, dir, alive)
        .map_err(|error| Error::unavailable(format!("cannot run {program}")).with_source(error))?;
    let mut ended = None;
    let up = wait_until(deadline, || {
        ended = child.try_wait().ok().flatten();
        ended.is_some() || wire::ping(&dir.socket) == Answer::Well
    });
    if let Some(status) = ended {
        return Err(Error::unavailable(format!(
            "the local Redis of {} does not start ({status}): {}",
            dir.path.display(),
            last_words(&dir.log)
        )));
    }
    // Reaped when it ends, if this process still lives then; otherwise init does it.
    std::thread::spawn(move || child.wait());
    if up {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "the local Redis of {} is starting but does not answer yet; try again, and see {}",
        dir.path.display(),
        dir.log.display()
    )))
}

fn spawn(program: &str, dir: &DataDir, alive: File) -> io::Result<Child> {
    let log = File::options().create(true).append(true).open(&dir.log)?;
    Command::new(program)
        .args(["--port", "0", "--unixsocketperm", "700", "--daemonize", "no", "--supervised", "no"])
        .arg("--unixsocket")
        .arg(&dir.socket)
        .arg("--dir")
        .arg(&dir.path)
        .arg("--logfile")
        .arg(&dir.log)
        .arg("--pidfile")
        .arg(&dir.pid)
        // Staged writes live here only, and acknowledged ops are in the object store: one second
        // of either is what a crash of the machine may cost.
        .args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""])
        // What a large commit took from the staging area expires without holding others up.
        .args(["--lazyfree-lazy-expire", "yes"])
        // A queue that evicts is no queue: a full memory must refuse instead.
        .args(["--maxmemory-policy", "noeviction"])
        .current_dir(&dir.path)
        // The lock lives in the open file, and the open file lives in the server.
        .stdin(Stdio::from(alive))
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log))
        // A group of its own: Ctrl-C in the terminal of the first command is not for the server.
        .process_group(0)
        .spawn()
}

/// The first installed program, if it is new enough.
fn installed(programs: &[String]) -> Result<&str> {
    for program in programs {
        let output = match Command::new(program).arg("--version").stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed("run", Path::new(program), error)),
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        return match version(&text) {
            Some(version) if version >= VERSION_MIN => Ok(program),
            _ => Err(Error::unavailable(format!(
                "{program} is too old for a local instance ('{}'); version {}.{} or newer is \
                 needed: install one, or give the URL of another with --redis",
                text.trim(),
                VERSION_MIN.0,
                VERSION_MIN.1
            ))),
        };
    }
    Err(Error::unavailable(
        "no Redis server is installed for the local instance: install one with \
         `apt-get install redis-server`, or give the URL of a running one with --redis",
    ))
}

/// Reads `Redis server v=7.0.15 sha=…`.
fn version(text: &str) -> Option<(u32, u32)> {
    let number = text.split_whitespace().find_map(|word| word.strip_prefix("v="))?;
    let mut parts = number.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The last lines of the log, for the message about a server that does not start.
fn last_words(log: &Path) -> String {
    const LINES: usize = 5;
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(LINES).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_redis_and_its_kin_are_read() {
        assert_eq!(version("Redis server v=7.0.15 sha=00000000:0 malloc=x"), Some((7, 0)));
        assert_eq!(version("Valkey server v=8.1.0 sha=0"), Some((8, 1)));
        assert_eq!(version("something else"), None);
        assert!(version("Redis server v=6.0.16").unwrap() < VERSION_MIN);
        assert!(version("Redis server v=10.0.0").unwrap() > VERSION_MIN);
    }

    #[test]
    fn a_missing_server_says_how_to_get_one() {
        let error = installed(&["no-such-redis-server".to_owned()]).unwrap_err();
        assert!(error.message().contains("apt-get install redis-server"), "{error}");
        assert!(error.message().contains("--redis"), "{error}");
    }
}
