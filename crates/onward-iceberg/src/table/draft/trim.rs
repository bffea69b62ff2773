//! Snapshots that nothing needs any more, taken out as the table's owner wants it.

use std::collections::HashSet;

use serde_json::Value;

use super::Draft;
use crate::table::json::number;
use crate::table::metadata::TRIMS;
use crate::table::{Invalid, Metadata};

/// The properties of Iceberg's own expiry, and what holds without them: five days, and one snapshot of each branch.
const AGE_MAX: (&str, i64) = ("history.expire.max-snapshot-age-ms", 5 * 24 * 3_600_000);
const KEPT_MIN: (&str, i64) = ("history.expire.min-snapshots-to-keep", 1);

impl Draft {
    /// Removes the snapshots that Iceberg's own expiry would remove, where the table asks for it. What `base` does
    /// not have stays: whoever adds a snapshot finds it.
    ///
    /// A branch keeps its newest snapshots: so many, and those that are young enough, by its own numbers or the
    /// table's. Branches and tags stay, and so does what no branch has while it is young.
    pub(in crate::table) fn trim(&mut self, base: &Metadata) -> Result<(), Invalid> {
        if self.property(TRIMS) != Some("true") {
            return Ok(());
        }
        let (Some(age_max), Some(kept_min)) = (self.setting(AGE_MAX), self.setting(KEPT_MIN))
        else {
            return Ok(());
        };
        let (mut kept, mut on_branches) = (HashSet::new(), HashSet::new());
        for reference in self.json.get("refs").and_then(Value::as_object).into_iter().flatten() {
            let own = |key: &str| number(reference.1, key);
            let head = own("snapshot-id");
            if reference.1.get("type").and_then(Value::as_str) == Some("tag") {
                kept.extend(head);
                continue;
            }
            let oldest = own("max-snapshot-age-ms").unwrap_or(age_max);
            let oldest = self.now_ms.saturating_sub(oldest);
            // Its head stays, whatever number is said: without it the branch would go.
            let least = own("min-snapshots-to-keep").unwrap_or(kept_min).max(1);
            let mut keeps = true;
            for (nth, (id, at)) in (0..).zip(self.ancestors(head)) {
                keeps &= nth < least || at >= oldest;
                if keeps {
                    kept.insert(id);
                } else if !on_branches.insert(id) {
                    break;
                }
            }
        }
        let oldest = self.now_ms.saturating_sub(age_max);
        let needed = |id: i64, at: i64| {
            let is_young = at >= oldest && !on_branches.contains(&id);
            kept.contains(&id) || is_young || base.snapshot(id).is_none()
        };
        let all = self.json.get("snapshots").and_then(Value::as_array).into_iter().flatten();
        let gone: Vec<i64> =
            all.filter_map(stamp).filter(|(id, at)| !needed(*id, *at)).map(|(id, _)| id).collect();
        if gone.is_empty() { Ok(()) } else { self.remove_snapshots(&gone) }
    }

    /// A number among the properties; none where what stands there is not one.
    fn setting(&self, (name, default): (&str, i64)) -> Option<i64> {
        match self.property(name) {
            None => Some(default),
            Some(text) => text.parse().ok(),
        }
    }

    /// A snapshot and those that it came from, as far as they are there: ids and times.
    fn ancestors(&self, head: Option<i64>) -> impl Iterator<Item = (i64, i64)> {
        let of = move |id: i64| self.snapshot(id);
        let parent = move |one: &&Value| of(number(one, "parent-snapshot-id")?);
        // As many as there are, whatever they say of their parents.
        let most = self.snapshots.len();
        std::iter::successors(head.and_then(of), parent).take(most).filter_map(stamp)
    }
}

/// The id and the time of a snapshot.
fn stamp(snapshot: &Value) -> Option<(i64, i64)> {
    Some((number(snapshot, "snapshot-id")?, number(snapshot, "timestamp-ms")?))
}
