//! Snapshots, branches and tags of metadata in the making.

use serde_json::{Value, json};

use super::Draft;
use crate::table::json::{integer, number, object};
use crate::table::{Failed, Invalid, NotApplied, validate};

impl Draft {
    /// Adds a snapshot. One whose numbers were given for an older state is stale and not wrong: its client makes
    /// it anew.
    pub(super) fn add_snapshot(&mut self, snapshot: &Value) -> Result<(), NotApplied> {
        let of = object(snapshot, "a snapshot")?;
        let id = validate::snapshot(of, self.version())?;
        if self.snapshots.contains_key(&id) {
            return Err(Invalid::new(format!("add-snapshot: {id} is there already")).into());
        }
        if let Some(schema) = integer(of, "schema-id", "a snapshot")?
            && self.member("schemas", "schema-id", schema).is_none()
        {
            return Err(Invalid::new(format!("add-snapshot: there is no schema {schema}")).into());
        }
        if self.version() > 1 {
            let given = integer(of, "sequence-number", "a snapshot")?.unwrap_or(0);
            let last = self.number("last-sequence-number").unwrap_or(0);
            if given <= last && of.get("parent-snapshot-id").is_some_and(Value::is_number) {
                let message = format!("its sequence number {given} is not above the last, {last}");
                return Err(Failed::new(format!("snapshot {id}: {message}")).into());
            }
            self.set("last-sequence-number", last.max(given));
        }
        if self.version() > 2 {
            self.count_rows(id, of)?;
        }
        let at = number(snapshot, "timestamp-ms").unwrap_or(self.now_ms);
        self.updated_ms = self.updated_ms.max(Some(at));
        let list = self.list("snapshots")?;
        let place = list.len();
        list.push(snapshot.clone());
        self.snapshots.insert(id, place);
        self.added.snapshots.insert(id);
        Ok(())
    }

    fn count_rows(&mut self, id: i64, of: &super::Object) -> Result<(), NotApplied> {
        let first = integer(of, "first-row-id", "a snapshot")?;
        let rows = integer(of, "added-rows", "a snapshot")?;
        let (Some(first), Some(rows)) = (first, rows) else {
            let message = format!("snapshot {id} has no 'first-row-id' or no 'added-rows'");
            return Err(Invalid::new(message).into());
        };
        let next = self.number("next-row-id").unwrap_or(0);
        if first < next {
            let message = format!("snapshot {id}: its first row {first} is below the next, {next}");
            return Err(Failed::new(message).into());
        }
        let end = first.checked_add(rows);
        let end = end.ok_or_else(|| Invalid::new(format!("snapshot {id}: too many rows")))?;
        self.set("next-row-id", end);
        Ok(())
    }

    pub(super) fn set_reference(&mut self, name: &str, asked: &Value) -> Result<(), Invalid> {
        let id = validate::reference(name, asked)?;
        let Some(snapshot) = self.snapshot(id) else {
            let message = format!("set-snapshot-ref: '{name}' names {id}, which is not there");
            return Err(Invalid::new(message));
        };
        let made = number(snapshot, "timestamp-ms");
        let refs = self.object("refs")?;
        let before = refs.get(name);
        let moved = before.and_then(|before| number(before, "snapshot-id")) != Some(id);
        let reference = before.filter(|_| moved).and_then(|before| as_kept(before, asked));
        refs.insert(name.to_owned(), reference.unwrap_or_else(|| asked.clone()));
        if name != "main" || !moved {
            return Ok(());
        }
        self.set("current-snapshot-id", id);
        let new = self.added.snapshots.contains(&id);
        let at = made.filter(|_| new).unwrap_or(self.now_ms);
        let log = self.list("snapshot-log")?;
        // Clocks of writers differ; a log is read in order.
        let last = log.last().and_then(|line| number(line, "timestamp-ms"));
        let at = at.max(last.unwrap_or(at));
        log.push(json!({"snapshot-id": id, "timestamp-ms": at}));
        self.updated_ms = self.updated_ms.max(Some(at));
        Ok(())
    }

    pub(super) fn remove_reference(&mut self, name: &str) -> Result<(), Invalid> {
        self.object("refs")?.remove(name);
        if name == "main" {
            self.json.remove("current-snapshot-id");
        }
        Ok(())
    }

    /// Removes snapshots, and with them what names them: branches, tags, statistics, and what the log says up to
    /// them, which has a gap there.
    pub(super) fn remove_snapshots(&mut self, ids: &[i64]) -> Result<(), Invalid> {
        let gone: std::collections::HashSet<i64> = ids.iter().copied().collect();
        let is_gone = |of: &Value| number(of, "snapshot-id").is_some_and(|id| gone.contains(&id));
        self.list("snapshots")?.retain(|one| !is_gone(one));
        for key in ["statistics", "partition-statistics"] {
            self.list(key)?.retain(|one| !is_gone(one));
        }
        let all = self.list("snapshots")?.iter().filter_map(|one| number(one, "snapshot-id"));
        self.snapshots = all.enumerate().map(|(at, id)| (id, at)).collect();
        let refs = self.object("refs")?.iter();
        let dangling: Vec<String> =
            refs.filter(|(_, one)| is_gone(one)).map(|(name, _)| name.clone()).collect();
        dangling.iter().try_for_each(|name| self.remove_reference(name))?;
        let log = self.list("snapshot-log")?;
        let known = log.iter().rposition(is_gone).map_or(0, |last| last + 1);
        log.drain(..known);
        Ok(())
    }

    /// Heads that the commit itself has replaced were never seen by anybody, and are no line of the log.
    pub(super) fn leave_out_passing_heads(&mut self) -> Result<(), Invalid> {
        if self.added.snapshots.len() < 2 {
            return Ok(());
        }
        let current = self.number("current-snapshot-id");
        let added = std::mem::take(&mut self.added.snapshots);
        self.list("snapshot-log")?.retain(|line| {
            let id = number(line, "snapshot-id");
            id == current || id.is_none_or(|id| !added.contains(&id))
        });
        Ok(())
    }
}

/// How long a branch or tag and its snapshots are kept.
const RETENTION: [&str; 3] = ["max-ref-age-ms", "max-snapshot-age-ms", "min-snapshots-to-keep"];

/// A branch that is moved, with what it says of how long it is kept, where who moves it says nothing of that: some
/// clients leave it out with every append. None where nothing is to be kept.
fn as_kept(before: &Value, asked: &Value) -> Option<Value> {
    let is_branch = |of: &Value| of.get("type").and_then(Value::as_str) == Some("branch");
    let says_nothing = RETENTION.iter().all(|key| asked.get(*key).is_none_or(Value::is_null));
    if !(is_branch(before) && is_branch(asked) && says_nothing) {
        return None;
    }
    let mut kept = asked.clone();
    for key in RETENTION {
        if let (Some(value), Some(kept)) = (before.get(key), kept.as_object_mut()) {
            kept.insert(key.to_owned(), value.clone());
        }
    }
    Some(kept)
}
