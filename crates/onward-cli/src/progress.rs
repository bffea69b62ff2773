//! How far long work has come, for somebody who watches.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::out::Out;

/// How often a line moves by itself.
const TICK: Duration = Duration::from_millis(120);

/// A line on stderr that moves; nothing where nobody watches.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Starts it.
    pub fn new(out: &Out) -> Self {
        Self(out.shows_progress().then(bar))
    }

    /// Starts one that moves by itself, for work that has nothing to show for a while.
    pub fn moving(out: &Out) -> Self {
        let progress = Self::new(out);
        if let Some(bar) = &progress.0 {
            bar.enable_steady_tick(TICK);
        }
        progress
    }

    /// Shows what is being done from now on, and for how long.
    pub fn begin(&self, what: impl FnOnce() -> String) {
        if let Some(bar) = &self.0 {
            bar.reset_elapsed();
        }
        self.show(what);
    }

    /// Whether somebody watches.
    pub fn is_watched(&self) -> bool {
        self.0.is_some()
    }

    /// Shows how far the work has come.
    pub fn show(&self, text: impl FnOnce() -> String) {
        if let Some(bar) = &self.0 {
            bar.set_message(text());
            bar.tick();
        }
    }

    /// Writes something else, with the line out of its way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the line away.
    pub fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    match ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
