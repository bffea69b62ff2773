//! Long lists on a terminal, page by page: by the program that `PAGER` names, or `less`. What is piped or is for
//! programs goes through nothing.

use std::io::IsTerminal;
use std::process::Stdio;

use nix::unistd::dup2_stdout;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::out::Out;

/// What `less` does unless `LESS` says otherwise: ends by itself where all fits a screen, shows colours, and leaves
/// what it showed. As git has it.
const LESS: &str = "FRX";

/// A program that shows what is written to stdout from its beginning on.
pub struct Pager {
    shows: Child,
    /// Ctrl-C is for the pager: it stops a search and not this command, which ends with the pager.
    _caught: Signal,
}

impl Pager {
    /// Begins one where somebody sits in front of a terminal, who did not choose `cat` or nothing.
    pub fn begin(out: &Out) -> Option<Self> {
        if out.is_json() || !std::io::stdout().is_terminal() {
            return None;
        }
        let chosen = std::env::var("PAGER").ok();
        let mut command = match chosen.as_deref().map(str::trim) {
            Some("" | "cat") => return None,
            Some(program) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", program]);
                shell
            }
            None => Command::new("less"),
        };
        if std::env::var_os("LESS").is_none() {
            command.env("LESS", LESS);
        }
        // Where there is no less, nothing is paged, and Ctrl-C ends this command: once it is caught, it is for good.
        let mut shows = command.stdin(Stdio::piped()).spawn().ok()?;
        let caught = signal(SignalKind::interrupt()).ok()?;
        let into = shows.stdin.take()?.into_owned_fd().ok()?;
        dup2_stdout(into).ok()?;
        Some(Self { shows, _caught: caught })
    }

    /// Waits until nobody looks any more; for ever where nothing is paged.
    pub async fn gone(pager: &mut Option<Self>) {
        match pager {
            Some(pager) => drop(pager.shows.wait().await),
            None => std::future::pending().await,
        }
    }

    /// Says that this was all, and waits until it was looked at.
    pub async fn end(mut self) {
        // Its end of the pipe closes with ours.
        let closed =
            std::fs::File::create("/dev/null").is_ok_and(|nothing| dup2_stdout(nothing).is_ok());
        if closed {
            drop(self.shows.wait().await);
        }
    }
}
