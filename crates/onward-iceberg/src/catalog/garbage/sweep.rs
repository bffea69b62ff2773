//! Listing what lies in the folders of tables, judging it by what is marked, and removing it.

use std::collections::{BTreeMap, HashSet};

use futures::TryStreamExt;
use onward::internals::objects::Listed;
use onward::internals::repo::gc::{GcEvent, PARTS, Tally, Told, part_of};
use onward::{Onward, Result};
use uuid::Uuid;

use super::super::warehouse::is_metadata;
use super::follow::Follower;
use super::graph::FolderId;
use super::notice::Notice;
use super::roots::{At, Roots};
use super::spool::Spool;

/// Files removed with one call, at most.
const DELETES: usize = 1000;

/// What lies in the folders of tables.
pub(super) struct Listing {
    files: Spool,
    /// What was not finished on local storage: the root, and what was listed.
    unfinished: Vec<(usize, Listed)>,
    /// Of each root, the time from which on files are young.
    cutoffs_ms: Vec<i64>,
}

/// Files of one folder, as they were judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// Where it is.
    pub location: String,
    /// The path of a table that lies there, where one is known.
    pub table: Option<String>,
    /// What became of its files.
    pub files: Tally,
    /// Whether it is left alone as something cannot be read.
    pub is_alone: bool,
}

/// How a listing is swept.
pub(super) struct Sweep<'a> {
    pub roots: &'a Roots,
    pub follower: &'a Follower,
    pub listing: &'a Listing,
    pub notice: Option<&'a Notice>,
    pub tells: bool,
    pub onward: &'a Onward,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Kept,
    Young,
    Goes,
}

impl Listing {
    /// Lists everything. Metadata that is young is marked with all that it names: a commit may be about to name it.
    pub(super) async fn of(
        roots: &Roots,
        follower: &Follower,
        cutoffs_ms: Vec<i64>,
    ) -> Result<Self> {
        let (mut files, mut unfinished) = (Spool::new()?, Vec::new());
        for (number, root) in roots.all().iter().enumerate() {
            let cutoff_ms = cutoffs_ms.get(number).copied().unwrap_or(i64::MIN);
            let mut listed = root.objects.list(&root.folder, None);
            while let Some(listed) = listed.try_next().await? {
                if roots.folder(number, &listed.key).is_none() {
                    continue;
                }
                if is_metadata(&listed.key) && listed.modified_ms >= cutoff_ms {
                    follower.young(&root.objects.address(&listed.key), listed.size)?;
                }
                let id = roots.id(number, judged_by(&listed.key).as_ref());
                let numbers = [number as u64, listed.size, listed.modified_ms.cast_unsigned()];
                let [number, size, modified] = numbers.map(u64::to_le_bytes);
                let fields = [listed.key.as_bytes(), &id.to_le_bytes(), &number, &size, &modified];
                files.add(id, &fields)?;
            }
            let left = root.objects.unfinished(&root.folder).await?;
            unfinished.extend(left.into_iter().map(|listed| (number, listed)));
        }
        Ok(Self { files, unfinished, cutoffs_ms })
    }

    fn is_young(&self, root: usize, listed: &Listed) -> bool {
        self.cutoffs_ms.get(root).is_none_or(|cutoff_ms| listed.modified_ms >= *cutoff_ms)
    }

    fn part(&self, number: usize) -> Result<Vec<(u128, usize, Listed)>> {
        let files = self.files.part::<5>(number)?;
        Ok(files
            .into_iter()
            .filter_map(|[key, id, root, size, modified]| {
                let number = |bytes: &[u8]| bytes.first_chunk().map(|b| u64::from_le_bytes(*b));
                let id = u128::from_le_bytes(*id.first_chunk()?);
                let modified_ms = number(&modified)?.cast_signed();
                let key = String::from_utf8(key).ok()?;
                let listed = Listed { key, size: number(&size)?, modified_ms };
                Some((id, usize::try_from(number(&root)?).ok()?, listed))
            })
            .collect())
    }
}

/// The key by which a file is judged: Hadoop's checksum of a file stays with the file.
fn judged_by(key: &str) -> std::borrow::Cow<'_, str> {
    let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
    match name.strip_prefix('.').and_then(|name| name.strip_suffix(".crc")) {
        Some(of) => format!("{folder}/{of}").into(),
        None => key.into(),
    }
}

impl Sweep<'_> {
    /// Goes through all that was listed. Metadata goes first, so that nothing is left of which half is gone.
    pub(super) async fn all(&self, removes: bool, told: Told<'_>) -> Result<Vec<Folder>> {
        let alone = self.follower.marks().graph.alone();
        let mut tallies: BTreeMap<FolderId, Tally> = BTreeMap::new();
        let passes: &[Option<bool>] = if removes { &[Some(true), Some(false)] } else { &[None] };
        for pass in passes {
            let mut going: Vec<(usize, FolderId, Listed)> = Vec::new();
            for number in 0..PARTS {
                let marked = self.follower.part(number)?;
                for (id, root, listed) in self.listing.part(number)? {
                    if pass.is_some_and(|metadata| metadata != is_metadata(&listed.key)) {
                        continue;
                    }
                    let Some(folder) = self.folder(root, &listed.key) else { continue };
                    let is_marked = marked.binary_search(&id).is_ok();
                    let verdict = self.judge((root, folder), &listed, is_marked, &alone);
                    count(tallies.entry(folder).or_default(), &listed, verdict);
                    if verdict == Verdict::Goes {
                        going.push((root, folder, listed));
                    }
                }
                if going.len() >= DELETES {
                    self.remove(std::mem::take(&mut going), removes, told).await?;
                }
            }
            self.remove(going, removes, told).await?;
        }
        self.unfinished(removes, &alone, &mut tallies, told).await?;
        Ok(self.folders(tallies, &alone))
    }

    fn folder(&self, root: usize, key: &str) -> Option<FolderId> {
        let folder = self.roots.folder(root, key)?;
        Some(self.follower.marks().graph.id(root, folder))
    }

    fn judge(
        &self,
        (root, folder): (usize, FolderId),
        listed: &Listed,
        is_marked: bool,
        alone: &HashSet<FolderId>,
    ) -> Verdict {
        let stays = is_marked || alone.contains(&folder) || !self.is_of_tables(root, &listed.key);
        match (stays, self.listing.is_young(root, listed)) {
            (true, _) => Verdict::Kept,
            (false, true) => Verdict::Young,
            (false, false) => Verdict::Goes,
        }
    }

    /// Whether a file can be one of a table. Where others may have put something, that is in a folder with the name
    /// that the catalog gives one, and below what a table says of itself.
    fn is_of_tables(&self, root: usize, key: &str) -> bool {
        let folder = self.roots.folder(root, key).unwrap_or_default();
        let is_uuid = Uuid::try_parse(folder).is_ok_and(|uuid| uuid.to_string() == folder);
        self.roots.all().get(root).is_some_and(|root| root.is_own)
            || is_uuid
            || self.follower.marks().graph.is_in_a_table(root, key)
    }

    async fn remove(
        &self,
        going: Vec<(usize, FolderId, Listed)>,
        removes: bool,
        told: Told<'_>,
    ) -> Result<()> {
        for some in going.chunks(DELETES) {
            for (number, root) in self.roots.all().iter().enumerate().filter(|_| removes) {
                let of_root = some.iter().filter(|(of, ..)| *of == number);
                let keys: Vec<String> = of_root.map(|(.., listed)| listed.key.clone()).collect();
                if keys.is_empty() {
                    continue;
                }
                if let Some(notice) = self.notice {
                    notice.check()?;
                }
                root.objects.delete_listed(&keys).await?;
                self.onward.coordinator().faults().pass("gc-removed").await?;
            }
            for (root, _, listed) in some.iter().filter(|_| self.tells) {
                self.tell(*root, listed, told);
            }
        }
        Ok(())
    }

    /// What killed processes of ours have left half written; what is still written to is young.
    async fn unfinished(
        &self,
        removes: bool,
        alone: &HashSet<FolderId>,
        tallies: &mut BTreeMap<FolderId, Tally>,
        told: Told<'_>,
    ) -> Result<()> {
        for (root, listed) in &self.listing.unfinished {
            let Some(folder) = self.folder(*root, &listed.key) else { continue };
            let id = self.roots.id(*root, &listed.key);
            let marked = self.follower.part(part_of(id))?;
            let is_marked = marked.binary_search(&id).is_ok();
            let verdict = self.judge((*root, folder), listed, is_marked, alone);
            count(tallies.entry(folder).or_default(), listed, verdict);
            if verdict != Verdict::Goes {
                continue;
            }
            if let Some(of) = self.roots.all().get(*root).filter(|_| removes) {
                of.objects.remove_unfinished(&listed.key).await?;
            }
            if self.tells {
                self.tell(*root, listed, told);
            }
        }
        Ok(())
    }

    fn tell(&self, root: usize, listed: &Listed, told: Told<'_>) {
        let key = match self.roots.all().get(root) {
            Some(of) if !of.is_own => of.objects.address(&listed.key),
            _ => listed.key.clone(),
        };
        told(GcEvent::Removed { key: &key, bytes: listed.size });
    }

    fn folders(
        &self,
        tallies: BTreeMap<FolderId, Tally>,
        alone: &HashSet<FolderId>,
    ) -> Vec<Folder> {
        let marks = self.follower.marks();
        let folder = |(id, files): (FolderId, Tally)| {
            let (root, name) = marks.graph.folder(id)?;
            let of = self.roots.all().get(*root)?;
            let at = At { root: *root, key: format!("{}/{name}", of.folder) };
            Some(Folder {
                location: self.roots.address(&at)?,
                table: marks.graph.table(id).filter(|table| !table.is_empty()).map(str::to_owned),
                files,
                is_alone: alone.contains(&id),
            })
        };
        let mut folders: Vec<Folder> = tallies.into_iter().filter_map(folder).collect();
        folders.sort_by(|a, b| a.location.cmp(&b.location));
        folders
    }
}

fn count(tally: &mut Tally, listed: &Listed, verdict: Verdict) {
    match verdict {
        Verdict::Goes => tally.remove(listed),
        Verdict::Kept => tally.keep(listed),
        Verdict::Young => tally.keep_young(listed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_of_hadoop_stays_with_its_file() {
        assert_eq!(judged_by("a/data/.f.parquet.crc"), "a/data/f.parquet");
        for other in ["a/data/f.parquet", "a/.staged", "f", "a/f.crc"] {
            assert_eq!(judged_by(other), other);
        }
    }
}
