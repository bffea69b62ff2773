//! Where a benchmark's results go, and what is shown of it while it runs.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use onward::Result;
use serde_json::Value;

use super::super::out::{Out, Unsaid};
use super::super::progress::Progress;
use super::plot::{self, Chart};
use super::table::{self, Cell};

/// The end of a benchmark that people and scripts see.
pub struct Teller {
    out: Out,
    progress: Progress,
    /// What stands above the rows told last.
    header: Mutex<String>,
}

impl Teller {
    /// Nothing told yet.
    pub fn new(out: &Out) -> Self {
        Self { out: *out, progress: Progress::moving(out), header: Mutex::default() }
    }

    /// Shows what is being done from now on, to somebody who watches.
    pub fn begin(&self, what: impl FnOnce() -> String) {
        self.progress.begin(what);
    }

    /// Tells one result as soon as it is there: as JSON, or as a row under its header.
    pub fn tell(
        &self,
        json: impl FnOnce() -> Value,
        row: impl FnOnce() -> Vec<Cell>,
    ) -> Result<()> {
        let text = || {
            let row = row();
            let (above, line) = (table::header(&row), table::line(&row));
            let mut header = self.header.lock().unwrap_or_else(PoisonError::into_inner);
            if *header == above {
                return line;
            }
            header.clone_from(&above);
            format!("{above}\n{line}")
        };
        // A reader that has gone ends the run when the next command writes.
        self.progress.aside(|| self.out.data(json, text)).or_else(|unsaid| match unsaid {
            Unsaid::Error(error) => Err(error),
            Unsaid::Unheard => Ok(()),
        })
    }

    /// A remark for people.
    pub fn note(&self, text: &str) {
        self.progress.aside(|| self.out.note(text));
    }

    /// Draws charts beside each other, if a picture is wanted.
    pub fn draw(&self, file: Option<&Path>, charts: &[Chart]) -> Result<()> {
        let Some(file) = file else { return Ok(()) };
        plot::draw(file, charts)?;
        self.note(&format!("drawn into {}", file.display()));
        Ok(())
    }

    /// Nothing more is being done.
    pub fn end(self) {
        self.progress.end();
    }
}
