//! Sealed areas: staging areas that a commit has taken, waiting for it to be decided; and
//! `unite.lua`, by which those that were given back become fewer.

use std::fmt;

use bytes::Bytes;

use crate::model::error::{Error, Result};
use crate::model::ids::OpId;

use super::branch::RedisBranch;
use super::call::ScriptCall;
use super::reply::{Reply, unknown_code};
use super::script::UNITE;

/// Changes that one call of `unite.lua` moves, at most: about a millisecond of the server's time.
const UNITED_MAX: usize = 500;

/// One sealed area of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Its own, which names its keys: one for each call that sealed something.
    pub id: OpId,
    /// The op that commits it; `None` after that op ended without a commit, until the next op
    /// that seals takes it.
    pub owner: Option<OpId>,
}

impl fmt::Display for Area {
    /// The element of the list of sealed areas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner {
            Some(owner) => write!(f, "{}{owner}", self.id),
            None => write!(f, "{}{:width$}", self.id, "", width = OpId::TEXT_LEN),
        }
    }
}

impl Area {
    /// Reads an element of the sealed list.
    pub(crate) fn parse(element: &Bytes) -> Result<Self> {
        let wrong = || Error::corrupt("an element of the list of sealed areas is damaged");
        let text = std::str::from_utf8(element).map_err(|_| wrong())?;
        let (id, owner) = text.split_at_checked(OpId::TEXT_LEN).ok_or_else(wrong)?;
        let id = id.parse().map_err(|_| wrong())?;
        let owner = match owner.trim_end() {
            "" => None,
            owner => Some(owner.parse().map_err(|_| wrong())?),
        };
        Ok(Self { id, owner })
    }

    /// Reads the whole list, oldest first.
    pub(super) fn parse_all(elements: &[Bytes]) -> Result<Vec<Self>> {
        elements.iter().map(Self::parse).collect()
    }
}

impl RedisBranch {
    /// Makes one area of two neighbours that were given back, in as many calls as the smallest of
    /// them takes. Returns whether there may be one less than before.
    pub async fn unite_areas(&self) -> Result<bool> {
        let mut older = None;
        loop {
            match self.unite(older).await? {
                // Whoever came in between has united them, or taken them.
                United::None => return Ok(older.is_some()),
                United::Partly(id) => older = Some(id),
                United::Whole => return Ok(true),
            }
        }
    }

    async fn unite(&self, older: Option<OpId>) -> Result<United> {
        let keys = self.keys();
        let mut call = ScriptCall::on(&UNITE, &[&keys.head, &keys.sealed, &keys.absent]);
        call.text_or_none(older).count(UNITED_MAX);
        let mut reply = Reply::new(UNITE.name, self.run(&call).await?)?;
        Ok(match reply.int()? {
            0 => United::None,
            1 => {
                let wrong = |_| Error::corrupt("the id of a sealed area is damaged");
                United::Partly(reply.text()?.parse().map_err(wrong)?)
            }
            2 => United::Whole,
            other => return Err(unknown_code(UNITE.name, other)),
        })
    }
}

/// What one call of `unite.lua` came to.
enum United {
    /// No two neighbours are given back.
    None,
    /// The older one, of this id, has changes left.
    Partly(OpId),
    /// The two are one.
    Whole,
}
