//! Listing what there is, telling what nothing names, and removing it.

use std::collections::HashSet;

use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};

use crate::model::error::Result;
use crate::model::ids::BranchUid;
use crate::model::life::RepoLife;
use crate::objects::{Listed, Objects, layout};

use super::mark::Marks;
use super::names::PARTS;
use super::report::{GcEvent, GcReport, Tally, Told};

/// Objects removed at the same time, at most.
const DELETES: usize = 32;

/// One pass over what there is.
pub(super) struct Sweep<'a> {
    pub(super) repo: &'a RepoLife,
    pub(super) objects: &'a Objects,
    /// Objects written at this time or later stay; milliseconds since the Unix epoch.
    pub(super) cutoff_ms: i64,
    /// Whether to remove, or only to tell.
    pub(super) removes: bool,
    /// Whether what is (or would be) removed is told one by one.
    pub(super) tells: bool,
    /// Branches that have ended.
    pub(super) ended: &'a HashSet<BranchUid>,
}

/// Whether a key is marked; `None` of a key that is not ours to judge.
type Judge<'a> = dyn Fn(&str) -> Option<bool> + Send + Sync + 'a;

impl Sweep<'_> {
    /// Goes through ranges, runs, checkpoints, and uploaded objects last.
    pub(super) async fn all(&self, marks: &Marks, told: Told<'_>) -> Result<GcReport> {
        let mut report = GcReport::default();
        let ranges = |key: &str| layout::parse_range(key).map(|id| marks.ranges.contains(&id));
        self.folder(&layout::ranges_dir(self.repo), &ranges, true, &mut report.ranges, told)
            .await?;
        let runs = |key: &str| layout::parse_run(key).map(|id| marks.runs.contains(&id));
        self.folder(&layout::runs_dir(self.repo), &runs, true, &mut report.runs, told).await?;
        let checkpoints =
            |key: &str| layout::parse_checkpoint(key).map(|uid| !self.ended.contains(&uid));
        let folder = layout::checkpoints_dir(self.repo);
        self.folder(&folder, &checkpoints, false, &mut report.checkpoints, told).await?;
        for number in 0..PARTS {
            let marked = marks.objects.part(number)?;
            let data =
                |key: &str| layout::parse_data(key).map(|id| marked.binary_search(&id).is_ok());
            let folder = format!("{}/{number:02x}", layout::data_dir(self.repo));
            self.folder(&folder, &data, false, &mut report.data, told).await?;
        }
        // No upload in parts is taken up again that is as old as this.
        let uploads = |_: &str| Some(false);
        for folder in [layout::uploads_dir(self.repo), layout::uploads_ended_dir(self.repo)] {
            self.folder(&folder, &uploads, false, &mut report.data, told).await?;
        }
        Ok(report)
    }

    /// One folder. An object that may be written anew under the same name (`again`) is looked at
    /// once more right before it is removed.
    async fn folder(
        &self,
        folder: &str,
        judge: &Judge<'_>,
        again: bool,
        tally: &mut Tally,
        told: Told<'_>,
    ) -> Result<()> {
        let mut listing = self.objects.list(folder, None);
        let mut removals = FuturesUnordered::new();
        while let Some(listed) = listing.try_next().await? {
            match judge(&listed.key) {
                None => {}
                Some(true) => tally.keep(&listed),
                Some(false) if listed.modified_ms >= self.cutoff_ms => tally.keep_young(&listed),
                Some(false) => removals.push(self.remove(listed, again)),
            }
            if removals.len() >= DELETES
                && let Some(removed) = removals.next().await
            {
                self.note(removed?, tally, told);
            }
        }
        while let Some(removed) = removals.next().await {
            self.note(removed?, tally, told);
        }
        self.unfinished(folder, tally, told).await
    }

    /// What killed processes have left half written in a folder of local storage. Nothing names it,
    /// and what is still written to is young.
    async fn unfinished(&self, folder: &str, tally: &mut Tally, told: Told<'_>) -> Result<()> {
        for listed in self.objects.unfinished(folder).await? {
            let is_young = listed.modified_ms >= self.cutoff_ms;
            if self.removes && !is_young {
                self.objects.remove_unfinished(&listed.key).await?;
            }
            self.note((listed, !is_young), tally, told);
        }
        Ok(())
    }

    /// Removes an object, unless it is only to be told. Returns whether it is gone.
    async fn remove(&self, listed: Listed, again: bool) -> Result<(Listed, bool)> {
        if !self.removes {
            return Ok((listed, true));
        }
        if again {
            match self.objects.look(&listed.key).await? {
                Some(now) if now.modified_ms >= self.cutoff_ms => return Ok((now, false)),
                _ => {}
            }
        }
        self.objects.delete(&listed.key).await?;
        Ok((listed, true))
    }

    fn note(&self, (listed, removed): (Listed, bool), tally: &mut Tally, told: Told<'_>) {
        if !removed {
            tally.keep_young(&listed);
            return;
        }
        tally.remove(&listed);
        if self.tells {
            told(GcEvent::Removed { key: &listed.key, bytes: listed.size });
        }
    }
}
