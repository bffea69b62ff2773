//! Stale appends, brought onto what others have done meanwhile.

use std::io;

use super::draft::Draft;
use super::{Commit, Moment, TableFiles, Update};

/// Why a commit was not rebased.
pub(super) enum NotRebased {
    /// It cannot be.
    Not(String),
    /// Files that it takes were not at hand.
    Unavailable(io::Error),
}

pub(super) struct Rebase<'a> {
    _moment: &'a Moment<'a>,
    _files: &'a dyn TableFiles,
}

impl<'a> Rebase<'a> {
    pub(super) fn new(moment: &'a Moment<'a>, files: &'a dyn TableFiles) -> Self {
        Self { _moment: moment, _files: files }
    }

    pub(super) async fn updates(
        &mut self,
        _commit: &Commit,
        _draft: &Draft,
    ) -> Result<Vec<Update>, NotRebased> {
        Err(NotRebased::Not("not offered".to_owned()))
    }

    pub(super) async fn write_all(&mut self) -> io::Result<()> {
        Ok(())
    }
}
