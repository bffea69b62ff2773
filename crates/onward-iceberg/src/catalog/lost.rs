//! What a table has lost, kept with it: written by the commits that take snapshots away, asked by those whose base is
//! gone. See [`super::gone`] for what is written.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::asked::Asked;
use super::entry::Lost;
use super::error::{Kind, Result};
use super::gone::{GONE_BYTES_MAX, Gone, Next, Page};
use super::learned::Learned;
use super::loaded::Loaded;
use super::prepare::{Judged, Listed, Site, new_uuid};
use crate::table::Metadata;

/// Lists and pages that are kept once they are read, in bytes.
const KEPT_BYTES_MAX: usize = 72 << 10;
/// Pages read at the same time, at most: of a mebibyte each as they are written.
const READS: usize = 8;

/// A list or a page as it was read; none where it is not there, or damaged.
type Content = Option<Arc<Gone>>;

/// What a list says of snapshots that are asked for.
struct Told {
    /// Those that are on it.
    found: HashSet<i64>,
    /// Whether it has all that the table ever lost.
    is_all: bool,
}

impl Site {
    /// Writes down what a table loses with new metadata; what the entry is to say.
    pub(super) async fn list_lost(
        &self,
        metadata: &Metadata,
        previous: Option<&Loaded>,
    ) -> Result<Listed> {
        let mut files = Vec::new();
        let Some(previous) = previous else {
            return Ok(Listed { lost: Lost::Nothing, files });
        };
        let lost = previous.metadata.snapshot_ids().filter(|id| metadata.snapshot(*id).is_none());
        let lost: Vec<i64> = lost.collect();
        if lost.is_empty() {
            return Ok(Listed { lost: previous.pointer.lost.clone(), files });
        }
        let mut gone = match &previous.pointer.lost {
            Lost::Nothing => Gone { is_whole: true, ..Gone::default() },
            Lost::Unknown => Gone::default(),
            // What is damaged or gone itself begins anew, and does not say that it is all.
            Lost::Listed(location) => {
                self.gone(location).await?.map_or_else(Gone::default, |gone| gone.as_ref().clone())
            }
        };
        gone.newest.extend(lost);
        loop {
            let next = gone.next();
            let ids = match &next {
                Next::Nothing => break,
                Next::Write(ids) => ids.clone(),
                Next::Merge(pages) => {
                    let (mut ids, all) = (Vec::new(), pages.iter().collect::<Vec<_>>());
                    let mut read = self.pages(&all);
                    while let Some((_, page)) = read.try_next().await? {
                        match page {
                            Some(page) => ids.extend_from_slice(&page.newest),
                            None => gone.is_whole = false,
                        }
                    }
                    ids
                }
            };
            let page = self.write_gone(metadata, &Gone::page(ids)).await?;
            gone.written(&next, page.clone());
            files.push(page);
        }
        let location = self.write_gone(metadata, &gone).await?;
        self.shared.gone.insert(location.clone(), Arc::new(gone));
        files.push(location.clone());
        Ok(Listed { lost: Lost::Listed(location), files })
    }

    /// Judges commits whose base is gone from the table, each with its place among all, by what the table has lost.
    /// Gives those back of which that does not say enough.
    pub(super) async fn judge_by_list<'a>(
        &self,
        head: Option<&Arc<Loaded>>,
        open: Vec<(usize, &'a Asked)>,
        judged: &mut [Option<Judged>],
        learned: &mut Learned,
    ) -> Vec<(usize, &'a Asked)> {
        let Some(head) = head else { return open };
        let uuid = &head.pointer.uuid;
        let is_of_this =
            |(_, asked): &(usize, &Asked)| !asked.creates() && !asked.is_of_another(uuid);
        let (of_this, mut left): (Vec<_>, Vec<_>) = open.into_iter().partition(is_of_this);
        if of_this.is_empty() {
            return left;
        }
        let told = match self.lost_of(head, &of_this, learned).await {
            Ok(told) => told,
            Err(error) => {
                tracing::debug!(%error, "what a table has lost is not known now");
                None
            }
        };
        let Some(Told { found, is_all }) = told else {
            left.extend(of_this);
            return left;
        };
        let is_there = |id: &i64| found.contains(id) || head.metadata.snapshot(*id).is_some();
        for (at, asked) in of_this {
            // What it is made on was lost since the list was begun, so what it adds would have been, too.
            let mut bases = asked.commit.bases().peekable();
            // One that is nowhere here was in another line of the table, before a revert or a merge took it away. Who
            // was made on none and says no uuid may mean a table that had the name before.
            let goes_back = match bases.peek() {
                None => is_all && asked.of_table().is_some(),
                Some(_) if is_all => bases.all(|id| is_there(&id)),
                Some(_) => bases.all(|id| found.contains(&id)),
            };
            if asked.who.snapshots.iter().all(is_there) {
                if let Some(place) = judged.get_mut(at) {
                    *place = Some(Judged::Known(Arc::clone(head)));
                }
            } else if !goes_back {
                left.push((at, asked));
            }
        }
        left
    }

    /// Which of the snapshots that commits add, and are made on, a table has lost; none where nobody kept a list.
    async fn lost_of(
        &self,
        head: &Arc<Loaded>,
        asked: &[(usize, &Asked)],
        learned: &mut Learned,
    ) -> Result<Option<Told>> {
        let location = match &head.pointer.lost {
            Lost::Unknown => return Ok(None),
            Lost::Nothing => return Ok(Some(Told { found: HashSet::new(), is_all: true })),
            Lost::Listed(location) => location,
        };
        let Some(gone) = self.gone(location).await? else { return Ok(None) };
        let ids = |(_, asked): &(usize, &Asked)| {
            let snapshots = asked.who.snapshots.iter().copied();
            snapshots.chain(asked.commit.bases()).collect::<Vec<_>>()
        };
        let mut wanted: HashSet<i64> = asked.iter().flat_map(ids).collect();
        let mut found = HashSet::new();
        gone.find(&mut wanted, &mut found);
        let asked = wanted.clone();
        let unread = gone.pages.iter().rev().filter(|page| {
            let known = learned.on_page(&page.location, &asked);
            known.iter().flatten().for_each(|id| found.extend(wanted.take(id)));
            known.is_none()
        });
        let unread: Vec<&Page> = unread.collect();
        let mut pages = self.pages(&unread);
        while !wanted.is_empty()
            && let Some((location, page)) = pages.try_next().await?
        {
            let Some(page) = page else { return Ok(None) };
            let mut on_page = HashSet::new();
            page.find(&mut asked.clone(), &mut on_page);
            learned.keep_page(location, &asked, &on_page);
            on_page.iter().for_each(|id| found.extend(wanted.take(id)));
        }
        Ok(Some(Told { found, is_all: gone.is_whole }))
    }

    /// Pages of a list, some of them read at the same time, in their order: as [`Site::gone`] tells them.
    fn pages<'a>(&'a self, pages: &'a [&'a Page]) -> BoxStream<'a, Result<(&'a str, Content)>> {
        let read = move |page: &'a &'a Page| async move {
            Ok((page.location.as_str(), self.gone(&page.location).await?))
        };
        stream::iter(pages).map(read).buffered(READS).boxed()
    }

    /// A list or a page; none where it is not there, or damaged.
    async fn gone(&self, location: &str) -> Result<Content> {
        if let Some(gone) = self.shared.gone.get(location) {
            return Ok(Some(gone));
        }
        self.shared.measured.reads_file();
        let read = match self.place.warehouse.get(location, GONE_BYTES_MAX).await {
            Ok(read) => read,
            Err(error) if error.kind == Kind::Unavailable => return Err(error),
            Err(error) => {
                tracing::warn!(%error, location, "what a table has lost is not known");
                None
            }
        };
        let Some(bytes) = read else { return Ok(None) };
        let gone = Gone::decode(&bytes).map(Arc::new);
        if let Some(gone) = gone.as_ref().filter(|_| bytes.len() <= KEPT_BYTES_MAX) {
            self.shared.gone.insert(location.to_owned(), Arc::clone(gone));
        }
        Ok(gone)
    }

    async fn write_gone(&self, metadata: &Metadata, gone: &Gone) -> Result<String> {
        let location = format!("{}/metadata/gone-{}.bin", metadata.location(), new_uuid());
        self.place.warehouse.put(&location, gone.encode()).await?;
        Ok(location)
    }
}
