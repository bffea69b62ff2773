//! A difference by folder: what changed right here path by path, what changed further down as one line for
//! each folder, with how much. A page has a bounded cost, however much differs.
//!
//! Knows how lines are put together and where a page ends; where they come from is the callers'.

use futures::stream::BoxStream;

use onward::history::ScanStart;
use onward::read::ListRequest;
use onward::{Entry, ObjectPath, Result};

use super::folders::Folder;
use crate::folded::{self, Taken, read};

/// Rows of a page.
pub const ROWS_MAX: usize = 100;

/// Bytes of paths in the rows of a page: each is there as text and, escaped, in addresses. A page of long
/// paths ends early.
pub const PATH_BYTES_MAX: usize = 8 * 1024;

/// Changes of a page that are counted to the last; behind them only a few of each folder are.
const COUNTED_MAX: u64 = 10_000;

/// Changes of one folder that are counted.
const OF_FOLDER_MAX: u64 = 1000;

/// Changes of one folder that are counted once [`COUNTED_MAX`] were.
const OF_LATER_FOLDER_MAX: u64 = 50;

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only the second side has it.
    Added,
    /// Only the first side has it.
    Removed,
    /// Both have it, and not the same.
    Changed,
    /// Both sides of a merge have changed it.
    Conflict,
    /// It was changed, and is so already where the change would go.
    Settled,
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The path that differs.
    pub path: ObjectPath,
    /// How it does.
    pub kind: Kind,
    /// What there was.
    pub before: Option<Entry>,
    /// What there is.
    pub after: Option<Entry>,
}

impl Line {
    /// A path from what there was to what there is.
    pub fn new(path: ObjectPath, before: Option<Entry>, after: Option<Entry>) -> Self {
        let kind = match (&before, &after) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            _ => Kind::Changed,
        };
        Self { path, kind, before, after }
    }
}

/// How many paths of a folder differ, in each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Paths that were added.
    pub added: u64,
    /// Paths that were removed.
    pub removed: u64,
    /// Paths that were changed.
    pub changed: u64,
    /// Paths that are in conflict.
    pub conflicts: u64,
    /// Paths that are so already.
    pub settled: u64,
}

impl Counts {
    /// Counts one more.
    pub fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Added => self.added += 1,
            Kind::Removed => self.removed += 1,
            Kind::Changed => self.changed += 1,
            Kind::Conflict => self.conflicts += 1,
            Kind::Settled => self.settled += 1,
        }
    }

    /// Counts those of another.
    pub fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.removed += other.removed;
        self.changed += other.changed;
        self.conflicts += other.conflicts;
        self.settled += other.settled;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.added + self.removed + self.changed + self.conflicts + self.settled
    }
}

/// One row of a page.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// A path that differs.
    Object(Box<Line>),
    /// What differs in a folder.
    Folder {
        /// What its paths begin with.
        prefix: String,
        /// What was counted of it.
        counts: Counts,
        /// Whether there is more than was counted.
        has_more: bool,
    },
}

impl Row {
    /// What the next page is asked for behind.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(line) => line.path.as_str(),
            Self::Folder { prefix, .. } => prefix,
        }
    }
}

/// A page of a difference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grouped {
    /// Folders and paths in their order.
    pub rows: Vec<Row>,
    /// What the next page is to be asked for behind; `None` if this was the last.
    pub next: Option<String>,
}

/// A page of the lines of a folder. `open` gives the lines from some path on.
///
/// Costs the lines of the page: of large folders the first ones, and a new look for what is behind each.
pub async fn page_of<F>(folder: &Folder<'_>, open: impl Fn(ScanStart) -> F) -> Result<Grouped>
where
    F: Future<Output = Result<BoxStream<'static, Result<Line>>>>,
{
    let request = ListRequest {
        prefix: folder.prefix.to_owned(),
        delimiter: Some("/".to_owned()),
        after: folder.behind().map(str::to_owned),
        ..ListRequest::default()
    };
    let mut page = Page::default();
    read(&request, open, |folder, line| page.take(folder, line)).await?;
    Ok(page.grouped)
}

impl folded::Line for Line {
    fn path(&self) -> &str {
        self.path.as_str()
    }
}

/// A page in the making.
#[derive(Default)]
struct Page {
    grouped: Grouped,
    counted: u64,
    path_bytes: usize,
}

impl Page {
    fn take(&mut self, folder: Option<&str>, line: Line) -> Taken {
        if let Some(Row::Folder { prefix, counts, has_more }) = self.grouped.rows.last_mut()
            && Some(prefix.as_str()) == folder
        {
            let limit = match self.counted < COUNTED_MAX {
                true => OF_FOLDER_MAX,
                false => OF_LATER_FOLDER_MAX,
            };
            if counts.total() >= limit {
                *has_more = true;
                return Taken::BehindFolder;
            }
            counts.count(line.kind);
            self.counted += 1;
            return Taken::Next;
        }
        let name_len = folder.map_or(line.path.as_str().len(), str::len);
        let rows = &mut self.grouped.rows;
        let is_full = rows.len() >= ROWS_MAX || self.path_bytes + name_len > PATH_BYTES_MAX;
        if is_full && !rows.is_empty() {
            self.grouped.next = rows.last().map(|row| row.name().to_owned());
            return Taken::Enough;
        }
        self.path_bytes += name_len;
        self.counted += 1;
        rows.push(match folder {
            None => Row::Object(Box::new(line)),
            Some(folder) => {
                let mut counts = Counts::default();
                counts.count(line.kind);
                Row::Folder { prefix: folder.to_owned(), counts, has_more: false }
            }
        });
        Taken::Next
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::StreamExt;
    use onward::history::Position;

    use super::*;

    /// Pages of lines at these paths, one after another, each with how often lines were opened and how many
    /// were read for it.
    async fn pages(prefix: &str, paths: &[String]) -> Vec<(Grouped, usize, usize)> {
        let mut pages = Vec::new();
        let mut after = None::<String>;
        loop {
            let (opened, read) =
                (Cell::new(0), std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
            let open = |start: ScanStart| {
                opened.set(opened.get() + 1);
                let paths = paths.to_vec();
                let read = read.clone();
                async move {
                    let is_wanted = move |path: &String| {
                        path.starts_with(&start.prefix)
                            && match &start.position {
                                Position::First => true,
                                Position::At(from) => path >= from,
                                Position::After(from) => path > from,
                            }
                    };
                    let lines = paths.into_iter().filter(is_wanted).map(move |path| {
                        read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        Ok(Line::new(ObjectPath::new(path)?, None, Some(Entry::default())))
                    });
                    Ok(futures::stream::iter(lines).boxed())
                }
            };
            let top = crate::page::links::Link::to(&[]);
            let folder = Folder { top, prefix, after: after.as_deref().unwrap_or_default() };
            let page = page_of(&folder, open).await.unwrap();
            after = page.next.clone();
            pages.push((page, opened.get(), read.load(std::sync::atomic::Ordering::Relaxed)));
            if after.is_none() {
                return pages;
            }
        }
    }

    fn names(pages: &[(Grouped, usize, usize)]) -> Vec<String> {
        let rows = pages.iter().flat_map(|(page, _, _)| &page.rows);
        rows.map(|row| row.name().to_owned()).collect()
    }

    #[tokio::test]
    async fn folders_are_counted_and_paths_right_here_are_told() {
        let paths = ["a", "b/1", "b/2", "b/c/3", "d", "e//f"].map(str::to_owned);
        let told = pages("", &paths).await;
        assert_eq!(names(&told), ["a", "b/", "d", "e/"]);
        let Row::Folder { counts, has_more, .. } = &told[0].0.rows[1] else { panic!() };
        assert_eq!((counts.added, counts.total(), *has_more), (3, 3, false));
        assert_eq!(names(&pages("b/", &paths).await), ["b/1", "b/2", "b/c/"]);
        assert_eq!(names(&pages("e/", &paths).await), ["e//"]);
        assert!(names(&pages("none/", &paths).await).is_empty());
    }

    #[tokio::test]
    async fn a_page_costs_no_more_than_is_counted_of_its_folders() {
        let paths: Vec<String> = (0..250)
            .flat_map(|folder| (0..1200).map(move |n| format!("f{folder:03}/{n:04}")))
            .collect();
        let told = pages("", &paths).await;
        let expected: Vec<String> = (0..250).map(|folder| format!("f{folder:03}/")).collect();
        assert_eq!(names(&told), expected);
        assert_eq!(told.len(), 3);
        for (page, opened, read) in &told {
            assert!(page.rows.len() <= ROWS_MAX && *opened <= ROWS_MAX + 1, "{opened}");
            assert!(*read <= 10_000 + 1000 + 100 * 51, "{read}");
            for row in &page.rows {
                let Row::Folder { counts, has_more, .. } = row else { panic!() };
                assert!(*has_more && counts.total() >= 50, "{row:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_page_of_long_paths_ends_early_and_every_path_is_told_once() {
        let paths: Vec<String> = (0..150)
            .map(|n| format!("{n:03}{}", "x".repeat(if n < 50 { 1000 } else { 1 })))
            .collect();
        let told = pages("", &paths).await;
        assert_eq!(names(&told), paths);
        assert!(told.len() > 4, "{}", told.len());
        for (page, _, _) in &told {
            let bytes: usize = page.rows.iter().map(|row| row.name().len()).sum();
            assert!(bytes <= PATH_BYTES_MAX, "{bytes}");
        }
    }
}
