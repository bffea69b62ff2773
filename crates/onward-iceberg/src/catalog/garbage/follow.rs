//! From entries of branches to every file that a table needs: metadata, manifest lists, manifests, and what those name.
//! Each is read once, however many commits, snapshots and tables name it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use onward::internals::model::error::quoted;
use onward::internals::objects::Span;
use onward::internals::repo::gc::{GcEvent, Need, PARTS, Told, Uploaded};
use onward::{Error, ErrorKind, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::super::gone::{GONE_BYTES_MAX, Gone};
use super::super::packed::{may_be_packed, unpack};
use super::super::warehouse::plain;
use super::due::{Due, Said};
use super::graph::{FolderId, Graph, Unread};
use super::marks::Marks;
use super::roots::{At, Roots, digest};
use super::spool::Spool;
use crate::table::{AVRO_BYTES_MAX, METADATA_BYTES_MAX, Named, named_by_list, named_by_manifest};

/// Files read at the same time, at most.
const READS: usize = 16;
/// Bytes of metadata under way at the same time, at most, in KiB; taken apart they are some ten times as many.
const METADATA_KIB: usize = METADATA_BYTES_MAX >> 10;
/// Bytes of lists and manifests under way at the same time, at most, in KiB; one block of one of them is unpacked.
const AVRO_KIB: u32 = 128 << 10;
/// What is read of a list or manifest at first, unless it is said to have more.
const FIRST_BYTES: u64 = 1 << 20;
/// The root of what lies in no folder of a table.
const OUTSIDE: usize = usize::MAX;
/// As how many times as long metadata counts that may be compressed.
const PACKED_TIMES: u64 = 32;
/// Files of metadata whose lists are followed before others are read.
const CHUNK: usize = 64;

/// Follows what entries name.
pub(super) struct Follower {
    roots: Roots,
    marks: Mutex<Marks>,
    metadata_kib: Semaphore,
    avro_kib: Semaphore,
}

/// What became of reading a file.
enum Found {
    Bytes(At, Bytes),
    /// It is longer than what was to be read of it at first.
    Longer,
    /// It may be missing, and is.
    Passed,
    /// It is told already that it cannot be read.
    Failed,
}

impl Follower {
    pub(super) fn new(roots: Roots) -> Result<Self> {
        let (metadata_kib, avro_kib) =
            (Semaphore::new(METADATA_KIB), Semaphore::new(AVRO_KIB as usize));
        Ok(Self { roots, marks: Mutex::new(Marks::new()?), metadata_kib, avro_kib })
    }

    pub(super) fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a file; no table is followed from it.
    pub(super) fn file(&self, location: &str) -> Result<()> {
        match self.roots.places(location).is_empty() {
            true => Ok(()),
            false => self.mark(&mut self.marks(), location).map(drop),
        }
    }

    /// The marked files of one part, in order.
    pub(super) fn part(&self, number: usize) -> Result<Vec<u128>> {
        self.marks().names.part(number)
    }

    /// Metadata that is needed, to be followed with all else.
    pub(super) fn metadata(
        &self,
        location: &str,
        said: &Said,
        table: &str,
        need: Need,
    ) -> Result<()> {
        let mut marks = self.marks();
        let id = digest(&[location.as_bytes(), b"\0", said.checksum.as_bytes()]);
        if !marks.first(id, need)? {
            return Ok(());
        }
        marks.first(digest(&[location.as_bytes()]), need)?;
        self.mark(&mut marks, location)?;
        let (location, table, said) = (location.to_owned(), table.to_owned(), said.clone());
        Due { location, table, need, from: None, said }.add(id, &mut marks.pending)
    }

    /// The list of what a table of some metadata and uuid has lost.
    pub(super) fn lost(
        &self,
        location: &str,
        (metadata, uuid): (&str, &str),
        table: &str,
        need: Need,
    ) -> Result<()> {
        let mut marks = self.marks();
        let mut folders = |location: &str| -> Vec<FolderId> {
            let places = self.roots.places(location);
            places.iter().filter_map(|at| self.id_of(&mut marks.graph, at)).collect()
        };
        let (of, lists) = (folders(metadata), folders(location));
        for (of, list) in of.iter().flat_map(|of| lists.iter().map(move |list| (*of, *list))) {
            marks.graph.names(of, list);
            marks.graph.names(list, of);
        }
        let id = digest(&[location.as_bytes()]);
        if !marks.first(id, need)? {
            return Ok(());
        }
        self.mark(&mut marks, location)?;
        let said = Said { uuid: uuid.to_owned(), ..Said::default() };
        let (location, table) = (location.to_owned(), table.to_owned());
        Due { location, table, need, from: None, said }.add(id, &mut marks.lost)
    }

    /// Metadata that a commit may be about to name, of so many bytes. It is followed as far as what it names is there.
    pub(super) fn young(&self, location: &str, size: u64) -> Result<()> {
        let mut marks = self.marks();
        self.mark(&mut marks, location)?;
        let (id, said) = (digest(&[location.as_bytes()]), Said { size, ..Said::default() });
        let (location, table) = (location.to_owned(), String::new());
        Due { location, table, need: Need::Recent, from: None, said }.add(id, &mut marks.young)
    }

    /// Follows all metadata that was told since the last time.
    pub(super) async fn follow(&self, uploaded: Uploaded<'_>, told: Told<'_>) -> Result<()> {
        let pending = std::mem::replace(&mut self.marks().pending, Spool::new()?);
        self.follow_all(&pending, |_| Ok(true), uploaded, told).await?;
        let lost = std::mem::replace(&mut self.marks().lost, Spool::new()?);
        for number in 0..PARTS {
            for some in lost.part(number)?.chunks(CHUNK) {
                let some: Vec<Due> = some.iter().map(Due::of).collect();
                each(some, |due| async move { self.by_lost(&due).await }).await?;
            }
        }
        let young = std::mem::replace(&mut self.marks().young, Spool::new()?);
        let is_new =
            |due: &Due| self.marks().first(digest(&[due.location.as_bytes()]), Need::Recent);
        self.follow_all(&young, is_new, uploaded, told).await
    }

    async fn follow_all(
        &self,
        pending: &Spool,
        wanted: impl Fn(&Due) -> Result<bool>,
        uploaded: Uploaded<'_>,
        told: Told<'_>,
    ) -> Result<()> {
        for number in 0..PARTS {
            for some in pending.part(number)?.chunks(CHUNK) {
                let mut due = Vec::new();
                for one in some.iter().map(Due::of) {
                    if wanted(&one)? {
                        due.push(one);
                    }
                }
                let found = Mutex::new((Vec::new(), Vec::new()));
                let all = &found;
                each(due, |due| async move {
                    let (lists, manifests) = self.by_metadata(&due, uploaded).await?;
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.0.extend(lists);
                    all.1.extend(manifests);
                    Ok(())
                })
                .await?;
                let (lists, manifests) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
                self.tell(told);
                self.by_lists(lists, manifests, uploaded, told).await?;
            }
        }
        self.tell(told);
        Ok(())
    }

    async fn by_lists(
        &self,
        lists: Vec<Due>,
        manifests: Vec<Due>,
        uploaded: Uploaded<'_>,
        told: Told<'_>,
    ) -> Result<()> {
        self.by_manifests(manifests, uploaded, told).await?;
        for some in lists.chunks(CHUNK) {
            let found = Mutex::new(Vec::new());
            let all = &found;
            each(some.to_vec(), |due| async move {
                let more = self.by_list(&due).await?;
                all.lock().unwrap_or_else(PoisonError::into_inner).extend(more);
                Ok(())
            })
            .await?;
            let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
            self.by_manifests(found, uploaded, told).await?;
        }
        Ok(())
    }

    async fn by_manifests(
        &self,
        manifests: Vec<Due>,
        uploaded: Uploaded<'_>,
        told: Told<'_>,
    ) -> Result<()> {
        for some in manifests.chunks(CHUNK) {
            each(some.to_vec(), |due| async move { self.by_manifest(&due, uploaded).await })
                .await?;
            self.tell(told);
        }
        Ok(())
    }

    fn tell(&self, told: Told<'_>) {
        let (read, named) = {
            let marks = self.marks();
            (marks.read.all(), marks.named)
        };
        told(GcEvent::Followed { read, named });
    }

    /// The lists and manifests that metadata names and that are to be read.
    async fn by_metadata(&self, due: &Due, uploaded: Uploaded<'_>) -> Result<(Vec<Due>, Vec<Due>)> {
        let none = (Vec::new(), Vec::new());
        let times = if may_be_packed(&due.location) { PACKED_TIMES } else { 1 };
        let kib = (due.said.size >> 10).saturating_add(1).saturating_mul(times);
        let kib = kib.min(METADATA_KIB as u64);
        let kib = u32::try_from(kib).unwrap_or(1);
        let _permit = self.metadata_kib.acquire_many(kib).await.map_err(cut_short)?;
        let most = METADATA_BYTES_MAX as u64;
        let Found::Bytes(at, bytes) = self.read(due, most, most).await? else { return Ok(none) };
        self.marks().read.metadata += 1;
        let checksum = due.said.checksum.as_str();
        let is_other = !checksum.is_empty() && blake3::hash(&bytes).to_hex().as_str() != checksum;
        let parse = move || {
            let plain = unpack(&bytes).map_err(|error| (error.message, Vec::new()))?;
            let named = match is_other {
                true => Err("it is not what was committed: its checksum is another".to_owned()),
                false => Named::by_metadata(&plain).map_err(|error| error.message().to_owned()),
            };
            named.map_err(|why| (why, Named::locations_in(&plain)))
        };
        let named = tokio::task::spawn_blocking(parse).await.map_err(cut_short)?;
        let named = match named {
            Ok(named) => named,
            Err((why, locations)) => {
                self.fail(due, why);
                // Where its files may lie.
                for location in locations {
                    let mut marks = self.marks();
                    for at in self.roots.places(&format!("{location}/x")) {
                        let folder = self.id_of(&mut marks.graph, &at);
                        marks.graph.fail_also(folder);
                    }
                }
                return Ok(none);
            }
        };
        let from = self.folder_of(&at);
        {
            let mut marks = self.marks();
            // Where the table says that it lies, and where its metadata does: one cannot go without the other.
            let inside = format!("{}/x", plain(&named.location));
            for place in self.roots.places(&inside) {
                if let Some(folder) = self.id_of(&mut marks.graph, &place) {
                    marks.graph.is_of(folder, &due.table);
                    // What the location could mean as well is not the table's for that.
                    if self.roots.address(&place).as_ref() == Some(&inside) {
                        let key = place.key.strip_suffix('x').unwrap_or_default().to_owned();
                        marks.graph.claims((place.root, key));
                    }
                    if let Some(from) = from {
                        marks.graph.names(from, folder);
                        marks.graph.names(folder, from);
                    }
                }
            }
        }
        for file in &named.files {
            self.named(from, file, uploaded)?;
        }
        let unsized_ = |files: Vec<String>| files.into_iter().map(|file| (file, 0)).collect();
        let lists = self.due(due, from, unsized_(named.lists), uploaded)?;
        Ok((lists, self.due(due, from, unsized_(named.manifests), uploaded)?))
    }

    /// The list of what a table has lost: its pages are needed with it, and name nothing.
    async fn by_lost(&self, due: &Due) -> Result<()> {
        let found = self.read(due, GONE_BYTES_MAX, GONE_BYTES_MAX).await?;
        let Found::Bytes(at, bytes) = found else { return Ok(()) };
        self.marks().read.metadata += 1;
        let Some(gone) = Gone::decode(&bytes) else {
            self.fail(due, "it is damaged, or of a newer program".to_owned());
            return Ok(());
        };
        let from = self.folder_of(&at);
        gone.pages.iter().try_for_each(|page| self.named(from, &page.location, &|_| Ok(())))
    }

    /// The manifests that a list names and that are to be read.
    async fn by_list(&self, due: &Due) -> Result<Vec<Due>> {
        let (Found::Bytes(at, bytes), _permit) = self.read_avro(due).await? else {
            return Ok(Vec::new());
        };
        self.marks().read.lists += 1;
        match named_by_list(&bytes) {
            Ok(manifests) => self.due(due, self.folder_of(&at), manifests, &|_| Ok(())),
            Err(error) => {
                self.fail(due, error.message().to_owned());
                Ok(Vec::new())
            }
        }
    }

    async fn by_manifest(&self, due: &Due, uploaded: Uploaded<'_>) -> Result<()> {
        let (Found::Bytes(at, bytes), _permit) = self.read_avro(due).await? else {
            return Ok(());
        };
        self.marks().read.manifests += 1;
        let from = self.folder_of(&at);
        if ![0, bytes.len() as u64].contains(&due.said.size) {
            let (has, size) = (bytes.len(), due.said.size);
            self.fail(due, format!("it has {has} bytes, and the list that names it says {size}"));
        }
        let mut marked = Ok(());
        let read = named_by_manifest(&bytes, &mut |file| {
            if marked.is_ok() {
                marked = self.named(from, file, uploaded);
            }
        });
        if let Err(error) = read {
            self.fail(due, error.message().to_owned());
        }
        marked
    }

    /// Marks a file that one in `from` names.
    fn named(&self, from: Option<FolderId>, file: &str, uploaded: Uploaded<'_>) -> Result<()> {
        let mut marks = self.marks();
        for to in self.mark(&mut marks, file)? {
            if let Some(from) = from {
                marks.graph.names(from, to);
            }
        }
        drop(marks);
        uploaded(file)
    }

    /// Marks files that one in `from` names; those that are to be read.
    fn due(
        &self,
        by: &Due,
        from: Option<FolderId>,
        files: Vec<(String, u64)>,
        uploaded: Uploaded<'_>,
    ) -> Result<Vec<Due>> {
        let mut due = Vec::new();
        for (location, size) in files {
            self.named(from, &location, uploaded)?;
            self.outside(from, &location);
            if self.marks().first(digest(&[location.as_bytes()]), by.need)? {
                let (table, said) = (by.table.clone(), Said { size, ..Said::default() });
                due.push(Due { location, table, need: by.need, from, said });
            }
        }
        Ok(due)
    }

    /// A file that is to be read and lies in no folder of a table is one by itself: all who name it need it.
    fn outside(&self, from: Option<FolderId>, location: &str) {
        let mut marks = self.marks();
        let mut places = self.roots.places(location).into_iter();
        if let Some(from) = from
            && places.all(|at| self.roots.folder(at.root, &at.key).is_none())
        {
            let file = marks.graph.id(OUTSIDE, location);
            marks.graph.names(from, file);
        }
    }

    /// Marks all that a location may stand for; the folders that it may lie in.
    fn mark(&self, marks: &mut Marks, location: &str) -> Result<Vec<FolderId>> {
        let mut folders = Vec::new();
        for at in self.roots.places(location) {
            marks.names.add(self.roots.id(at.root, &at.key))?;
            folders.extend(self.id_of(&mut marks.graph, &at));
        }
        marks.named += u64::from(!folders.is_empty());
        Ok(folders)
    }

    fn id_of(&self, graph: &mut Graph, at: &At) -> Option<FolderId> {
        self.roots.folder(at.root, &at.key).map(|folder| graph.id(at.root, folder))
    }

    fn folder_of(&self, at: &At) -> Option<FolderId> {
        self.id_of(&mut self.marks().graph, at)
    }

    /// A list or a manifest, and its part of the memory that all have together.
    async fn read_avro(&self, due: &Due) -> Result<(Found, SemaphorePermit<'_>)> {
        let first = due.said.size.clamp(FIRST_BYTES, AVRO_BYTES_MAX);
        let permit = self.room(first).await?;
        match self.read(due, first, AVRO_BYTES_MAX).await? {
            Found::Longer => {}
            found => return Ok((found, permit)),
        }
        drop(permit);
        let permit = self.room(AVRO_BYTES_MAX).await?;
        Ok((self.read(due, AVRO_BYTES_MAX, AVRO_BYTES_MAX).await?, permit))
    }

    async fn room(&self, bytes: u64) -> Result<SemaphorePermit<'_>> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(AVRO_KIB);
        self.avro_kib.acquire_many(kib).await.map_err(cut_short)
    }

    /// Reads a file, where it has no more than `most` bytes; with more than `bytes_max` it is none that can be read.
    async fn read(&self, due: &Due, most: u64, bytes_max: u64) -> Result<Found> {
        let places = self.roots.places(&due.location);
        let (is_here, mut is_odd) = (!places.is_empty(), false);
        for at in places {
            let Some(root) = self.roots.get(&at) else { continue };
            let span = Span::From { offset: 0, len: most + 1 };
            match root.objects.get_span(&at.key, span).await {
                Ok(Some(bytes)) if most < bytes_max && bytes.len() as u64 > most => {
                    return Ok(Found::Longer);
                }
                Ok(Some(bytes)) if bytes.len() as u64 > bytes_max => {
                    self.fail(due, format!("it has more than {bytes_max} bytes, the limit"));
                    return Ok(Found::Failed);
                }
                Ok(Some(bytes)) => return Ok(Found::Bytes(at, bytes)),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::InvalidInput => is_odd = true,
                Err(error) => return Err(error.context("the files of tables cannot be read now")),
            }
        }
        if is_odd {
            // It may be there all the same.
            self.fail(due, "its name has characters that cannot be read here".to_owned());
            return Ok(Found::Failed);
        }
        match (is_here, due.need) {
            (true, Need::Recent) => return Ok(Found::Passed),
            (true, Need::Needed) => self.fail(due, "it is not there".to_owned()),
            (false, _) if due.from.is_some() => {
                self.fail(due, "it lies elsewhere, where it cannot be read".to_owned());
            }
            (false, _) => {
                let why = format!(
                    "table '{}' lies elsewhere, at '{}': name the folder of its warehouse (--iceberg-warehouse), as the sidecar has it",
                    due.table,
                    quoted(&due.location)
                );
                self.marks().halted.get_or_insert(why);
            }
        }
        Ok(Found::Failed)
    }

    /// Something cannot be read: the folders of it and of what names it are left alone.
    fn fail(&self, due: &Due, why: String) {
        let mut marks = self.marks();
        let places = self.roots.places(&due.location);
        let mut folders: Vec<FolderId> = due.from.into_iter().collect();
        folders.extend(places.iter().filter_map(|at| self.id_of(&mut marks.graph, at)));
        folders.push(marks.graph.id(OUTSIDE, &due.location));
        if !due.said.uuid.is_empty() {
            // A table's folder has its uuid for a name, wherever its metadata lies.
            let roots = 0..self.roots.all().len();
            folders.extend(roots.map(|root| marks.graph.id(root, &due.said.uuid)));
        }
        let unread = Unread { location: due.location.clone(), table: due.table.clone(), why };
        marks.graph.fail(folders, unread);
    }
}

fn cut_short(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("following the files of tables was cut short").with_source(error)
}

/// Does something with each, some at the same time.
async fn each<T, F: Future<Output = Result<()>>>(all: Vec<T>, work: impl Fn(T) -> F) -> Result<()> {
    futures::stream::iter(all).map(Ok).try_for_each_concurrent(READS, work).await
}
