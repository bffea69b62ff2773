//! Where words go: data to stdout, one JSON object per line if wanted; words for people to stderr.

use std::io::{self, IsTerminal, Write};

use onward::Error;
use owo_colors::OwoColorize;
use serde_json::Value;

use super::args::Global;

/// How this command talks.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    json: bool,
    quiet: bool,
    color: bool,
}

impl Out {
    /// As the flags ask.
    pub fn new(global: &Global) -> Self {
        let color = !global.no_color
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && io::stdout().is_terminal();
        Self { json: global.json, quiet: global.quiet, color }
    }

    /// For errors in the flags themselves.
    pub fn json() -> Self {
        Self { json: true, quiet: false, color: false }
    }

    /// Whether stdout carries JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether somebody watches stderr and wants to see how long work gets on.
    pub fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// One piece of data: a JSON object, or a line for people.
    pub fn data(&self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Told {
        let mut line = if self.json { json().to_string() } else { text() };
        line.push('\n');
        self.bytes(line.as_bytes())
    }

    /// Data as it is.
    pub fn bytes(&self, bytes: &[u8]) -> Told {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unsaid::Unheard),
            Err(error) => Err(Error::unavailable(
                "stdout cannot be written; check the disk or the program behind the pipe",
            )
            .with_source(error)
            .into()),
        }
    }

    /// A remark for people, unless they asked for quiet or a program reads along.
    pub fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            self.error(text);
        }
    }

    /// What was left out, by name. Where it should have been taken (`missed` of it), people are told in
    /// any case; a program that reads along has it in the JSON.
    pub fn left_out(&self, missed: u64, reasons: &[String]) {
        for reason in reasons {
            let line = format!("skipped: {}", printable(reason));
            if missed > 0 && !self.json { self.error(&line) } else { self.note(&line) }
        }
        if missed > 0 && !self.json {
            self.error(&format!("{}: {missed} could not be taken", self.red("not all")));
        }
    }

    /// A line on stderr in any case.
    pub fn error(&self, text: &str) {
        // Without a stderr there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Red where colours are wanted; so for the others.
    pub fn red(&self, text: &str) -> String {
        if self.color { text.red().to_string() } else { text.to_owned() }
    }

    /// Green.
    pub fn green(&self, text: &str) -> String {
        if self.color { text.green().to_string() } else { text.to_owned() }
    }

    /// Yellow.
    pub fn yellow(&self, text: &str) -> String {
        if self.color { text.yellow().to_string() } else { text.to_owned() }
    }

    /// Faint.
    pub fn faint(&self, text: &str) -> String {
        if self.color { text.dimmed().to_string() } else { text.to_owned() }
    }

    /// Strong.
    pub fn bold(&self, text: &str) -> String {
        if self.color { text.bold().to_string() } else { text.to_owned() }
    }
}

/// Why data was not said.
#[derive(Debug)]
pub enum Unsaid {
    /// It cannot be written.
    Error(Error),
    /// Whoever read our output has gone.
    Unheard,
}

impl From<Error> for Unsaid {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What writing comes to.
pub type Told = Result<(), Unsaid>;

/// Bytes for people: `1.5 MiB`.
pub fn human_bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Columns that a moment for people takes.
pub const TIME_WIDTH: usize = 26;

/// A moment for people, in their time zone, which is said.
pub fn local_time(ms: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    moment.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// Text of others without what could drive a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The same for text of several lines.
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}
