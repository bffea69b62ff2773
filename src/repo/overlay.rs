//! A branch with its uncommitted changes: staged over sealed (newest first) over the head, as one
//! sorted sequence that can be entered anywhere.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::commit::context::BranchContext;
use crate::coord::Answer;
use crate::coord::areas::Area;
use crate::coord::staging::{Bound, PAGE_MAX, StagedPage, StagedValue, Wanted, Which};
use crate::model::change::decode_value;
use crate::model::entry::Entry;
use crate::model::error::{Error, Result};
use crate::model::path::ObjectPath;
use crate::tree::{Metarange, ScanStart};

/// Uncommitted changes of a stretch of paths.
#[derive(Default)]
pub(super) struct Window {
    /// Newest change of each path.
    pub(super) changes: BTreeMap<String, Bytes>,
    /// The window knows all changes before this text; `None`: all there are.
    pub(super) until: Option<String>,
}

impl Window {
    /// Takes in a page of one area: newer areas go last. `more` says that there are others behind it.
    pub(super) fn take(&mut self, values: Vec<StagedValue>, more: bool) {
        if let (true, Some(last)) = (more, values.last()) {
            let end = behind(&last.path);
            self.until = Some(self.until.take().map_or(end.clone(), |until| until.min(end)));
        }
        self.changes.extend(values.into_iter().map(|value| (value.path, value.value)));
    }

    /// What is known of every area: where one has a page more, changes behind that are left out.
    pub(super) fn cut(mut self) -> Self {
        if let Some(until) = &self.until {
            self.changes.split_off(until);
        }
        self
    }
}

/// The merged sequence, standing before some path.
pub(super) struct Overlay {
    context: BranchContext,
    metarange: Metarange,
    areas: Vec<Area>,
    window: Window,
    committed: BoxStream<'static, Result<(ObjectPath, Entry)>>,
    peeked: Option<(ObjectPath, Entry)>,
    /// Everything before this has been given.
    at: String,
}

impl Overlay {
    /// The sequence from `at` on. `first` is the page of staged changes from there, with the head
    /// and the areas of the same moment.
    pub(super) async fn open(
        context: BranchContext,
        metarange: Metarange,
        first: StagedPage,
        at: &str,
    ) -> Result<Self> {
        let StagedPage { areas, values, more, .. } = first;
        let committed = scan(&context, &metarange, at);
        let mut overlay = Self {
            context,
            metarange,
            areas,
            window: Window::default(),
            committed,
            peeked: None,
            at: at.to_owned(),
        };
        overlay.fill(values, more).await?;
        Ok(overlay)
    }

    /// Goes on to `at`, which must not lie behind.
    pub(super) async fn seek(&mut self, at: &str) -> Result<()> {
        self.at = at.to_owned();
        self.peeked = None;
        self.committed = scan(&self.context, &self.metarange, at);
        if self.window.until.as_deref().is_some_and(|until| until <= at) {
            self.refill().await?;
        }
        Ok(())
    }

    /// The next live path.
    pub(super) async fn next(&mut self) -> Result<Option<(ObjectPath, Entry)>> {
        loop {
            if self.peeked.is_none() {
                self.peeked = self.committed.next().await.transpose()?;
            }
            let changed = self.window.changes.range(self.at.clone()..).next();
            let change_first = match (&self.peeked, changed) {
                (Some((path, _)), Some((changed, _))) => changed.as_str() <= path.as_str(),
                (None, Some(_)) => true,
                _ => false,
            };
            let next_text = match (&self.peeked, changed) {
                (_, Some((changed, _))) if change_first => changed.clone(),
                (Some((path, _)), _) => path.to_string(),
                (None, _) => self.window.until.clone().unwrap_or_default(),
            };
            if self.window.until.as_ref().is_some_and(|until| next_text >= *until) {
                // Staged paths may lie between the end of the window and the next committed one.
                self.at = self.window.until.clone().unwrap_or(next_text);
                self.refill().await?;
                continue;
            }
            if !change_first {
                let next = self.peeked.take();
                if let Some((path, _)) = &next {
                    self.at = behind(path.as_str());
                }
                return Ok(next);
            }
            let Some(value) = self.window.changes.remove(&next_text) else {
                return Ok(None);
            };
            if self.peeked.as_ref().is_some_and(|(path, _)| path.as_str() == next_text) {
                self.peeked = None;
            }
            self.at = behind(&next_text);
            if let Some(entry) = decode_value(&value)?.0.entry() {
                return Ok(Some((ObjectPath::new(next_text)?, entry.clone())));
            }
        }
    }

    /// Reads the window from the present place on. The areas and the head stay those of the first
    /// moment; areas that have been committed since stay readable for a while.
    async fn refill(&mut self) -> Result<()> {
        let from = Bound::At(self.at.clone());
        let wanted = Wanted::From(&from, PAGE_MAX);
        let (mut staged, mut more) = (Vec::new(), false);
        if let Some(page) = page(&self.context, Which::Staged, wanted).await? {
            // What was staged at the first moment may have been sealed since.
            for area in page.areas {
                if !self.areas.iter().any(|known| known.id == area.id) {
                    self.areas.push(area);
                }
            }
            (staged, more) = (page.values, page.more);
        }
        self.fill(staged, more).await
    }

    async fn fill(&mut self, staged: Vec<StagedValue>, more: bool) -> Result<()> {
        let from = Bound::At(self.at.clone());
        let mut window = Window::default();
        for area in &self.areas {
            let wanted = Wanted::From(&from, PAGE_MAX);
            let page = page(&self.context, Which::Area(area.id), wanted).await?;
            let (values, more) = page.map(|page| (page.values, page.more)).unwrap_or_default();
            window.take(values, more);
        }
        window.take(staged, more);
        self.window = window.cut();
        Ok(())
    }
}

/// A page of uncommitted changes; `None` where they went with their branch. The listing shows one
/// moment, so a branch that Redis has lost since is not put back for it.
async fn page(
    context: &BranchContext,
    which: Which,
    wanted: Wanted<'_>,
) -> Result<Option<StagedPage>> {
    match context.redis.staged(which, wanted).await? {
        Answer::Given(page) => Ok(Some(page)),
        Answer::Ended => Ok(None),
        Answer::Absent => {
            Err(Error::unavailable("Redis lost the branch while it was listed: list again"))
        }
    }
}

fn scan(
    context: &BranchContext,
    metarange: &Metarange,
    at: &str,
) -> BoxStream<'static, Result<(ObjectPath, Entry)>> {
    context.lake.tree().scan(metarange.clone(), ScanStart::all().at(at))
}

/// The smallest text behind `text`.
pub(super) fn behind(text: &str) -> String {
    format!("{text}\0")
}

/// The smallest text behind everything that begins with `prefix`; `None` when there is none.
pub fn text_behind_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // UTF-8 keeps the order of code points, so the next one sorts behind.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            other => char::from_u32(other as u32 + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_behind_a_prefix_is_behind_all_of_it() {
        assert_eq!(text_behind_prefix("a/").as_deref(), Some("a0"));
        assert_eq!(text_behind_prefix(""), None);
        assert_eq!(text_behind_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(text_behind_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"));
    }
}
