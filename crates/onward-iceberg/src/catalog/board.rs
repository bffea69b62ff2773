//! The board of a table: commits that lost a round to another sidecar are offered there to all of them, and each
//! takes what it finds into its own rounds.
//!
//! Whoever begins a round looks at the head, and behind that at the board. So of those who win a round behind an offer
//! one at most has nothing of it: he looked before it was made, on the head of that time. Who wins behind him has
//! begun on what he made of the table, and so looked later, and lands it. Whether an offer landed is said by the table
//! alone. One that did not may land as long as it is on the board, so nobody is told that it does not before it was
//! taken off and judged once more.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use onward::OpId;
use onward::internals::clock;
use onward::internals::repo::board::{OFFER_BYTES_MAX, OFFERS_MAX};
use serde_json::{Value, json};

use super::asked::{Asked, Mode, ReadAhead};
use super::entry::Pointer;
use super::loaded::Loaded;
use super::prepare::{Site, version_of};
use super::submit::Said;
use crate::table::Ahead;

/// Offers of others whose files are read at the same time.
const READS_MAX: usize = 16;

/// A commit of another sidecar, and what to take off the board when it has landed.
pub(super) type Other = (OpId, Arc<Asked>);

/// Offers of one round to the other sidecars, and of those to it.
pub(super) struct Board<'a> {
    site: &'a Site,
    own: Vec<Offered>,
    /// What was on the board when it was last looked at, with its files: it is read once.
    seen: HashMap<OpId, Arc<Asked>>,
    /// The table that was there first, and whether another one came to its name.
    uuid: Option<String>,
    is_another: bool,
}

/// An offer of this sidecar.
struct Offered {
    id: OpId,
    /// What is offered, to be said again under the same id.
    what: Bytes,
    /// What the commit adds, by which it is known.
    snapshots: Vec<i64>,
    place: Place,
    /// Whether a call with it was not answered: it may be carried out behind all that comes.
    is_unsure: bool,
    /// The version of the table that this sidecar saw first behind the offer.
    since: Option<u64>,
    /// How often this sidecar was beaten behind it.
    beaten: u64,
}

/// Whether an offer is on the board.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    There,
    /// Nobody has said so yet.
    InDoubt,
    TakenBack,
}

impl<'a> Board<'a> {
    pub(super) fn of(site: &'a Site) -> Self {
        let (own, seen) = (Vec::new(), HashMap::new());
        Self { site, own, seen, uuid: None, is_another: false }
    }

    /// Whether a round that begins now may land a commit of this sidecar.
    pub(super) fn has(&self, asked: &Asked) -> bool {
        self.offered(asked).any(|offer| offer.place != Place::TakenBack)
    }

    /// Whether a commit was ever on offer, so that a round which has begun may land it.
    pub(super) fn had(&self, asked: &Asked) -> bool {
        asked.was_offered || self.offered(asked).next().is_some()
    }

    fn offered(&self, asked: &Asked) -> impl Iterator<Item = &Offered> {
        self.own.iter().filter(move |offer| offer.snapshots == asked.who.snapshots)
    }

    /// Whether the table may be another one than that for which a commit was on offer.
    pub(super) fn is_of_another(&self, asked: &Asked) -> bool {
        self.is_another || (asked.was_offered && asked.of_table().is_none())
    }

    /// Offers commits to the others, as far as there is room, and once more those of which Redis has not answered.
    /// What could not be brought onto what others did is left out, unless appends to the table commute by its owner.
    pub(super) async fn offer(&mut self, asked: &[&Asked], commutes: bool) {
        let Ok(branch) = self.site.place.branch() else { return };
        let may_land = |asked: &&&Asked| commutes || asked.mode == Mode::Commute;
        let new = asked.iter().filter(may_land).filter(|asked| !self.has(asked));
        let new = new.filter_map(|asked| {
            let (what, snapshots) = (written(asked)?, asked.who.snapshots.clone());
            let (id, place) = (clock::new_op_id(), Place::InDoubt);
            Some(Offered { id, what, snapshots, place, is_unsure: false, since: None, beaten: 0 })
        });
        let new: Vec<Offered> = new.collect();
        self.own.extend(new);
        let in_doubt = self.own.iter().filter(|own| own.place == Place::InDoubt);
        let offers: Vec<_> =
            in_doubt.map(|own| (own.id, own.what.clone())).take(OFFERS_MAX).collect();
        if offers.is_empty() {
            return;
        }
        match branch.offer(self.site.path.as_str(), &offers).await {
            Ok(there) => self.own.retain_mut(|own| {
                if there.contains(&own.id) {
                    own.place = Place::There;
                } else if own.place == Place::InDoubt && own.is_unsure {
                    own.place = Place::TakenBack;
                }
                own.place != Place::InDoubt
            }),
            Err(error) => {
                tracing::debug!(%error, "commits may not be offered to other sidecars");
                let in_doubt = self.own.iter_mut().filter(|own| own.place == Place::InDoubt);
                in_doubt.for_each(|own| own.is_unsure = true);
            }
        }
        // Where a test stops this sidecar; a failure that it is armed for is one of Redis behind the offer.
        let _ = self.site.shared.onward.coordinator().faults().pass("iceberg-offered").await;
    }

    /// What other sidecars offer, with the files of it.
    pub(super) async fn others(&mut self) -> Vec<Other> {
        let Ok(branch) = self.site.place.branch() else { return Vec::new() };
        let offers = match branch.offers(self.site.path.as_str(), &[]).await {
            Ok(offers) => offers,
            Err(error) => {
                tracing::debug!(%error, "what other sidecars offer is not seen");
                return Vec::new();
            }
        };
        let (site, seen) = (self.site, &self.seen);
        let others = offers.into_iter().filter(|(id, _)| self.own.iter().all(|own| own.id != *id));
        // Collected: a future that holds the iterator itself cannot be spawned.
        let reads: Vec<_> = others
            .map(|(id, what)| async move {
                let asked = match seen.get(&id) {
                    Some(asked) => Arc::clone(asked),
                    None => Arc::new(read(&what, site).await?),
                };
                Some((id, asked))
            })
            .collect();
        let others: Vec<Other> =
            stream::iter(reads).buffered(READS_MAX).filter_map(ready).collect().await;
        self.seen = others.iter().cloned().collect();
        others
    }

    /// Takes off the board what others offered and has landed. What stays there is known as landed, and goes with
    /// its own sidecar or with time.
    pub(super) async fn have_landed(&self, others: Vec<OpId>) {
        if others.is_empty() {
            return;
        }
        let Ok(branch) = self.site.place.branch() else { return };
        if let Err(error) = branch.offers(self.site.path.as_str(), &others).await {
            tracing::debug!(%error, "what has landed stays on the board for a while");
        }
    }

    /// Takes all offers of this sidecar back; whether that is certain. Rounds that have seen them go on.
    pub(super) async fn take_back(&mut self) -> bool {
        let there = self.own.iter().filter(|own| own.place != Place::TakenBack);
        let ids: Vec<OpId> = there.map(|own| own.id).collect();
        if ids.is_empty() {
            return true;
        }
        let Ok(branch) = self.site.place.branch() else { return false };
        let is_unsure = self.own.iter().any(|own| own.is_unsure);
        if branch.offers(self.site.path.as_str(), &ids).await.is_err() || is_unsure {
            return false;
        }
        self.own.iter_mut().for_each(|own| own.place = Place::TakenBack);
        true
    }

    /// The table is so, and commits have not landed in it.
    pub(super) fn sees(&mut self, head: Option<&Loaded>, asked: &[&Asked]) {
        let Some(Pointer { location, uuid, .. }) = head.map(|head| &head.pointer) else { return };
        self.is_another |= self.uuid.get_or_insert_with(|| uuid.clone()) != uuid;
        let (site, version) = (self.site, version_of(location));
        for own in self.on_offer(asked) {
            let since = *own.since.get_or_insert(version);
            site.shared.measured.passed_by(version.saturating_sub(since));
        }
    }

    /// Another sidecar was faster than an attempt of this one to land commits.
    pub(super) fn beaten(&mut self, asked: &[&Asked]) {
        let site = self.site;
        for own in self.on_offer(asked) {
            own.beaten += 1;
            site.shared.measured.beaten(own.beaten);
        }
    }

    fn on_offer<'s>(&'s mut self, asked: &'s [&'s Asked]) -> impl Iterator<Item = &'s mut Offered> {
        let is_one = |own: &Offered| asked.iter().any(|asked| asked.who.snapshots == own.snapshots);
        self.own.iter_mut().filter(move |own| own.place == Place::There && is_one(own))
    }
}

/// A commit as it is offered; none where it is too large, or more than appends: whether one lands must not depend on
/// what else is offered. Its own sidecar tries it alone then.
fn written(asked: &Asked) -> Option<Bytes> {
    if asked.request.is_null() {
        return None;
    }
    let told = json!({
        "version": 1, "request": asked.request, "commute": asked.mode == Mode::Commute,
        "committer": asked.said.committer, "client": asked.said.client,
    });
    Some(Bytes::from(told.to_string())).filter(|bytes| bytes.len() <= OFFER_BYTES_MAX)
}

/// Reads an offer, with all that is checked of a request, and its files. None where this program does not understand
/// it.
async fn read(what: &[u8], site: &Site) -> Option<Asked> {
    let told: Value = serde_json::from_slice(what).ok()?;
    if told.get("version") != Some(&1.into()) {
        return None;
    }
    let mode = match told.get("commute") {
        Some(Value::Bool(true)) => Mode::Commute,
        _ => Mode::Usual,
    };
    let text = |key: &str| told.get(key).and_then(Value::as_str);
    let said = Said::of(text("committer").unwrap_or_default().to_owned(), text("client"));
    let mut asked = Asked::read(told.get("request")?, &site.place, mode, "", said).ok()?;
    let read = Ahead::read(&asked.commit, &site.place.warehouse).await;
    asked.ahead = Some(Arc::new(ReadAhead { read, _place: None }));
    Some(asked)
}
