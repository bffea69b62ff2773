//! Reading: what a path names, what paths there are, and the bytes behind them.

use std::ops::Range;

use crate::commit::log::head::Head;
use crate::coord::staging::{Bound, PAGE_MAX, Wanted};
use crate::model::address::RefExpr;
use crate::model::entry::Entry;
use crate::model::error::{Error, Result};
use crate::model::ids::{BranchUid, CommitId};
use crate::model::path::ObjectPath;
use crate::objects::{Streamed, layout};
use crate::tree::{ListItem, ListPage, ListRequest, Metarange};

use super::handles::Branch;
use super::handles::Repository;
use super::overlay::{Overlay, behind, text_behind_prefix};
use super::refs::Resolved;

impl Branch {
    /// What a path names on the branch, if anything: staged changes count.
    pub async fn stat(&self, path: &ObjectPath) -> Result<Option<Entry>> {
        let (_, mut current) = self.current(std::slice::from_ref(path)).await?;
        Ok(current.entries.pop().flatten())
    }
}

/// What a ref shows at some moment.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Which life of a branch it is, where the ref is a branch as it is.
    pub branch: Option<BranchUid>,
    /// The commit that is all there is to see: of a branch, its head while nothing on it is uncommitted. `None` where
    /// there is more than a commit, or none yet.
    pub commit: Option<CommitId>,
}

impl Repository {
    /// What a path names at a ref; on a branch, staged changes count.
    pub async fn stat(&self, reference: &RefExpr, path: &ObjectPath) -> Result<Entry> {
        let entry = match self.resolve(reference).await? {
            Resolved::Branch(branch) => branch.stat(path).await?,
            Resolved::Commit(None) => None,
            Resolved::Commit(Some(id)) => {
                let lake = self.lake().await?;
                lake.tree().get(&lake.metarange(&id).await?, path).await?
            }
        };
        entry.ok_or_else(|| {
            Error::not_found(format!(
                "there is no object '{path}' at '{}/{reference}'",
                self.display()
            ))
            .known_as("object not found")
        })
    }

    /// One page of a listing at a ref; on a branch, staged changes count.
    pub async fn list(&self, reference: &RefExpr, request: &ListRequest) -> Result<ListPage> {
        match self.resolve(reference).await? {
            Resolved::Branch(branch) => branch.list(request).await,
            Resolved::Commit(None) => Ok(ListPage::default()),
            Resolved::Commit(Some(id)) => {
                let lake = self.lake().await?;
                lake.tree().list(&lake.metarange(&id).await?, request).await
            }
        }
    }

    /// What a ref shows at this moment. One call to Redis.
    #[doc(hidden)]
    pub async fn shown(&self, reference: &RefExpr) -> Result<Shown> {
        match self.resolve(reference).await? {
            Resolved::Commit(commit) => Ok(Shown { branch: None, commit }),
            Resolved::Branch(branch) => {
                let from = Bound::At(String::new());
                let (context, page) = branch.staged_page(&Wanted::From(&from, 1)).await?;
                let is_settled = page.values.is_empty() && page.areas.is_empty();
                let commit = page.head.commit.filter(|_| is_settled);
                Ok(Shown { branch: Some(context.uid), commit })
            }
        }
    }

    /// The bytes of an object that lies in this deployment's store. Objects linked from elsewhere
    /// are read from where they are, at their address.
    pub async fn open(&self, entry: &Entry) -> Result<Streamed> {
        self.open_range(entry, None).await
    }

    /// The key of an object that was uploaded to this deployment's storage. Nothing else there is
    /// ever read because an entry names it: anybody can link any address, and secrets lie beside the
    /// uploads.
    #[doc(hidden)]
    pub fn data_key<'a>(&self, entry: &'a Entry) -> Option<&'a str> {
        let key = self.onward.coordinator().objects().key_of(&entry.address)?;
        layout::parse_data(key).map(|_| key)
    }

    /// Opens the bytes in `range` of an object, which lies within it; all of them for `None`.
    pub async fn open_range(&self, entry: &Entry, range: Option<Range<u64>>) -> Result<Streamed> {
        let objects = self.onward.coordinator().objects();
        let key = self.data_key(entry).ok_or_else(|| {
            Error::invalid(format!(
                "the object was linked from '{}', which is not an upload in this deployment's storage: read it there",
                entry.address
            ))
        })?;
        let streamed = match range {
            Some(range) => objects.stream_range(key, range).await?,
            None => objects.stream(key).await?,
        };
        streamed.ok_or_else(|| {
            Error::corrupt(format!("object '{key}' is missing from {}", objects.url()))
        })
    }
}

impl Branch {
    /// What each path names at the head, whatever is staged. One call to Redis, and what the tree has
    /// to read; paths next to each other should be close.
    pub async fn committed(&self, paths: &[ObjectPath]) -> Result<Vec<Option<Entry>>> {
        let (context, head) = self.head().await?;
        let content = context.lake.content(head.commit).await?;
        context.lake.tree().get_many(&content, paths).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        let start = start_of(request);
        let from = Bound::At(start.clone());
        let (context, page) = self.staged_page(&Wanted::From(&from, PAGE_MAX)).await?;
        let metarange = match page.head.commit {
            Some(_) => Head::load(&context.lake, context.uid, &page.head).await?.metarange,
            None => Metarange::default(),
        };
        if page.values.is_empty() && page.areas.is_empty() {
            return context.lake.tree().list(&metarange, request).await;
        }
        // The limits of a request are the tree's; an empty metarange costs nothing to ask.
        context.lake.tree().list(&Metarange::default(), request).await?;
        let overlay = Overlay::open(context, metarange, page, &start).await?;
        list_overlay(overlay, request).await
    }
}

/// Where a listing starts: at its prefix, or behind what came before.
fn start_of(request: &ListRequest) -> String {
    let Some(after) = &request.after else {
        return request.prefix.clone();
    };
    let start = match request.is_common_prefix(after) {
        true => text_behind_prefix(after).unwrap_or_else(|| behind(after)),
        false => behind(after),
    };
    start.max(request.prefix.clone())
}

async fn list_overlay(mut overlay: Overlay, request: &ListRequest) -> Result<ListPage> {
    let mut page = ListPage::default();
    while let Some((path, entry)) = overlay.next().await? {
        if !path.as_str().starts_with(request.prefix.as_str()) {
            break;
        }
        if page.items.len() >= request.amount {
            page.next = page.items.last().map(|item| item.name().to_owned());
            break;
        }
        match request.common_prefix(path.as_str()).map(str::to_owned) {
            None => page.items.push(ListItem::Object(path, entry)),
            Some(common) => {
                let behind = text_behind_prefix(&common);
                page.items.push(ListItem::CommonPrefix(common));
                match behind {
                    Some(next) => overlay.seek(&next).await?,
                    None => break,
                }
            }
        }
    }
    Ok(page)
}
