//! The data of a server: keys, their values, and when they expire.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub type Bytes = Vec<u8>;

/// The fields of a stream's entry, by turns name and value.
pub type Fields = Vec<Bytes>;

/// What a key holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Text(Bytes),
    Hash(BTreeMap<Bytes, Bytes>),
    List(VecDeque<Bytes>),
    /// All scores are zero, so the order is that of the members.
    Sorted(BTreeSet<Bytes>),
    Stream(Stream),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    pub entries: BTreeMap<(u64, u64), Fields>,
    pub last: (u64, u64),
}

/// Keys of one server. A clone is a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Keyspace {
    keys: BTreeMap<Bytes, (Data, Option<u64>)>,
}

pub const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// Access to one kind of value: what there is, made where it is missing, gone when it is empty.
macro_rules! kind {
    ($read:ident, $write:ident, $variant:ident, $type:ty) => {
        pub fn $read(&self, key: &[u8], now: u64) -> Result<Option<&$type>, String> {
            match self.find(key, now) {
                None => Ok(None),
                Some(Data::$variant(value)) => Ok(Some(value)),
                Some(_) => Err(WRONG_TYPE.into()),
            }
        }

        pub fn $write<T>(
            &mut self,
            key: &[u8],
            now: u64,
            change: impl FnOnce(&mut $type) -> T,
        ) -> Result<T, String> {
            self.expire(key, now);
            let slot = self
                .keys
                .entry(key.to_vec())
                .or_insert_with(|| (Data::$variant(Default::default()), None));
            let Data::$variant(value) = &mut slot.0 else {
                return Err(WRONG_TYPE.into());
            };
            let result = change(value);
            if slot.0.is_empty() {
                self.keys.remove(key);
            }
            Ok(result)
        }
    };
}

impl Data {
    fn is_empty(&self) -> bool {
        match self {
            Self::Hash(hash) => hash.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Sorted(set) => set.is_empty(),
            Self::Text(_) | Self::Stream(_) => false,
        }
    }
}

impl Keyspace {
    /// Whether any op waits on any branch.
    pub fn has_queued(&self) -> bool {
        self.keys.iter().any(|(key, (data, _))| {
            key.ends_with(b":queue") && matches!(data, Data::List(queue) if !queue.is_empty())
        })
    }

    kind!(hash, with_hash, Hash, BTreeMap<Bytes, Bytes>);
    kind!(list, with_list, List, VecDeque<Bytes>);
    kind!(sorted, with_sorted, Sorted, BTreeSet<Bytes>);
    kind!(stream, with_stream, Stream, Stream);

    fn find(&self, key: &[u8], now: u64) -> Option<&Data> {
        let (data, expires) = self.keys.get(key)?;
        expires.is_none_or(|at| now < at).then_some(data)
    }

    fn expire(&mut self, key: &[u8], now: u64) {
        if self.keys.contains_key(key) && self.find(key, now).is_none() {
            self.keys.remove(key);
        }
    }

    pub fn exists(&self, key: &[u8], now: u64) -> bool {
        self.find(key, now).is_some()
    }

    pub fn remove(&mut self, key: &[u8], now: u64) -> bool {
        let there = self.exists(key, now);
        self.keys.remove(key);
        there
    }

    pub fn rename(&mut self, from: &[u8], to: &[u8], now: u64) -> bool {
        self.expire(from, now);
        match self.keys.remove(from) {
            None => false,
            Some(value) => {
                self.keys.insert(to.to_vec(), value);
                true
            }
        }
    }

    pub fn set(&mut self, key: &[u8], value: Bytes, expires: Option<u64>) {
        self.keys.insert(key.to_vec(), (Data::Text(value), expires));
    }

    /// Sets or clears when a key expires. Returns whether that changed anything.
    pub fn set_expiry(&mut self, key: &[u8], now: u64, at: Option<u64>) -> bool {
        self.expire(key, now);
        match self.keys.get_mut(key) {
            None => false,
            Some((_, expires)) => {
                let changed = at.is_some() || expires.is_some();
                *expires = at;
                changed
            }
        }
    }

    pub fn expires(&self, key: &[u8], now: u64) -> Option<Option<u64>> {
        self.find(key, now)?;
        self.keys.get(key).map(|(_, expires)| *expires)
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Every key with its value, as text for messages.
    pub fn dump(&self) -> String {
        let mut out = String::new();
        for (key, (data, expires)) in &self.keys {
            let shown = format!("{data:?}");
            let key = String::from_utf8_lossy(key);
            out +=
                &format!("  {key} {} {expires:?}\n", shown.chars().take(300).collect::<String>());
        }
        out
    }
}
