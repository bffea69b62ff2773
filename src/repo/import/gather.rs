//! What there is to import: listed, chosen, and given to a commit.

use futures::{StreamExt, TryStreamExt};

use super::super::changes::ChangeBuilder;
use super::super::elsewhere::entry_of;
use super::super::handles::Branch;
use super::super::protection::Action;
use super::filter::Filter;
use super::request::{ImportPart, ImportRequest, Imported, SOURCE_KEY, Skipped};
use crate::clock;
use crate::model::change::{Change, PathChange};
use crate::model::error::{Error, Result};
use crate::model::path::ObjectPath;
use crate::objects::{Foreign, Found, LeftOut, LeftOutKind, Source};
use crate::tree::ScanStart;

/// Objects handed to the sorter in one go.
const OBJECTS_PER_STEP: usize = 4096;

/// An import in the making.
struct Gathering<'a> {
    request: &'a ImportRequest,
    filter: Filter,
    change: ChangeBuilder,
    imported: Imported,
}

impl Branch {
    /// Lists what there is to import, and makes the commit of it.
    pub(super) async fn gather(
        &self,
        request: &ImportRequest,
    ) -> Result<(Imported, ChangeBuilder)> {
        self.check_protection(Action::Commit).await?;
        self.show().await?;
        let filter = Filter::of(request)?;
        let sources = self.open_sources(request)?;
        let source = sources.first().map(|(source, _)| source.url()).unwrap_or_default();
        let message = request.message.clone().unwrap_or_else(|| format!("Import from {source}"));
        // Several places may have an object for a path; then the last one counts.
        let mut change =
            self.change().last_wins().message(message).meta(SOURCE_KEY, source.as_str());
        for (key, value) in &request.metadata {
            change = change.meta(key, value);
        }
        if let Some(committer) = &request.committer {
            change = change.committer(committer);
        }
        let imported = Imported {
            source,
            objects: 0,
            bytes: 0,
            left_out: 0,
            removed: 0,
            skipped: Skipped::default(),
            outcome: None,
        };
        let mut gathering = Gathering { request, filter, change, imported };
        if request.mirror {
            // What is at the source replaces its removal.
            self.remove_all(&mut gathering).await?;
        }
        for (source, part) in &sources {
            gathering.take(source, part).await?;
        }
        gathering.finish()
    }

    /// Removes everything on the branch below the prefixes of folders that the patterns take.
    async fn remove_all(&self, gathering: &mut Gathering<'_>) -> Result<()> {
        let (context, head) = self.head().await?;
        let content = context.lake.content(head.commit).await?;
        for part in &gathering.request.parts {
            let Some(prefix) = part.prefix() else { continue };
            let start = ScanStart::prefix(prefix.as_str());
            let there = context.lake.tree().scan(content.clone(), start);
            let mut there = there.try_ready_chunks(OBJECTS_PER_STEP);
            while let Some(chunk) = there.next().await {
                let mut removals = Vec::new();
                for (path, _) in chunk.map_err(|error| error.1)? {
                    let key = path.as_str().strip_prefix(prefix.as_str()).unwrap_or_default();
                    if gathering.filter.takes(key) {
                        let change = Change::Delete;
                        removals.push(PathChange { path, change, condition: None });
                    }
                }
                gathering.add(removals).await?;
            }
        }
        Ok(())
    }

    /// The places to import from, each with what is wanted of it.
    fn open_sources<'a>(
        &self,
        request: &'a ImportRequest,
    ) -> Result<Vec<(Source, &'a ImportPart)>> {
        let own = self.repo.onward.coordinator().objects();
        let open = |part: &'a ImportPart| {
            let source = match part {
                ImportPart::Folder { url, .. } => Source::open(url, &request.options)?,
                ImportPart::Object { url, .. } => Source::open_object(url, &request.options)?,
            };
            if source.overlaps(own) {
                return Err(Error::invalid(format!(
                    "'{}' and this deployment's own storage {} lie inside each other: history would name files that Onward itself deletes; import from a folder apart from it",
                    source.url(),
                    own.url()
                )));
            }
            Ok((source.apart_from(own), part))
        };
        request.parts.iter().map(open).collect()
    }
}

impl Gathering<'_> {
    /// Takes what there is in one place.
    async fn take(&mut self, source: &Source, part: &ImportPart) -> Result<()> {
        let prefix = part.prefix().unwrap_or_default();
        let listed = match part {
            ImportPart::Folder { .. } => source.list().await?,
            ImportPart::Object { path, .. } => {
                let mut object = source.object().await?;
                object.key.clone_from(path);
                futures::stream::iter([Ok(Found::Object(object))]).boxed()
            }
        };
        let mut listed = listed.try_ready_chunks(OBJECTS_PER_STEP);
        while let Some(chunk) = listed.next().await {
            let mut puts = Vec::new();
            for found in chunk.map_err(|error| error.1)? {
                puts.extend(self.sift(found, &prefix));
            }
            if self.adds() {
                self.add(puts).await?;
            }
        }
        Ok(())
    }

    /// Whether the changes themselves are wanted, and not only how many there are.
    fn adds(&self) -> bool {
        !self.request.dry_run || self.request.mirror
    }

    /// Counts what was found; the change where it is an object that is taken.
    fn sift(&mut self, found: Found, prefix: &str) -> Option<PathChange> {
        let object = match found {
            Found::LeftOut(left_out) => {
                // What the patterns leave out is nobody's loss. Below a folder may lie anything.
                if left_out.kind == LeftOutKind::Unreadable || self.filter.takes(&left_out.key) {
                    self.imported.skipped.add(left_out);
                }
                return None;
            }
            Found::Object(object) if !self.filter.takes(&object.key) => {
                self.imported.left_out += 1;
                return None;
            }
            Found::Object(object) => object,
        };
        let (size, key, address) = (object.size, object.key.clone(), object.address.clone());
        match put(object, prefix) {
            Ok(change) => {
                self.imported.objects += 1;
                self.imported.bytes += size;
                Some(change)
            }
            Err(error) => {
                let reason = format!("{address}: {}", error.message());
                let kind = LeftOutKind::Name;
                self.imported.skipped.add(LeftOut { key, kind, reason });
                None
            }
        }
    }

    /// Gives changes to the commit, on a thread that may be blocked: a full sorter writes to disk.
    async fn add(&mut self, changes: Vec<PathChange>) -> Result<()> {
        let empty = self.change.empty();
        let mut change = std::mem::replace(&mut self.change, empty);
        let added = clock::on_other_thread(move || {
            for put in changes {
                change.push(put)?;
            }
            Ok(change)
        });
        self.change = added.await?.map_err(|error: Error| error.context("nothing was imported"))?;
        Ok(())
    }

    /// Ends it, unless too little was found to be sure of.
    fn finish(self) -> Result<(Imported, ChangeBuilder)> {
        let Imported { source, objects, left_out, skipped, .. } = &self.imported;
        let named = match skipped.reasons.as_slice() {
            [] => String::new(),
            reasons => format!(": {}", reasons.join("; ")),
        };
        if skipped.missed() > 0 && !self.request.partial {
            return Err(Error::invalid(format!(
                "nothing was imported, because {} of '{source}' cannot be{named}: rename them or make them readable, or import the folders beside them",
                skipped.missed()
            )));
        }
        if skipped.unreadable > 0 && self.request.mirror {
            return Err(Error::invalid(format!(
                "nothing was imported: some of '{source}' cannot be looked at, and what lies there would be taken for gone{named}: make it readable"
            )));
        }
        if *objects == 0 {
            let skipped = skipped.missed() + skipped.special;
            return Err(Error::not_found(format!(
                "there is nothing to import from '{source}' ({left_out} objects were left out by the patterns, {skipped} cannot be imported{named}): check the URL and the patterns"
            )));
        }
        Ok((self.imported, self.change))
    }
}

/// The change that an object of a source is; fails where no path can have its name.
fn put(object: Foreign, prefix: &str) -> Result<PathChange> {
    let path = ObjectPath::new(format!("{prefix}{}", object.key))?;
    Ok(PathChange { path, change: Change::Put(entry_of(object)?), condition: None })
}
