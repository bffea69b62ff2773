//! What an op had sealed: its areas, read in path order a page at a time. What does not stay small goes
//! to the object store as it is read, so that memory does not follow the size of an area.

use crate::clock;
use crate::coord::areas::Area;
use crate::coord::staging::{Bound, PAGE_MAX, StagedPage, Wanted, Which};
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
    let mut from = Some(Bound::Open);
    while let Some(behind) = from {
        let page = area_page(sources, owner, area, &behind).await?;
        from = next_of(&page);
        for value in page.values {
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
        let mut from = Some(Bound::Open);
        while let Some(behind) = from {
            let page = area_page(sources, owner, *area, &behind).await?;
            from = next_of(&page);
            for value in page.values {
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
) -> Result<StagedPage> {
    let wanted = Wanted::From(from, PAGE_MAX);
    let page = sources.redis.staged(Which::Area(area), wanted).await?.given();
    // An area that is no longer listed as the op's was committed, given back, or lost with Redis: what
    // is read of it now is not what was sealed, and must not become a commit.
    let own = |listed: &Area| listed.id == area && listed.owner == Some(owner);
    let page = page.filter(|page| page.areas.iter().any(own));
    page.ok_or_else(|| {
        Error::unavailable(format!("sealed area {area} went away while it was read"))
    })
}

/// Where the page behind this one begins, if there may be one.
fn next_of(page: &StagedPage) -> Option<Bound> {
    let last = page.values.last().filter(|_| page.more)?;
    Some(Bound::Behind(last.path.clone()))
}
