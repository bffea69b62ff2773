//! Listings by prefix, delimiter and page, as object stores offer them.

use super::handle::Tree;
use super::metarange::Metarange;
use super::record::stored_path;
use super::scan::{BoundedMerge, ScanStart, behind_prefix};
use crate::model::entry::Entry;
use crate::model::error::{Error, Result};
use crate::model::path::ObjectPath;

/// The most items of one page.
pub const MAX_AMOUNT: usize = 1000;

/// Which page of which listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// Only paths that begin with this. Empty: all.
    pub prefix: String,
    /// Only items behind this one: an object's path, or a common prefix, then none of its paths.
    pub after: Option<String>,
    /// Paths that have this behind the prefix are listed once, as the part up to it.
    pub delimiter: Option<String>,
    /// The most items to return, 1 to [`MAX_AMOUNT`].
    pub amount: usize,
}

impl Default for ListRequest {
    /// The first [`MAX_AMOUNT`] paths.
    fn default() -> Self {
        Self { prefix: String::new(), after: None, delimiter: None, amount: MAX_AMOUNT }
    }
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListItem {
    /// An object, with its entry.
    Object(ObjectPath, Entry),
    /// All paths that begin with this, delimiter included.
    CommonPrefix(String),
}

impl ListItem {
    /// The text by which the item is ordered, and which [`ListRequest::after`] takes.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(path, _) => path.as_str(),
            Self::CommonPrefix(prefix) => prefix,
        }
    }
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListPage {
    /// The items, in order.
    pub items: Vec<ListItem>,
    /// What to give as [`ListRequest::after`] for the next page; `None` if this was the last.
    pub next: Option<String>,
}

impl ListRequest {
    fn check(&self) -> Result<()> {
        if self.amount == 0 || self.amount > MAX_AMOUNT {
            return Err(Error::invalid(format!(
                "a page of {} items is out of the limits: ask for 1 to {MAX_AMOUNT}",
                self.amount
            )));
        }
        if self.delimiter.as_deref() == Some("") {
            return Err(Error::invalid("the delimiter is empty: leave it away to list all paths"));
        }
        Ok(())
    }

    /// The common prefix under which `path` is listed, if it is.
    pub fn common_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref()?;
        let rest = path.strip_prefix(self.prefix.as_str())?;
        let end = self.prefix.len() + rest.find(delimiter)? + delimiter.len();
        path.get(..end)
    }

    /// Whether a listing has this for a common prefix, and not for the path of an object.
    pub fn is_common_prefix(&self, name: &str) -> bool {
        self.common_prefix(name) == Some(name)
    }

    /// Where the page starts. A whole common prefix that was listed before is passed over.
    fn lower_bound(&self) -> Vec<u8> {
        let start = ScanStart::prefix(self.prefix.as_str());
        match self.after.as_deref() {
            None => start.lower_bound(),
            Some(after) if self.is_common_prefix(after) => {
                behind_prefix(after).unwrap_or_default().max(start.lower_bound())
            }
            Some(after) => start.after(after).lower_bound(),
        }
    }
}

impl Tree {
    /// One page of a listing. Paths under a common prefix are jumped over, not read: a page reads
    /// at most a few blocks per item and level, however many paths its prefixes stand for.
    pub async fn list(&self, metarange: &Metarange, request: &ListRequest) -> Result<ListPage> {
        request.check()?;
        let start = ScanStart::prefix(request.prefix.as_str());
        let mut merge = self.merge_levels_at(metarange, &start, &request.lower_bound()).await?;
        let mut page = ListPage::default();
        while let Some(entry) = merge.live().await? {
            if page.items.len() >= request.amount {
                page.next = page.items.last().map(|item| item.name().to_owned());
                break;
            }
            let path = merge.path().unwrap_or_default();
            match request.common_prefix(path) {
                Some(common) => {
                    let common = common.to_owned();
                    let bound = behind_prefix(&common).unwrap_or_default();
                    merge.merge.skip_to(&bound).await?;
                    page.items.push(ListItem::CommonPrefix(common));
                }
                None => {
                    let item = ListItem::Object(stored_path(path)?, entry);
                    merge.merge.next_path().await?;
                    page.items.push(item);
                }
            }
        }
        Ok(page)
    }

    async fn merge_levels_at(
        &self,
        metarange: &Metarange,
        start: &ScanStart,
        bound: &[u8],
    ) -> Result<BoundedMerge> {
        let mut merge = self.open_levels(&metarange.levels, start.upper_bound()).await?;
        merge.merge.seek_all(bound).await?;
        Ok(merge)
    }
}
