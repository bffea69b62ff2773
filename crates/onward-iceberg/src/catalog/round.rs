//! A round of a table: all commits that wait for it in this sidecar become one `metadata.json` and one commit of the
//! branch, which names each of them.
//!
//! Where another sidecar was faster the round is made anew on top of what that one did, and what would have landed is
//! offered to it besides (see [`super::board`]): so a commit is beaten twice at most. What cannot be offered, as it is
//! too large, or as it stands on what others have done, is tried [`ROUNDS_MAX`] times, behind which a client is told
//! that nothing was done.

use std::sync::Arc;
use std::time::Duration;

use onward::Entry;
use onward::internals::clock::Deadline;
use onward::internals::repo::board::OFFERS_MAX;

use super::asked::Asked;
use super::board::Board;
use super::error::{CatalogError, Kind, Result};
use super::learned::Learned;
use super::loaded::Loaded;
use super::prepare::{Judged, New, Prepared, Site};
use super::submit::Decided;
use super::words::{UUID, say};

/// Rounds in which other sidecars may be faster.
const ROUNDS_MAX: usize = 64;
/// Offers that a round makes before it begins, at most.
const FRONT_MAX: usize = OFFERS_MAX / 4;
/// How long a round is made anew, at most.
const LENGTH_MAX: Duration = Duration::from_secs(25);

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
    /// It is looked for in the log, of which more is to be read.
    Sought,
}

/// How long the head is waited for by which a round was beaten, and how often it is looked for meanwhile.
const HEAD_WAIT: Duration = Duration::from_secs(2);
const HEAD_LOOK: Duration = Duration::from_millis(2);

/// What one attempt came to.
enum Attempt {
    /// One verdict for each commit.
    Verdicts(Vec<Verdict>),
    /// Another sidecar was faster, on the entry that this one was made for.
    Outrun(Option<Entry>),
    /// A check of the branch refuses what would have landed together: nobody knows which of them it means.
    Apart,
}

/// What became of the commit of the branch that a round makes.
enum Made {
    Landed(Arc<Loaded>),
    Outrun,
    /// By a check of the branch.
    Refused(CatalogError),
}

/// Brings commits onto their table. One verdict for each, in their order, with whether other sidecars may be landing it
/// still; all are true when this returns.
///
/// Once another sidecar was faster, those that would have landed are offered to all that work on the table. Where a check
/// of the branch refuses what would have landed together, each lands, or is refused, by itself.
pub(super) async fn round(site: &Site, asked: &[&Asked]) -> Vec<(Verdict, bool)> {
    let until = Deadline::after(LENGTH_MAX);
    let (mut board, mut learned) = (Board::of(site), Learned::default());
    let mut verdicts: Vec<Option<Verdict>> = asked.iter().map(|_| None).collect();
    let (mut end, mut lost_on, mut is_apart) = (outrun(), None, false);
    if site.shared.is_shared(&site.key()) {
        // Those that others may have seen go first. Room is left for who is beaten.
        let mut first = asked.to_vec();
        first.sort_by_key(|asked| !asked.was_offered);
        first.truncate(FRONT_MAX);
        board.offer(&first, true).await;
    }
    for tries in 0..ROUNDS_MAX + asked.len() {
        let mut open: Vec<&Asked> = asked
            .iter()
            .zip(&verdicts)
            .filter(|(_, verdict)| verdict.is_none())
            .map(|(asked, _)| *asked)
            .collect();
        if open.is_empty() || (tries > 0 && until.is_over()) {
            break;
        }
        if is_apart {
            open.truncate(1);
        }
        match attempt(site, &open, (&mut board, &mut learned), lost_on.as_ref(), is_apart).await {
            Ok(Attempt::Apart) => (is_apart, end) = (true, not_its_turn()),
            Ok(Attempt::Outrun(head)) => {
                lost_on = Some(head);
            }
            Ok(Attempt::Verdicts(found)) => {
                let places = verdicts.iter_mut().filter(|verdict| verdict.is_none());
                let mut is_open = false;
                for ((place, asked), verdict) in places.zip(&open).zip(found) {
                    let is_final = matches!(verdict, Verdict::Landed(_)) || !board.has(asked);
                    is_open |= !is_final;
                    *place = is_final.then_some(verdict);
                }
                // Another sidecar may be landing these: they are judged again when none can see them any more.
                if is_open && !board.take_back().await {
                    end = unknown();
                    break;
                }
            }
            Err(error) => {
                end = error;
                break;
            }
        }
    }
    board.take_back().await;
    let told = asked.iter().zip(verdicts).map(|(asked, verdict)| {
        let had = board.had(asked);
        match verdict {
            // What this sidecar could not do another one may be doing, or has done before the table got another name.
            Some(Verdict::Refused(error)) if error.kind != Kind::BadRequest && had => {
                (Verdict::Refused(unknown()), had)
            }
            // It was judged when nobody could see it any more, on the table that it was offered for.
            Some(Verdict::Stale(_)) if had && board.is_of_another(asked) => {
                (Verdict::Refused(unknown()), had)
            }
            Some(stale @ Verdict::Stale(_)) => (stale, false),
            Some(verdict) => (verdict, had),
            None if had => (Verdict::Refused(unknown()), had),
            None => (Verdict::Refused(end.clone()), had),
        }
    });
    told.collect()
}

/// What a client is told whose commit other sidecars have seen.
pub(super) fn unknown() -> CatalogError {
    CatalogError::new(
        Kind::CommitStateUnknown,
        "whether another sidecar has committed it is not known yet: load the table, or send the same request again",
    )
}

/// What a client is told whom other sidecars outran in every round.
pub(super) fn outrun() -> CatalogError {
    CatalogError::new(
        Kind::Unavailable,
        "other sidecars were faster again and again, and nothing was done: send it again",
    )
}

/// What a client is told whose commit did not have its turn among those that are asked about one by one.
fn not_its_turn() -> CatalogError {
    CatalogError::new(
        Kind::Unavailable,
        "the check of the branch refused commits that were made together, so each was asked about alone, and this one did not have its turn in time: nothing was done, send it again",
    )
}

/// One attempt, on what the table is now; without what others offer, where `is_apart`. Beaten, it offers what would
/// have landed to the others.
async fn attempt(
    site: &Site,
    own: &[&Asked],
    (board, learned): (&mut Board<'_>, &mut Learned),
    lost_on: Option<&Option<Entry>>,
    is_apart: bool,
) -> Result<Attempt> {
    let entry = head(site, lost_on).await?;
    // Behind the head, so that whoever is beaten by this round has all in it that was offered before he began. What
    // changes more than snapshots goes without: it could make land what its own sidecar refuses on the same head.
    let others = match !is_apart && own.iter().all(|asked| asked.commit.is_plain()) {
        true => board.others().await,
        false => Vec::new(),
    };
    let all: Vec<&Asked> =
        own.iter().copied().chain(others.iter().map(|(_, asked)| asked.as_ref())).collect();
    let Prepared { head, mut judged, new } = site.prepare(entry.as_ref(), &all, learned).await?;
    let of_own = |which: fn(&Judged) -> bool| -> Vec<&Asked> {
        let found = own.iter().zip(&judged).filter(|(_, judged)| which(judged));
        found.map(|(asked, _)| *asked).collect()
    };
    board.sees(head.as_deref(), &of_own(|judged| !matches!(judged, Judged::Known(_))));
    let lands = all.iter().zip(&judged).filter(|(_, judged)| matches!(judged, Judged::Lands));
    let lands: Vec<&Asked> = lands.map(|(asked, _)| *asked).collect();
    let outcome = match &new {
        None => None,
        Some(new) => match commit(site, new, &lands).await {
            Ok(Made::Refused(_)) if !is_apart && (lands.len() > 1 || !others.is_empty()) => {
                return Ok(Attempt::Apart);
            }
            Ok(Made::Outrun) => {
                let beaten = of_own(|judged| matches!(judged, Judged::Lands));
                board.beaten(&beaten);
                let commutes = head.is_some_and(|head| head.metadata.appends_commute());
                site.shared.was_outrun(site.key(), commutes);
                board.offer(&beaten, commutes).await;
                return Ok(Attempt::Outrun(entry));
            }
            Ok(Made::Landed(loaded)) => Some(Ok(loaded)),
            Ok(Made::Refused(error)) | Err(error) => Some(Err(error)),
        },
    };
    let judged_others = judged.split_off(own.len());
    if outcome.as_ref().is_none_or(Result::is_ok) {
        let landed = others.iter().zip(judged_others);
        let landed =
            landed.filter(|(_, judged)| matches!(judged, Judged::Lands | Judged::Known(_)));
        board.have_landed(landed.map(|((id, _), _)| *id).collect()).await;
    }
    let verdicts = judged
        .into_iter()
        .zip(own)
        .map(|(judged, asked)| verdict(judged, outcome.as_ref(), board.had(asked)));
    Ok(Attempt::Verdicts(verdicts.collect()))
}

/// What became of a commit, by how it was judged, what became of those that land with it, and whether other sidecars may
/// have it.
fn verdict(judged: Judged, outcome: Option<&Result<Arc<Loaded>>>, had: bool) -> Verdict {
    match (judged, outcome) {
        // It was judged behind others, of which nobody knows whether they have landed; or with them, and what is
        // said of that round is nothing of the one in which another sidecar may have it.
        (Judged::Lands | Judged::Stale(_) | Judged::Refused(_), Some(Err(_))) if had => {
            Verdict::Refused(unknown())
        }
        (Judged::Lands, Some(Ok(loaded))) => Verdict::Landed(Arc::clone(loaded)),
        (Judged::Lands, Some(Err(error))) => Verdict::Refused(error.clone()),
        (Judged::Lands | Judged::Later, _) => Verdict::Later,
        (Judged::Sought, _) => Verdict::Sought,
        (Judged::Known(loaded), _) => Verdict::Landed(loaded),
        (Judged::Stale(error), _) => Verdict::Stale(error),
        (Judged::Refused(error), _) => Verdict::Refused(error),
    }
}

/// Makes what was prepared the table.
async fn commit(site: &Site, new: &New, lands: &[&Asked]) -> Result<Made> {
    let said = say(&site.ident.to_string(), lands).pair(UUID, new.loaded.pointer.uuid.clone());
    let decided = match site.place.change(vec![new.change(&site.path)], said).await {
        Err(error) if error.kind == Kind::Refused => {
            site.not_landed(new).await;
            return Ok(Made::Refused(error));
        }
        decided => decided?,
    };
    match decided {
        Decided::Conflict => {
            site.not_landed(new).await;
            Ok(Made::Outrun)
        }
        Decided::Done | Decided::Nothing => {
            site.landed(new, lands.iter().copied());
            Ok(Made::Landed(Arc::clone(&new.loaded)))
        }
    }
}

/// The table's entry, another one than that on which a round was beaten: who decided that batch himself knows it a
/// moment before all others see the new head, and would only be beaten again on the old one.
async fn head(site: &Site, lost_on: Option<&Option<Entry>>) -> Result<Option<Entry>> {
    let until = Deadline::after(HEAD_WAIT);
    loop {
        let entry = site.place.entry(&site.path).await?;
        if lost_on != Some(&entry) || until.is_over() {
            return Ok(entry);
        }
        tokio::time::sleep(HEAD_LOOK).await;
    }
}
