//! Records of topics of change sets on their way into a partition's queue, and those that are none into files:
//! what lies side by side there when a commit could be made is one file and one commit. Where a file is on its way,
//! the letters behind it wait for that, as they cannot be committed before it.

use std::collections::VecDeque;

use bytes::Bytes;
use onward::Result;

use crate::engine::Engine;
use crate::partition::{Finished, Partition, ToUpload, dead_file, letters, named};
use crate::record::Record;
use crate::requests::{DeadLetter, Request};
use crate::settings::{DeadLetterSettings, Settings};

impl Partition {
    /// Adds a record to what waits: as the change set that it is, or as a dead letter, for this reason.
    pub(crate) fn ask(
        &mut self,
        record: Record,
        refused: Option<String>,
        settings: &Settings,
    ) -> Result<()> {
        if let Some(reason) = &refused {
            letters(&record, reason, settings, &self.place)?;
        }
        self.next = record.offset.saturating_add(1);
        let (through_ms, memory) = (record.through_ms(), record.memory());
        let bytes = record.value.as_ref().map_or(0, Bytes::len) as u64;
        let request = match refused {
            None => Request::ChangeSet(record),
            Some(reason) => Request::DeadLetters(vec![DeadLetter::new(record, reason)?]),
        };
        self.waiting.push_back(Finished {
            next: self.next,
            life: self.life,
            through_ms,
            records: 1,
            bytes,
            memory,
            files: Vec::new(),
            request: Some(request),
        });
        Ok(())
    }

    /// Makes files of the dead letters that wait without one.
    fn bury(&mut self, settings: &DeadLetterSettings, all: &Settings) -> Result<Vec<ToUpload>> {
        let mut waiting = VecDeque::<Finished>::with_capacity(self.waiting.len());
        for mut next in self.waiting.drain(..) {
            if let Some(last) = waiting.back_mut().filter(|last| last.is_to_be_buried()) {
                match last.join(next) {
                    None => continue,
                    Some(back) => next = back,
                }
            }
            waiting.push_back(next);
        }
        let mut uploads = Vec::new();
        for finished in waiting.iter_mut().filter(|finished| finished.is_to_be_buried()) {
            let Some(Request::DeadLetters(letters)) = &finished.request else { continue };
            let (Some(first), Some(last)) = (letters.first(), letters.last()) else { continue };
            let mut dead = settings.format.begin()?;
            for letter in letters {
                dead.push(&letter.record, &letter.reason)?;
            }
            let offsets = (first.record.offset, last.record.offset);
            let time = first.record.timestamp_ms;
            let mut facts = self.facts(offsets, time, settings.format.extension());
            facts.life = finished.life;
            let upload = dead_file(dead, settings, all, facts)?;
            finished.files = named(std::slice::from_ref(&upload));
            uploads.push(upload);
        }
        self.waiting = waiting;
        Ok(uploads)
    }
}

impl Finished {
    /// Whether it is dead letters whose file is not uploaded yet.
    fn is_being_buried(&self) -> bool {
        matches!(self.request, Some(Request::DeadLetters(_)))
            && self.files.iter().any(|file| file.entry.is_none())
    }

    /// Takes what is behind in, where both are dead letters of one life that go together; else gives it back.
    fn join(&mut self, mut next: Self) -> Option<Self> {
        if !next.is_to_be_buried() || next.life != self.life {
            return Some(next);
        }
        if let (Some(request), Some(more)) = (&mut self.request, next.request.take())
            && let Some(back) = request.join(more)
        {
            next.request = Some(back);
            return Some(next);
        }
        self.next = next.next;
        self.through_ms = self.through_ms.max(next.through_ms);
        self.records += next.records;
        self.bytes += next.bytes;
        self.memory += next.memory;
        None
    }
}

impl Engine {
    /// Begins to write the dead letters that wait in each partition.
    pub(crate) fn bury(&mut self) -> Result<()> {
        let settings = self.settings.clone();
        let Some(letters) = &settings.dead_letters else { return Ok(()) };
        let mut uploads = Vec::new();
        for partition in self.partitions.values_mut() {
            let is_held_up = partition.waiting.front().is_some_and(Finished::is_being_buried);
            if !is_held_up && partition.waiting.iter().any(Finished::is_to_be_buried) {
                let files = partition.bury(letters, &settings)?;
                uploads.push((partition.place.clone(), partition.assignment, files));
            }
        }
        for (place, assignment, files) in uploads {
            self.upload(&place, assignment, files);
        }
        Ok(())
    }
}
