//! Boards of a branch, for programs that bring others' work into their own commits.

use bytes::Bytes;

pub use crate::coord::board::{OFFER_BYTES_MAX, OFFERS_MAX};
use crate::model::error::Result;
use crate::model::ids::OpId;

use super::handles::Branch;

impl Branch {
    /// Puts offers onto the board of a subject of this branch, where any process finds them for a minute: ids, and
    /// at most 4 KiB each. Returns the ids of those that are there then, of at most 64 on a board. One that is there
    /// already is there once. One call to Redis, which may lose them.
    #[doc(hidden)]
    pub async fn offer(&self, subject: &str, offers: &[(OpId, Bytes)]) -> Result<Vec<OpId>> {
        self.context().await?.redis.offer(subject, offers).await
    }

    /// What is on the board of a subject, oldest first, when those with the ids `taken_back` are taken off it. One
    /// call to Redis.
    #[doc(hidden)]
    pub async fn offers(&self, subject: &str, taken_back: &[OpId]) -> Result<Vec<(OpId, Bytes)>> {
        self.context().await?.redis.offers(subject, taken_back).await
    }
}
