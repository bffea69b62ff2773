//! A table that two branches have changed since their merge base: where both did nothing but append, and both say
//! that appends commute, the appends of one side are brought onto the other, as a stale commit would be.
//!
//! What is told of a snapshot is by its id, which it keeps wherever it is brought: what is there is never brought
//! again, however often two branches are merged, and in whatever order.

mod besides;
mod line;
mod sides;

use std::collections::HashSet;
use std::io;

use serde_json::Value;

use super::draft::Draft;
use super::json::number;
use super::rebase::{Asked, NotRebased, Rebase, is_append};
use super::{Metadata, Moment, TableFiles, Update};
use besides::{main_at, put_together};

pub(super) use line::Line;
pub use sides::Sides;

/// Snapshots that one merge brings, at most: each is read, and made anew.
pub const MERGED_MAX: usize = 1_000;
/// Snapshots whose new files are kept in memory until they are written.
const AT_ONCE: usize = 100;

/// Why two sides of a table were not merged.
#[derive(Debug)]
pub enum NotMerged {
    /// They cannot be: the reason.
    Not(String),
    /// Files that it takes were not at hand: the same merge may work later.
    Unavailable(io::Error),
}

impl From<NotRebased> for NotMerged {
    fn from(why: NotRebased) -> Self {
        match why {
            NotRebased::Not(reason) => Self::Not(reason),
            NotRebased::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

/// What is to be brought.
struct Plan<'a> {
    /// Snapshots of the source, oldest first.
    brought: Vec<&'a Value>,
    /// The destination, with what the source changed besides.
    onto: Metadata,
}

/// Why the metadata of two sides cannot be merged; none where it can. Reads no files: what these are like is seen
/// when they are merged.
#[must_use]
pub fn kept_apart(sides: &Sides<'_>) -> Option<String> {
    plan(sides).err()
}

/// The table with the rows of both sides, each once, and with the lines of the destination's log. None where the
/// destination has all of it already. All files that it names are written.
///
/// Costs a list and a manifest or more for each snapshot that is brought, [`MERGED_MAX`] at most.
///
/// # Errors
///
/// Where one side did something else than append, where both changed the same besides, where the table does not
/// say that appends commute, and where too much is expired to tell.
pub async fn merge(
    sides: &Sides<'_>,
    moment: &Moment<'_>,
    files: &dyn TableFiles,
) -> Result<Option<Metadata>, NotMerged> {
    let Plan { brought, onto } = plan(sides).map_err(NotMerged::Not)?;
    if brought.is_empty() && onto.json() == sides.dest.json() {
        return Ok(None);
    }
    let mut draft = Draft::of(Some(&onto), moment.now_ms);
    if fit(sides, &brought) {
        let as_they_are = brought.iter().map(|one| (*one).clone()).collect();
        bring(&mut draft, as_they_are)?;
    } else {
        let mut rebase = Rebase::new(moment, files);
        for some in brought.chunks(AT_ONCE) {
            let asked = Asked { branch: "main", snapshots: some.to_vec(), adds_schemas: false };
            let mut made = rebase.anew(&asked, None, &draft).await?;
            let anew = some.iter().filter_map(|one| made.remove(&number(one, "snapshot-id")));
            bring(&mut draft, anew.collect())?;
            rebase.write_all().await.map_err(NotMerged::Unavailable)?;
        }
    }
    let merged = draft.finish(Some(moment.head_location));
    merged.map(Some).map_err(|invalid| NotMerged::Not(invalid.to_string()))
}

fn plan<'a>(sides: &Sides<'a>) -> Result<Plan<'a>, String> {
    let Sides { base, source, dest } = *sides;
    if !source.appends_commute() || !dest.appends_commute() {
        return Err(
            "the table does not say on both that appends commute (onward.appends=commute)".into()
        );
    }
    let lines = [base, source, dest].map(Line::of);
    let [began, theirs, ours] = &lines;
    let told = |side: &Metadata, line: &Line, name: &str| {
        let has_head = base.current_snapshot_id().is_some_and(|head| alike(base, side, head));
        line.since(began, has_head).ok_or_else(|| {
            format!("the {name} has not all snapshots of the base, or too many are expired to tell")
        })
    };
    let (theirs, ours) = (told(source, theirs, "source")?, told(dest, ours, "destination")?);
    appends_alone(source, &theirs, "source")?;
    appends_alone(dest, &ours, "destination")?;
    on_main(sides, &lines[1])?;
    let ours: HashSet<i64> = ours.into_iter().collect();
    let brought: Vec<i64> = theirs.into_iter().filter(|id| !ours.contains(id)).collect();
    if brought.len() > MERGED_MAX {
        let many = brought.len();
        return Err(format!(
            "{many} snapshots are to be brought: {MERGED_MAX} at most are in one merge"
        ));
    }
    let onto = put_together(sides, &brought.iter().copied().collect())?;
    let onto = Metadata::from_json(Value::Object(onto)).map_err(|invalid| invalid.to_string())?;
    let brought = brought.iter().filter_map(|id| source.snapshot(*id)).collect();
    Ok(Plan { brought, onto })
}

fn appends_alone(table: &Metadata, ids: &[i64], side: &str) -> Result<(), String> {
    for id in ids {
        let is_append = is_append(table.snapshot(*id).unwrap_or(&Value::Null));
        if let Err(NotRebased::Not(reason)) = is_append {
            return Err(format!("snapshot {id} of the {side}: {reason}"));
        }
    }
    Ok(())
}

/// Fails where the source has added snapshots that do not lead to its head: those of its branches, or staged ones.
fn on_main(sides: &Sides<'_>, line: &Line) -> Result<(), String> {
    let main: HashSet<i64> = line.ids.iter().copied().collect();
    let is_known = |id: &i64| {
        main.contains(id)
            || sides.base.snapshot(*id).is_some()
            || sides.dest.snapshot(*id).is_some()
    };
    match sides.source.snapshot_ids().find(|id| !is_known(id)) {
        Some(id) => Err(format!("snapshot {id} of the source does not lead to its head")),
        None => Ok(()),
    }
}

/// Whether snapshots can stand on the head of the destination as they are: it is the very one that they were made
/// on, and their numbers are free there, which other branches of the table take as well.
fn fit(sides: &Sides<'_>, snapshots: &[&Value]) -> bool {
    let Sides { source, dest, .. } = *sides;
    let head = dest.current_snapshot_id();
    let mut parent = head;
    let is_chain = snapshots.iter().all(|one| {
        let fits = number(one, "parent-snapshot-id") == parent;
        parent = number(one, "snapshot-id");
        fits
    });
    let first = |key: &str| snapshots.first().and_then(|first| number(first, key));
    let is_free = first("sequence-number").is_none_or(|own| own > dest.last_sequence_number())
        && first("first-row-id")
            .is_none_or(|own| number(dest.json(), "next-row-id").is_none_or(|next| own >= next));
    is_chain && is_free && head.is_none_or(|head| alike(source, dest, head))
}

/// Whether a snapshot is the very same on two sides: the same files, with the same rows below. One that was brought
/// elsewhere has the same id, and rows of both sides.
fn alike(one: &Metadata, other: &Metadata, id: i64) -> bool {
    one.snapshot(id).is_some() && one.snapshot(id) == other.snapshot(id)
}

/// Puts snapshots on top of `main`.
fn bring(draft: &mut Draft, snapshots: Vec<Value>) -> Result<(), NotMerged> {
    let last = snapshots.last().and_then(|last| number(last, "snapshot-id"));
    let moved = last.map(|id| Update::SetSnapshotRef {
        name: "main".to_owned(),
        reference: main_at(draft.json(), id),
    });
    let updates: Vec<Update> =
        snapshots.into_iter().map(Update::AddSnapshot).chain(moved).collect();
    draft.apply(&updates).map_err(|error| NotMerged::Not(error.to_string()))
}
