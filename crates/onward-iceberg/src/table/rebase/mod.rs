//! Stale appends, brought onto what others have done meanwhile.
//!
//! What a snapshot adds lies in manifests of its own. Those are taken as they are, or what they add is extracted
//! where they hold older files besides; a new list names them behind all that the head has. Sequence numbers, row
//! ids, the parent and the totals are given anew; the id of the snapshot stays, so that its client finds it.

mod ahead;
mod asked;
mod lists;
mod own;
mod rewritten;
mod shelf;
mod small;
mod why;

use std::collections::HashMap;
use std::io;

use serde_json::Value;

use super::avro::list::List;
use super::draft::Draft;
use super::json::number;
use super::{Commit, Moment, TableFiles, Update};
use ahead::Brought;
use own::Own;
use rewritten::Head;
use shelf::Shelf;

pub use ahead::Ahead;
pub(super) use asked::{Asked, is_append};
pub use lists::Lists;
pub(super) use why::NotRebased;

/// Rebases commits one after the other, and keeps what they have in common: the list of the head that the last one
/// made, and files that are to be written.
pub(super) struct Rebase<'a> {
    shelf: Shelf<'a>,
    lists: &'a Lists,
    /// The list that was made last, and where it is to lie: where that is not the head's, its commit did not land.
    last: Option<(String, List)>,
}

impl<'a> Rebase<'a> {
    pub(super) fn new(moment: &'a Moment<'a>, files: &'a dyn TableFiles) -> Self {
        Self { shelf: Shelf::new(moment.unique, files), lists: moment.lists, last: None }
    }

    /// The updates of a commit, made anew for what the draft says now.
    pub(super) async fn updates(
        &mut self,
        commit: &Commit,
        ahead: Option<&Ahead>,
        draft: &Draft,
    ) -> Result<Vec<Update>, NotRebased> {
        let asked = Asked::of(commit, draft)?;
        let mut made = self.anew(&asked, ahead, draft).await?;
        let anew = |update: &Update| match update {
            Update::AddSnapshot(old) => {
                let new = made.remove(&number(old, "snapshot-id")).unwrap_or(Value::Null);
                Update::AddSnapshot(new)
            }
            other => other.clone(),
        };
        Ok(commit.updates.iter().map(anew).collect())
    }

    /// Snapshots made anew for what the draft says now, by their ids.
    pub(super) async fn anew(
        &mut self,
        asked: &Asked<'_>,
        ahead: Option<&Ahead>,
        draft: &Draft,
    ) -> Result<HashMap<Option<i64>, Value>, NotRebased> {
        let mut owns = Vec::with_capacity(asked.snapshots.len());
        for snapshot in &asked.snapshots {
            let read;
            let brought = match ahead.and_then(|ahead| ahead.of(snapshot)) {
                Some(brought) => brought,
                None => {
                    own::list_of(snapshot, draft)?;
                    read = Brought::read(snapshot, self.shelf.files()).await?;
                    &read
                }
            };
            owns.push(Own::of(snapshot, brought, asked, draft, &mut self.shelf)?);
        }
        let mut head = Head::of(draft, asked)?;
        let list = match self.last.take() {
            Some((place, list)) if place == head.list => list,
            _ => match self.lists.get(&head.list, head.version) {
                Some(list) => list,
                None => {
                    let file = self.shelf.read(&head.list).await?;
                    List::read(&file, head.version)?
                }
            },
        };
        let mut list = head.numbered(list)?;
        let mut made = HashMap::new();
        let mut place = head.list.clone();
        for own in owns {
            list = small::merged(list, head.adding(own.snapshot), draft, &mut self.shelf).await?;
            let (snapshot, written) = head.with(own, list, &mut self.shelf)?;
            list = written;
            let listed = snapshot.get("manifest-list").and_then(Value::as_str);
            place = listed.unwrap_or_default().to_owned();
            made.insert(number(&snapshot, "snapshot-id"), snapshot);
        }
        self.last = Some((place, list));
        Ok(made)
    }

    /// Writes all files that what was returned so far names.
    pub(super) async fn write_all(&mut self) -> io::Result<()> {
        self.shelf.write_all().await?;
        if let Some((place, list)) = self.last.take() {
            self.lists.keep(place, list);
        }
        Ok(())
    }
}
