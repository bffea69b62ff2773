//! What an op had sealed: its areas, read in path order a page at a time. What does not stay small goes
//! to the object store as it is read, so that memory does not follow the size of an area.

use crate::clock;
use crate::coord::areas::Area;
use crate::coord::staging::{self, Bound, PAGE_MAX, Wanted, Which};
use crate::model::change::{PathChange, check_value_version, decode_value};
use crate::model::error::{Error, Result};
use crate::model::ids::OpId;
use crate::model::path::ObjectPath;
use crate::tree::{ChangeSet, ChangeSetWriter, ChangeSorter, Record};

use super::situation::{SMALL_MAX, Sources};

/// Reads the areas that op `owner` has sealed.
pub(super) async fn load_sealed(
    sources: Sources<'_>,
    owner: OpId,
    areas: &[OpId],
) -> Result<ChangeSet> {
    match areas {
        [area] => load_area(sources, owner, *area).await,
        areas => load_areas(sources, owner, areas).await,
    }
}

async fn load_area(sources: Sources<'_>, owner: OpId, area: OpId) -> Result<ChangeSet> {
    let mut collector = ChangeSetWriter::new(sources.lake.tree(), SMALL_MAX);
    let mut from = Bound::Open;
    while let Some(values) = area_page(sources, owner, area, &from).await? {
        for value in values {
            from = Bound::Behind(value.path.clone());
            check_value_version(&value.value)?;
            let path = ObjectPath::new(value.path)?;
            collector.push(Record { path, op: 0, value: value.value }).await?;
        }
    }
    collector.finish().await
}

/// Reads several sealed areas, oldest first: the newest change of a path wins.
async fn load_areas(sources: Sources<'_>, owner: OpId, areas: &[OpId]) -> Result<ChangeSet> {
    let mut sorter = ChangeSorter::new(0);
    for area in areas {
        let mut from = Bound::Open;
        while let Some(values) = area_page(sources, owner, *area, &from).await? {
            for value in values {
                from = Bound::Behind(value.path.clone());
                let (change, condition) = decode_value(&value.value)?;
                let path = ObjectPath::new(value.path)?;
                sorter.push(PathChange { path, change, condition })?;
            }
        }
    }
    let mut collector = ChangeSetWriter::new(sources.lake.tree(), SMALL_MAX);
    // Merging what was spilled takes a while: not on a thread that serves others.
    for record in clock::on_other_thread(move || sorter.finish()).await?? {
        collector.push(record?).await?;
    }
    collector.finish().await
}

async fn area_page(
    sources: Sources<'_>,
    owner: OpId,
    area: OpId,
    from: &Bound,
) -> Result<Option<Vec<staging::StagedValue>>> {
    let wanted = Wanted::From(from, PAGE_MAX);
    let page = sources.redis.staged(Which::Area(area), wanted).await?.given();
    // An area that is no longer listed as the op's was committed, given back, or lost with Redis: what
    // is read of it now is not what was sealed, and must not become a commit.
    let own = |listed: &Area| listed.id == area && listed.owner == Some(owner);
    let page = page.filter(|page| page.areas.iter().any(own));
    let page = page.ok_or_else(|| {
        Error::unavailable(format!("sealed area {area} went away while it was read"))
    })?;
    Ok(Some(page.values).filter(|values| !values.is_empty()))
}
