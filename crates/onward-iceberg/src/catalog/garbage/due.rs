//! Files that are to be read, each with what is said of it; in a temporary file until it is their turn.

use onward::Result;
use onward::internals::repo::gc::Need;

use super::graph::FolderId;
use super::spool::Spool;

/// A file that is to be read, as a table needs it.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub location: String,
    pub table: String,
    pub need: Need,
    /// The folder of the file that names it.
    pub from: Option<FolderId>,
    pub said: Said,
}

/// What is said of a file by what names it, as far as it says something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The checksum of its bytes.
    pub checksum: String,
    /// The uuid of its table.
    pub uuid: String,
    /// Its length in bytes.
    pub size: u64,
}

impl Due {
    /// Puts it aside, but for the folder of what names it.
    pub(super) fn add(&self, id: u128, to: &mut Spool) -> Result<()> {
        let Self { location, table, need, from: _, said: Said { checksum, uuid, size } } = self;
        let (need, size) = ([u8::from(*need == Need::Needed)], size.to_le_bytes());
        let texts = [location, table, checksum, uuid].map(|text| text.as_bytes());
        let [location, table, checksum, uuid] = texts;
        to.add(id, &[location, table, &need, checksum, uuid, &size])
    }

    /// What was put aside.
    pub(super) fn of([location, table, need, checksum, uuid, size]: &[Vec<u8>; 6]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let need = if need.as_slice() == [1] { Need::Needed } else { Need::Recent };
        let size = size.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let said = Said { checksum: text(checksum), uuid: text(uuid), size };
        Self { location: text(location), table: text(table), need, from: None, said }
    }
}
