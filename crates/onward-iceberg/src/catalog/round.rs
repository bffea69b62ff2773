//! A round of a table: all commits that wait for it in this sidecar become one `metadata.json` and one commit of the
//! branch, which names each of them.
//!
//! Where another sidecar was faster the round is made anew on top of what that one did: a commit that was put
//! together here loses only to others that landed, and a round of one sidecar takes all that wait there. The number
//! of rounds in which one loses is not bounded by that but by [`ROUNDS_MAX`], behind which a client is told that
//! nothing was done.

use std::sync::Arc;
use std::time::Duration;

use onward::internals::clock::Deadline;

use super::asked::Asked;
use super::error::{CatalogError, Kind, Result};
use super::loaded::Loaded;
use super::prepare::{Judged, Prepared, Site};
use super::submit::{Decided, Said};

/// Rounds in which other sidecars may be faster.
const ROUNDS_MAX: usize = 64;
/// How long a round is made anew, at most.
const LENGTH_MAX: Duration = Duration::from_secs(25);
/// What a commit of the branch says of those it is made of, in bytes: what is more is cut.
const SAID_MAX: usize = 4000;
/// What it says of the names of tables, of one change and of who made it, in bytes.
const NAMES_MAX: usize = 1000;

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
    let until = Deadline::after(LENGTH_MAX);
    for tries in 0..ROUNDS_MAX {
        if tries > 0 && until.is_over() {
            break;
        }
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
        "other sidecars were faster again and again, and nothing was done: send it again",
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
    let table = cut(table, NAMES_MAX);
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
        [one] => format!("{} in table {table}", cut(one, NAMES_MAX / 4)),
        many => format!("{} changes in table {table}", many.len()),
    };
    let does = does.join(", ");
    Said::of(cut(&committer, NAMES_MAX).to_owned(), client)
        .message(message)
        .pair("iceberg.table", table.to_owned())
        .pair("iceberg.changes", cut(&does, SAID_MAX).to_owned())
}

/// As much of a text as has this many bytes at most.
fn cut(text: &str, bytes: usize) -> &str {
    let ends = text.char_indices().map(|(at, one)| at + one.len_utf8());
    text.get(..ends.take_while(|end| *end <= bytes).last().unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        for (bytes, left) in [(0, ""), (1, "a"), (2, "a"), (3, "aä"), (4, "aäb"), (9, "aäb")] {
            assert_eq!(cut("aäb", bytes), left);
        }
    }

    #[test]
    fn what_a_commit_says_fits_however_many_tables_it_is_of() {
        let names = vec!["n".repeat(80); 100].join(", ");
        let does = format!("{} 1", "x".repeat(9000));
        let asked = Asked::of_snapshot(1, "p", does, "c".repeat(5000));
        let said = format!("{:?}", say(&names, &[&asked]));
        assert!(said.len() < 8000, "{}", said.len());
    }
}
