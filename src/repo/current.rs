//! What paths name on a branch now: staged over sealed over committed, from one moment.

use std::collections::HashMap;
use std::sync::Arc;

use crate::commit::context::BranchContext;
use crate::commit::mend::present::{Shows, present};
use crate::coord::areas::Area;
use crate::coord::staging::{StagedValue, Wanted, Which};
use crate::coord::{Answer, HeadView};
use crate::model::change::{Change, decode_value};
use crate::model::entry::Entry;
use crate::model::error::Result;
use crate::model::path::ObjectPath;

use super::glance::Glance;
use super::handles::Branch;

/// What paths name on a branch at one moment, and what that rests on.
pub(super) struct Current {
    pub(super) glance: Arc<Glance>,
    /// What is staged of the paths.
    pub(super) staged: Vec<StagedValue>,
    /// What each path names, in order.
    pub(super) entries: Vec<Option<Entry>>,
    /// What each would name without what is staged of it, where that was asked for.
    pub(super) below: Vec<Option<Entry>>,
}

/// What is asked of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// What they name.
    Entries,
    /// Also what they would name if nothing of them were staged.
    EntriesAndBelow,
}

impl Shows for Current {
    fn head(&self) -> Option<&HeadView> {
        Some(&self.glance.head)
    }
}

impl Branch {
    /// What paths name now.
    pub(super) async fn current(&self, paths: &[ObjectPath]) -> Result<(BranchContext, Current)> {
        let ask = |context| async move { self.current_in(&context, paths, Asked::Entries).await };
        present(self, ask).await
    }

    /// What paths name now, by what Redis says of one incarnation.
    pub(super) async fn current_in(
        &self,
        context: &BranchContext,
        paths: &[ObjectPath],
        asked: Asked,
    ) -> Result<Answer<Current>> {
        let glances = self.repo.onward.inner.glances(context);
        let (glance, staged) = match glances.look(paths.to_vec()).await?.given_or_none() {
            Ok(glanced) => glanced,
            Err(none) => return Ok(none),
        };
        let mut sealed: Vec<Option<Change>> = vec![None; paths.len()];
        let wanted: Vec<&str> = paths.iter().map(ObjectPath::as_str).collect();
        // Oldest first: changes move upwards, where areas that were given back become one.
        for Area { id, .. } in &glance.areas {
            let area = context.redis.staged(Which::Area(*id), Wanted::Paths(&wanted)).await?;
            match area.given_or_none() {
                Ok(area) => take(&mut sealed, paths, &area.values)?,
                Err(none) => return Ok(none),
            }
        }
        let mut found = sealed.clone();
        take(&mut found, paths, &staged)?;
        let needed = match asked {
            Asked::Entries => &found,
            Asked::EntriesAndBelow => &sealed,
        };
        let unknown = paths.iter().zip(needed).filter(|(_, change)| change.is_none());
        let unknown: Vec<ObjectPath> = unknown.map(|(path, _)| path.clone()).collect();
        let committed = context.lake.tree().get_many(&glance.metarange, &unknown).await?;
        let committed: HashMap<ObjectPath, Option<Entry>> =
            unknown.into_iter().zip(committed).collect();
        let over = |changes: &[Option<Change>]| -> Vec<Option<Entry>> {
            let over = |(path, change): (&ObjectPath, &Option<Change>)| match change {
                Some(change) => change.entry().cloned(),
                None => committed.get(path).cloned().flatten(),
            };
            paths.iter().zip(changes).map(over).collect()
        };
        let entries = over(&found);
        let below = if asked == Asked::EntriesAndBelow { over(&sealed) } else { Vec::new() };
        Ok(Answer::Given(Current { glance, staged, entries, below }))
    }
}

/// Takes in newer changes of paths.
fn take(found: &mut [Option<Change>], paths: &[ObjectPath], values: &[StagedValue]) -> Result<()> {
    for (slot, path) in found.iter_mut().zip(paths) {
        if let Some(value) = values.iter().find(|value| value.path == path.as_str()) {
            *slot = Some(decode_value(&value.value)?.0);
        }
    }
    Ok(())
}
