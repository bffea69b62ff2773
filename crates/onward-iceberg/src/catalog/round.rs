//! A round of a table: all commits that wait for it in this sidecar become one `metadata.json` and one commit of the
//! branch, which names each of them.
//!
//! Where another sidecar was faster the round is made anew on top of what that one did: a commit that was put
//! together here loses only to others that landed, and a round of one sidecar takes all that wait there. The number
//! of rounds in which one loses is not bounded by that but by [`ROUNDS_MAX`], behind which a client is told that
//! nothing was done.

use std::sync::Arc;

use super::asked::Asked;
use super::error::{CatalogError, Kind, Result};
use super::loaded::Loaded;
use super::prepare::{Judged, Prepared, Site};
use super::submit::{Decided, Said};

/// Rounds in which other sidecars may be faster.
const ROUNDS_MAX: usize = 64;
/// What a commit of the branch says of those it is made of, in bytes: what is more is cut.
const SAID_MAX: usize = 5000;

/// What became of a commit.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It has landed, and this is the table.
    Landed(Arc<Loaded>),
    /// Others were first.
    Stale(CatalogError),
    /// It is refused, or nobody knows.
    Refused(CatalogError),
    /// It was not looked at.
    Later,
}

/// Brings commits onto their table. One verdict for each, in their order; all are true when this returns.
pub(super) async fn round(site: &Site, asked: &[&Asked]) -> Vec<Verdict> {
    for _ in 0..ROUNDS_MAX {
        match attempt(site, asked).await {
            Ok(Some(verdicts)) => return verdicts,
            Ok(None) => {}
            Err(error) => return refuse_all(asked, &error),
        }
    }
    refuse_all(asked, &outrun())
}

/// What a client is told whom other sidecars outran in every round.
pub(super) fn outrun() -> CatalogError {
    CatalogError::new(
        Kind::Unavailable,
        format!(
            "other sidecars were faster {ROUNDS_MAX} times, and nothing was done: send it again"
        ),
    )
}

fn refuse_all(asked: &[&Asked], error: &CatalogError) -> Vec<Verdict> {
    asked.iter().map(|_| Verdict::Refused(error.clone())).collect()
}

/// One round; `None` where another sidecar was faster.
async fn attempt(site: &Site, asked: &[&Asked]) -> Result<Option<Vec<Verdict>>> {
    let entry = site.place.entry(&site.path).await?;
    let Prepared { judged, new } = site.prepare(entry.as_ref(), asked).await?;
    let lands: Vec<&Asked> = asked
        .iter()
        .zip(&judged)
        .filter(|(_, judged)| matches!(judged, Judged::Lands))
        .map(|(asked, _)| *asked)
        .collect();
    let outcome = match &new {
        None => None,
        Some(new) => {
            let said = say(&site.ident.to_string(), &lands);
            Some(match site.place.change(vec![new.change(&site.path)], said).await {
                Ok(Decided::Conflict) => {
                    site.not_landed(new).await;
                    return Ok(None);
                }
                Ok(Decided::Done | Decided::Nothing) => {
                    site.landed(new, lands.iter().copied());
                    Ok(Arc::clone(&new.loaded))
                }
                Err(error) => Err(error),
            })
        }
    };
    let verdicts = judged.into_iter().map(|judged| match (judged, &outcome) {
        (Judged::Lands, Some(Ok(loaded))) => Verdict::Landed(Arc::clone(loaded)),
        (Judged::Lands, Some(Err(error))) => Verdict::Refused(error.clone()),
        (Judged::Lands | Judged::Later, _) => Verdict::Later,
        (Judged::Known(loaded), _) => Verdict::Landed(loaded),
        (Judged::Stale(error), _) => Verdict::Stale(error),
        (Judged::Refused(error), _) => Verdict::Refused(error),
    });
    Ok(Some(verdicts.collect()))
}

/// What the commit of the branch says of the commits in it.
pub(super) fn say(table: &str, lands: &[&Asked]) -> Said {
    let mut names: Vec<&str> = lands.iter().map(|asked| asked.said.committer.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let committer = match names.as_slice() {
        [one] => (*one).to_owned(),
        [first, second] => format!("{first}, {second}"),
        [first, .., _] => format!("{first} and {} others", names.len() - 1),
        [] => String::new(),
    };
    let client = lands.first().and_then(|asked| asked.said.client.as_deref());
    let does: Vec<&str> = lands.iter().flat_map(|asked| &asked.does).map(String::as_str).collect();
    let message = match does.as_slice() {
        [] => format!("change table {table}"),
        [one] => format!("{one} in table {table}"),
        many => format!("{} changes in table {table}", many.len()),
    };
    let mut does = does.join(", ");
    if let Some((cut, _)) = does.char_indices().find(|(at, _)| *at >= SAID_MAX) {
        does.truncate(cut);
    }
    Said::of(committer, client)
        .message(message)
        .pair("iceberg.table", table.to_owned())
        .pair("iceberg.changes", does)
}
