//! What differs, as a table: folders with how much, paths with what there was and is. And where the lines
//! come from: two commits, a merge before it is made, what is staged.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use maud::{Markup, html};

use onward::history::{Decision, ScanStart};
use onward::internals::repo::merge_base::ThreeWay;
use onward::internals::repo::{Branch, Repository};
use onward::{Entry, RefExpr, Result};

use super::at::At;
use super::folders::Folder;
use super::grouped::{Counts, Grouped, Kind, Line, Row, page_of};
use super::words::{at_least, cut, size};
use crate::error::ApiResult;
use crate::page::layout::{head, table};
use crate::page::links::Link;
use crate::page::words::count;

/// Staged changes that are looked at together, at first and at most: of many folders only the beginning of
/// each is wanted.
const STAGED_AT_FIRST: usize = 64;
const STAGED_PER_LOOK: usize = 512;

/// Lines of a difference, in path order.
pub type Lines = BoxStream<'static, Result<Line>>;

/// A page of what differs between two refs, with its way through the folders; `said` is said of how much
/// that is, on the first page of a folder.
pub async fn between(
    at: &At,
    folder: &Folder<'_>,
    (from, to): (&RefExpr, &RefExpr),
    said: Markup,
) -> ApiResult<Markup> {
    let page = page_of(folder, |start| lines(&at.repo, from, to, start)).await?;
    let object = |line: &Line| {
        let of = if line.after.is_some() { to } else { from };
        Some(at.links().object(&of.to_string(), line.path.as_str()))
    };
    let (before, after, settled) = ("Before", "After", "the same");
    let shown = Table { folder, before, after, settled, object: &object };
    let (all, has_more) = in_all(&page);
    Ok(html! {
        (folder.trail())
        @if folder.after.is_empty() { p { (at_least(all.total(), has_more)) " paths differ" (said) "." } }
        (shown.show(&page))
    })
}

async fn lines(repo: &Repository, from: &RefExpr, to: &RefExpr, start: ScanStart) -> Result<Lines> {
    let all = repo.diff_from(from, to, start).await?;
    Ok(all.map_ok(|diff| Line::new(diff.path, diff.before, diff.after)).boxed())
}

/// What a merge would bring.
pub fn merging(three: &ThreeWay, start: ScanStart) -> Lines {
    let line = |ruled: onward::history::Ruled| {
        let mut line = Line::new(ruled.path, ruled.base, ruled.source);
        match ruled.decision {
            Decision::TakeSource => {}
            Decision::KeepDest => line.kind = Kind::Settled,
            Decision::Conflict => {
                line.kind = Kind::Conflict;
                line.before = ruled.dest;
            }
        }
        line
    };
    three.from(start).map_ok(line).boxed()
}

/// What is staged on a branch, beside what is committed there.
pub async fn staged(branch: Branch, start: ScanStart) -> Result<Lines> {
    let from = (branch, Some(start), STAGED_AT_FIRST);
    let looks = futures::stream::try_unfold(from, |(branch, start, most)| async move {
        let Some(start) = start else { return Ok(None) };
        let changes = branch.staged_from(&start, most).await?;
        let last = changes.last().filter(|_| changes.len() == most);
        let next = last.map(|change| start.clone().after(change.path.as_str()));
        let paths: Vec<_> = changes.iter().map(|change| change.path.clone()).collect();
        let there = branch.committed(&paths).await?;
        let lines: Vec<Result<Line>> = changes
            .into_iter()
            .zip(there)
            .map(|(change, before)| {
                Ok(of_staged(change.path, before, change.change.entry().cloned()))
            })
            .collect();
        let more = STAGED_PER_LOOK.min(most * 2);
        Ok(Some((futures::stream::iter(lines), (branch, next, more))))
    });
    Ok(looks.try_flatten().boxed())
}

fn of_staged(path: onward::ObjectPath, before: Option<Entry>, after: Option<Entry>) -> Line {
    let is_so_already = match (&before, &after) {
        (None, None) => true,
        (Some(before), Some(after)) => before.same_identity(after),
        _ => false,
    };
    let mut line = Line::new(path, before, after);
    if is_so_already {
        line.kind = Kind::Settled;
    }
    line
}

/// What a table of changes needs to know to be written.
pub struct Table<'a> {
    /// Where it is.
    pub folder: &'a Folder<'a>,
    /// What the first side is called.
    pub before: &'a str,
    /// What the second side is called.
    pub after: &'a str,
    /// What is said of paths that are so already.
    pub settled: &'a str,
    /// Where a path leads, if anywhere.
    pub object: &'a dyn Fn(&Line) -> Option<Link>,
}

impl Table<'_> {
    /// A page of changes.
    pub fn show(&self, page: &Grouped) -> Markup {
        if page.rows.is_empty() {
            return html! { p.empty { "Nothing differs here." } };
        }
        let rows = html! {
            (head(["Path", "Change", self.before, self.after]))
            tbody { @for row in &page.rows { tr { (self.row(row)) } } }
        };
        html! { (table("Changes", rows)) (self.folder.further(page.next.as_deref())) }
    }

    fn row(&self, row: &Row) -> Markup {
        match row {
            Row::Object(line) => self.line(line),
            Row::Folder { prefix, counts, has_more } => html! {
                th scope="row" { a href=(self.folder.at(prefix)) { (self.folder.shown(prefix)) } }
                td colspan="3" { (self.counted(counts, *has_more)) }
            },
        }
    }

    fn line(&self, line: &Line) -> Markup {
        let shown = self.folder.shown(line.path.as_str());
        let (kind, word) = match line.kind {
            Kind::Added => ("added", "added"),
            Kind::Removed => ("removed", "removed"),
            Kind::Changed => ("changed", "changed"),
            Kind::Conflict => ("conflict", "conflict"),
            Kind::Settled => ("settled", self.settled),
        };
        html! {
            th scope="row" {
                @match (self.object)(line) {
                    Some(link) => a href=(link) { (shown) },
                    None => (shown),
                }
            }
            td { span.mark.(kind) { (word) } }
            td { (side(line.before.as_ref())) }
            td { (side(line.after.as_ref())) }
        }
    }

    fn counted(&self, counts: &Counts, has_more: bool) -> Markup {
        let kinds = [
            ("added", "added", counts.added),
            ("removed", "removed", counts.removed),
            ("changed", "changed", counts.changed),
            ("conflict", "in conflict", counts.conflicts),
            ("settled", self.settled, counts.settled),
        ];
        html! {
            @if has_more { (at_least(counts.total(), true)) " paths; of these: " }
            @for (kind, word, number) in kinds.into_iter().filter(|(_, _, number)| *number > 0) {
                span.mark.(kind) { (count(number)) " " (word) } " "
            }
        }
    }
}

/// What one side has at a path.
pub fn side(entry: Option<&Entry>) -> Markup {
    match entry {
        None => html! { span.none { "nothing" } },
        Some(entry) => html! {
            (size(entry.size)) " "
            code { (cut(&entry.checksum, 12)) }
        },
    }
}

/// How many paths differ, as far as it was counted.
pub fn in_all(page: &Grouped) -> (Counts, bool) {
    let mut all = Counts::default();
    let mut has_more = page.next.is_some();
    for row in &page.rows {
        match row {
            Row::Object(line) => all.count(line.kind),
            Row::Folder { counts, has_more: more, .. } => {
                all.add(counts);
                has_more |= more;
            }
        }
    }
    (all, has_more)
}
