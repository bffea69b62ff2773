//! The k-way merge under scans, diffs and folds: many cursors as one sequence, ordered by path and
//! then by priority.

use std::cmp::Ordering;

use futures::future::try_join_all;

use super::cursor::RunCursor;
use crate::model::error::Result;

/// A cursor with its place among cursors at the same path: the smallest comes first.
struct Source {
    /// Boxed, because the heap moves it.
    cursor: Box<RunCursor>,
    priority: usize,
}

impl Source {
    /// Cursors at their end come last.
    fn order(&self, other: &Self) -> Ordering {
        match (self.cursor.path(), other.cursor.path()) {
            (Some(a), Some(b)) => a.cmp(b).then(self.priority.cmp(&other.priority)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.priority.cmp(&other.priority),
        }
    }
}

/// Stands at the smallest record of all its cursors.
pub(crate) struct Merge {
    /// A binary heap, smallest first.
    heap: Vec<Source>,
    /// The path being left behind; kept to be reused.
    leaving: String,
}

impl Merge {
    /// Merges `cursors`; the index of each is its priority. Stands nowhere until
    /// [`Merge::seek_all`].
    pub(crate) fn new(cursors: Vec<RunCursor>) -> Self {
        let heap = cursors
            .into_iter()
            .enumerate()
            .map(|(priority, cursor)| Source { cursor: Box::new(cursor), priority })
            .collect();
        Self { heap, leaving: String::new() }
    }

    /// Moves every cursor to the first path not in front of `bound`, all at once.
    pub(crate) async fn seek_all(&mut self, bound: &[u8]) -> Result<()> {
        try_join_all(self.heap.iter_mut().map(|source| source.cursor.seek(bound))).await?;
        self.restore_all();
        Ok(())
    }

    /// Moves the cursors that are in front of `bound` there.
    pub(crate) async fn skip_to(&mut self, bound: &[u8]) -> Result<()> {
        let behind = self
            .heap
            .iter_mut()
            .filter(|source| source.cursor.path().is_some_and(|path| path.as_bytes() < bound));
        try_join_all(behind.map(|source| source.cursor.seek(bound))).await?;
        self.restore_all();
        Ok(())
    }

    /// The cursor at the smallest record and its priority; `None` at the end.
    pub(crate) fn head(&self) -> Option<(&RunCursor, usize)> {
        let source = self.heap.first()?;
        source.cursor.path()?;
        Some((&source.cursor, source.priority))
    }

    /// The path of the smallest record.
    pub(crate) fn path(&self) -> Option<&str> {
        self.head().and_then(|(cursor, _)| cursor.path())
    }

    /// Passes the smallest record; other cursors may stand at the same path.
    pub(crate) async fn advance(&mut self) -> Result<()> {
        if let Some(source) = self.heap.first_mut() {
            source.cursor.advance().await?;
        }
        self.sift_down(0);
        Ok(())
    }

    /// Passes the path of the smallest record in all cursors.
    pub(crate) async fn next_path(&mut self) -> Result<()> {
        if self.heap.len() < 2 {
            return self.advance().await;
        }
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.clear();
        leaving.push_str(self.path().unwrap_or_default());
        loop {
            self.advance().await?;
            if self.path() != Some(leaving.as_str()) {
                break;
            }
        }
        self.leaving = leaving;
        Ok(())
    }

    fn restore_all(&mut self) {
        for at in (0..self.heap.len() / 2).rev() {
            self.sift_down(at);
        }
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let smaller_child = {
                let (left, right) = (self.heap.get(2 * at + 1), self.heap.get(2 * at + 2));
                match (left, right) {
                    (Some(left), Some(right)) if right.order(left).is_lt() => 2 * at + 2,
                    (Some(_), _) => 2 * at + 1,
                    (None, _) => return,
                }
            };
            let (this, child) = (self.heap.get(at), self.heap.get(smaller_child));
            let in_order = this.zip(child).is_none_or(|(this, child)| this.order(child).is_lt());
            if in_order {
                return;
            }
            self.heap.swap(at, smaller_child);
            at = smaller_child;
        }
    }
}
