//! Identifiers: operations, tickets, branch incarnations, commits, and content hashes.
//!
//! A commit id carries its own address, so that finding a commit is one read of one log entry and
//! no index has to be kept, lost or rebuilt.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::error::{Error, Result, quoted};

/// The identity of one request to move a branch head, chosen by its submitter. Submitting the same
/// id again is the same request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId(Uuid);

impl OpId {
    /// Length of the textual form, which is also the prefix of every queue element.
    pub const TEXT_LEN: usize = 36;

    /// An op id from a UUID made by the caller.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The op id of a queue element that carries none: a hash of its bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("onward 2026 stray op id");
        hasher.update(bytes);
        Self(Uuid::new_v8(first_16(&hasher.finalize())))
    }

    /// The op id of a producer's `sequence` under `epoch`: the same three give the same id, so a
    /// repeat that is still pending meets itself in the queue.
    pub fn of_producer(producer: &str, epoch: u64, sequence: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("onward 2026 producer op id");
        hasher.update(&(producer.len() as u64).to_le_bytes());
        hasher.update(producer.as_bytes());
        hasher.update(&epoch.to_le_bytes());
        hasher.update(&sequence.to_le_bytes());
        Self(Uuid::new_v8(first_16(&hasher.finalize())))
    }

    /// The op id of an op of several producers, by the ids of their places, in whatever order they come.
    /// Of one it is that id.
    pub(crate) fn of_places(mut places: Vec<Self>) -> Self {
        if let [place] = places.as_slice() {
            return *place;
        }
        places.sort_unstable();
        let mut hasher = blake3::Hasher::new_derive_key("onward 2026 producers op id");
        for Self(place) in places {
            hasher.update(place.as_bytes());
        }
        Self(Uuid::new_v8(first_16(&hasher.finalize())))
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OpId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "op id '{}' is not a UUID in its 36-character form, e.g. 0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d",
                quoted(text)
            ))
        };
        if text.len() != Self::TEXT_LEN {
            return Err(wrong());
        }
        Uuid::try_parse(text).map(Self).map_err(|_| wrong())
    }
}

/// An op's place in its branch's order: the first op of a branch has ticket 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Ticket(pub u64);

impl Ticket {
    /// The largest ticket a commit id can carry (48 bits).
    pub const MAX: Ticket = Ticket((1 << 48) - 1);

    /// The ticket `count` places later.
    #[must_use]
    pub fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The ticket right behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        self.plus(1)
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One incarnation of a branch: 64 bits, never reused, so that deleting and creating a branch of
/// the same name cannot mix their histories.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BranchUid(pub u64);

/// The content hash of a range: 128 bits of BLAKE3 over its canonical records.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RangeId(pub [u8; 16]);

/// The content hash of a run: 128 bits of BLAKE3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub [u8; 16]);

/// The content hash of a metarange: 128 bits of BLAKE3 over the stack of runs it names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetarangeId(pub [u8; 16]);

/// What a request says, in 128 bits of BLAKE3: tells whether an op id that is submitted again stands for
/// the same request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 16]);

/// Works out the [`Fingerprint`] of bytes, piece by piece.
#[derive(Debug, Clone)]
pub struct Fingerprinter(blake3::Hasher);

impl Default for Fingerprinter {
    fn default() -> Self {
        Self(blake3::Hasher::new_derive_key("onward 2026 request"))
    }
}

impl Fingerprinter {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The fingerprint of all bytes so far.
    pub fn finish(&self) -> Fingerprint {
        Fingerprint(first_16(&self.0.finalize()))
    }
}

impl Fingerprint {
    /// Of bytes that are all there.
    pub fn of(bytes: &[u8]) -> Self {
        let mut fingerprinter = Fingerprinter::default();
        fingerprinter.update(bytes);
        fingerprinter.finish()
    }
}

/// The identity and address of a commit: 32 bytes, shown as 64 hex digits.
///
/// | bytes | content |
/// |---|---|
/// | 0..16 | hash of the commit's content |
/// | 16..24 | branch uid, big endian |
/// | 24..30 | first ticket of its batch, big endian |
/// | 30..32 | index in the batch, big endian |
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId([u8; 32]);

impl CommitId {
    /// Puts a commit id together. Fails when `first` does not fit 48 bits.
    pub fn new(hash: [u8; 16], uid: BranchUid, first: Ticket, index: u16) -> Result<Self> {
        if first > Ticket::MAX {
            return Err(Error::internal(format!("ticket {first} does not fit 48 bits")));
        }
        let mut bytes = [0; 32];
        let (hash_part, rest) = bytes.split_at_mut(16);
        let (uid_part, rest) = rest.split_at_mut(8);
        let (ticket_part, index_part) = rest.split_at_mut(6);
        hash_part.copy_from_slice(&hash);
        uid_part.copy_from_slice(&uid.0.to_be_bytes());
        let [_, _, ticket @ ..] = first.0.to_be_bytes();
        ticket_part.copy_from_slice(&ticket);
        index_part.copy_from_slice(&index.to_be_bytes());
        Ok(Self(bytes))
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A commit id from its raw bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Hash of the commit's content.
    pub fn hash(&self) -> [u8; 16] {
        let [hash @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.0;
        hash
    }

    /// The branch incarnation whose log holds the commit.
    pub fn uid(&self) -> BranchUid {
        let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, uid @ .., _, _, _, _, _, _, _, _] =
            self.0;
        BranchUid(u64::from_be_bytes(uid))
    }

    /// First ticket of the batch, which names the log entry.
    pub fn first_ticket(&self) -> Ticket {
        let [.., a, b, c, d, e, f, _, _] = self.0;
        Ticket(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// Index of the commit's op in its batch.
    pub fn index(&self) -> u16 {
        let [.., a, b] = self.0;
        u16::from_be_bytes([a, b])
    }
}

/// The first 16 bytes of a BLAKE3 hash.
pub fn first_16(hash: &blake3::Hash) -> [u8; 16] {
    let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *hash.as_bytes();
    first
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    if text.len() != N * 2 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, digits) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(out)
}

/// Text form (lower-case hex) for people and JSON, raw bytes for binary formats.
macro_rules! hex_id {
    ($name:ident, $len:literal, $what:literal, $bytes:expr, $make:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&$bytes(self), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                parse_hex::<$len>(text).map($make).ok_or_else(|| {
                    Error::invalid(format!(
                        "'{}' is not {}: {} lower-case hex digits",
                        quoted(text),
                        $what,
                        $len * 2
                    ))
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&$bytes(self))
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use serde::de::Error as _;
                if deserializer.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                    text.parse().map_err(D::Error::custom)
                } else {
                    let bytes = serde_bytes::ByteArray::<$len>::deserialize(deserializer)?;
                    Ok($make(bytes.into_array()))
                }
            }
        }
    };
}

hex_id!(CommitId, 32, "a commit id", |id: &CommitId| id.0, CommitId);
hex_id!(RangeId, 16, "a range id", |id: &RangeId| id.0, RangeId);
hex_id!(RunId, 16, "a run id", |id: &RunId| id.0, RunId);
hex_id!(MetarangeId, 16, "a metarange id", |id: &MetarangeId| id.0, MetarangeId);
hex_id!(Fingerprint, 16, "a fingerprint", |id: &Fingerprint| id.0, Fingerprint);
hex_id!(BranchUid, 8, "a branch uid", |id: &BranchUid| id.0.to_be_bytes(), |bytes| BranchUid(
    u64::from_be_bytes(bytes)
));

impl Serialize for OpId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(self.0.as_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for OpId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        } else {
            let bytes = serde_bytes::ByteArray::<16>::deserialize(deserializer)?;
            Ok(Self(Uuid::from_bytes(bytes.into_array())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_id_carries_its_address() {
        let id = CommitId::new([7; 16], BranchUid(0xfeed), Ticket(123_456_789), 42).unwrap();
        assert_eq!(id.hash(), [7; 16]);
        assert_eq!(id.uid(), BranchUid(0xfeed));
        assert_eq!(id.first_ticket(), Ticket(123_456_789));
        assert_eq!(id.index(), 42);
        assert_eq!(id.to_string().parse::<CommitId>().unwrap(), id);
        assert_eq!(id.to_string().len(), 64);
    }

    #[test]
    fn ids_survive_json_and_messagepack() {
        let id = CommitId::new([9; 16], BranchUid(1), Ticket::MAX, u16::MAX).unwrap();
        let op = OpId::of_producer("orders-0", 3, 9);
        let json = serde_json::to_string(&(id, op)).unwrap();
        assert_eq!(serde_json::from_str::<(CommitId, OpId)>(&json).unwrap(), (id, op));
        let packed = rmp_serde::to_vec_named(&(id, op)).unwrap();
        assert_eq!(rmp_serde::from_slice::<(CommitId, OpId)>(&packed).unwrap(), (id, op));
    }

    #[test]
    fn producer_op_ids_depend_on_every_part() {
        let id = OpId::of_producer("orders-0", 1, 2);
        assert_eq!(id, OpId::of_producer("orders-0", 1, 2));
        assert_ne!(id, OpId::of_producer("orders-1", 1, 2));
        assert_ne!(id, OpId::of_producer("orders-0", 2, 2));
        assert_ne!(id, OpId::of_producer("orders-0", 1, 3));
    }

    #[test]
    fn the_op_id_of_several_producers_depends_on_all_of_them_and_not_on_their_order() {
        let [a, b, c] = ["a", "b", "c"].map(|name| OpId::of_producer(name, 1, 2));
        let id = OpId::of_places(vec![a, b]);
        assert_eq!(id, OpId::of_places(vec![b, a]));
        assert_ne!(id, OpId::of_places(vec![a, b, c]));
        assert_eq!(OpId::of_places(vec![a]), a);
    }
}
