//! Sealed areas: staging areas that a commit has taken, waiting for it to be decided.

use std::fmt;

use bytes::Bytes;

use crate::model::error::{Error, Result};
use crate::model::ids::OpId;

/// One sealed area of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// The op that sealed it, which names its keys.
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
