//! `offer.lua` and `offers.lua`: boards, where processes that work on one subject leave each other what any of them
//! may take into its own work.
//!
//! A hint and no more: an offer is found for a while, by whoever looks, and may be lost with this Redis. Whether it
//! was taken is said elsewhere.

use std::time::Duration;

use bytes::Bytes;

use crate::model::error::{Error, Result};
use crate::model::ids::OpId;

use super::branch::RedisBranch;
use super::call::ScriptCall;
use super::reply::Reply;
use super::script::{OFFER, OFFERS};

/// Offers on one board, at most.
pub const OFFERS_MAX: usize = 64;
/// Bytes of an offer, at most: a full board is read in one reply.
pub const OFFER_BYTES_MAX: usize = 4096;
/// How long an offer is found.
pub const OFFER_LIFE: Duration = Duration::from_secs(60);

/// An offer: what tells it from others, and what it is, which the board does not read.
pub type Offer = (OpId, Bytes);

impl RedisBranch {
    /// Puts offers onto the board of a subject, each of at most [`OFFER_BYTES_MAX`], [`OFFERS_MAX`] at most: what is
    /// more than that is left out. Returns the ids of those that are there then.
    pub async fn offer(&self, subject: &str, offers: &[Offer]) -> Result<Vec<OpId>> {
        let fits = |(_, what): &&Offer| what.len() <= OFFER_BYTES_MAX;
        let offers: Vec<&Offer> = offers.iter().filter(fits).take(OFFERS_MAX).collect();
        let keys = self.keys();
        let mut call = ScriptCall::on(&OFFER, &[&keys.board(subject), &keys.absent]);
        call.bytes("-").millis(OFFER_LIFE).count(OFFERS_MAX).count(offers.len());
        for (id, what) in &offers {
            call.bytes([id.to_string().as_bytes(), what].concat());
        }
        let mut reply = Reply::new(OFFER.name, self.run(&call).await?)?;
        let mut there = Vec::new();
        for (id, _) in offers {
            if reply.int()? == 1 {
                there.push(*id);
            }
        }
        Ok(there)
    }

    /// What is on the board of a subject, oldest first, when those with the ids `taken_back` are taken off it.
    pub async fn offers(&self, subject: &str, taken_back: &[OpId]) -> Result<Vec<Offer>> {
        let keys = self.keys();
        let mut call = ScriptCall::on(&OFFERS, &[&keys.board(subject), &keys.absent]);
        call.bytes("-").count(taken_back.len());
        for id in taken_back {
            call.text(id);
        }
        let mut reply = Reply::new(OFFERS.name, self.run(&call).await?)?;
        let mut offers = Vec::new();
        while !reply.is_empty() {
            offers.push(read(&reply.bytes()?)?);
        }
        Ok(offers)
    }
}

fn read(offer: &Bytes) -> Result<Offer> {
    let wrong = || Error::corrupt("an offer on a board has no id");
    let id = offer.get(..OpId::TEXT_LEN).and_then(|id| std::str::from_utf8(id).ok());
    let id = id.and_then(|id| id.parse().ok()).ok_or_else(wrong)?;
    Ok((id, offer.slice(OpId::TEXT_LEN..)))
}
