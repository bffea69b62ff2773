//! What a branch says of a table and of a namespace: entries of the branch, read and written here alone.
//!
//! The key `iceberg` of an entry's metadata says what it is and in which version; what is newer is refused.

use std::collections::BTreeMap;

use onward::{Change, Condition, Entry, ErrorKind, ObjectPath, PathChange};

use super::error::{CatalogError, Kind, Result};
use super::packed::is_packed;

const KIND: &str = "iceberg";
const TABLE: &str = "table/1";
/// Of a table whose metadata is compressed, which older programs take for damaged.
const PACKED_TABLE: &str = "table/2";
const NAMESPACE: &str = "namespace/1";
const UUID: &str = "iceberg.uuid";
/// The key that says what the table has lost.
const LOST: &str = "iceberg.lost";
/// That it has lost nothing.
const NOTHING: &str = "nothing";
/// What a namespace's own properties begin with, so that no name of a user is one of ours.
const PROPERTY: &str = "p.";
/// What the entry of a namespace says of where its bytes are: it has none.
const NOWHERE: &str = "iceberg:namespace";

/// Where the present metadata of a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// Location of the `metadata.json`.
    pub location: String,
    /// Checksum of its bytes.
    pub checksum: String,
    /// Its length in bytes.
    pub size: u64,
    /// The table's uuid.
    pub uuid: String,
    /// When the metadata was written, in seconds of the epoch.
    pub mtime: i64,
    /// Which snapshots the table had and has no more.
    pub lost: Lost,
}

/// Which snapshots a table had and has no more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Lost {
    /// Nobody has kept a list: a program from before this wrote the metadata, or it was taken over.
    #[default]
    Unknown,
    /// It has lost none since it was made.
    Nothing,
    /// Those of the list that lies there.
    Listed(String),
}

impl Pointer {
    /// The entry that says it.
    pub fn to_entry(&self) -> Entry {
        let mut entry = Entry::new(self.location.as_str(), self.size, self.checksum.as_str());
        entry.mtime = self.mtime;
        let (table, content_type) = match is_packed(&self.location) {
            true => (PACKED_TABLE, "application/gzip"),
            false => (TABLE, "application/json"),
        };
        entry.content_type = Some(content_type.to_owned());
        let pairs = [(KIND, table), (UUID, self.uuid.as_str())];
        entry.metadata = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let lost = match &self.lost {
            Lost::Unknown => None,
            Lost::Nothing => Some(NOTHING),
            Lost::Listed(location) => Some(location.as_str()),
        };
        entry.metadata.extend(lost.map(|lost| (LOST.to_owned(), lost.to_owned())));
        entry
    }

    /// Reads an entry.
    pub fn of(path: &ObjectPath, entry: &Entry) -> Result<Self> {
        require(path, entry, &[TABLE, PACKED_TABLE])?;
        let uuid = entry.metadata.get(UUID).cloned().unwrap_or_default();
        let lost = match entry.metadata.get(LOST).map(String::as_str) {
            None => Lost::Unknown,
            Some(NOTHING) => Lost::Nothing,
            Some(location) => Lost::Listed(location.to_owned()),
        };
        let Entry { address, checksum, size, mtime, .. } = entry.clone();
        Ok(Self { location: address, checksum, size, uuid, mtime, lost })
    }

    /// The condition that the table is still as this says.
    pub fn unchanged(&self) -> Condition {
        Condition::Checksum(self.checksum.clone())
    }
}

/// The uuid of the table that an entry points to the metadata of, and where the list of what it has lost is; none where
/// it is of something else.
pub fn pointed(entry: &Entry) -> Option<(&str, Option<&str>)> {
    let says = |key| entry.metadata.get(key).map(String::as_str);
    let is_table = [TABLE, PACKED_TABLE].contains(&says(KIND)?);
    let lost = says(LOST).filter(|lost| *lost != NOTHING);
    is_table.then(|| (says(UUID).unwrap_or_default(), lost))
}

/// What an entry says that this program does not know: what kind of thing it is, or more of a table than where its
/// metadata is, and what it has lost.
pub fn unknown_in(entry: &Entry) -> Option<&str> {
    let kind = entry.metadata.get(KIND)?.as_str();
    let mut keys = entry.metadata.keys().map(String::as_str);
    match kind {
        NAMESPACE => None,
        TABLE | PACKED_TABLE => keys.find(|key| ![KIND, UUID, LOST].contains(key)),
        _ => Some(kind),
    }
}

/// The entry of a namespace with these properties.
pub fn namespace_entry(properties: &BTreeMap<String, String>) -> Result<Entry> {
    let text: String =
        properties.iter().map(|(k, v)| format!("{}:{k}{}:{v}", k.len(), v.len())).collect();
    let checksum = blake3::hash(text.as_bytes()).to_hex();
    let mut entry = Entry::new(NOWHERE, 0, checksum.as_str());
    entry.metadata =
        properties.iter().map(|(k, v)| (format!("{PROPERTY}{k}"), v.clone())).collect();
    entry.metadata.insert(KIND.to_owned(), NAMESPACE.to_owned());
    entry.check().map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => CatalogError::invalid(format!(
            "the properties of a namespace are too large: {}",
            error.message()
        )),
        _ => error.into(),
    })?;
    Ok(entry)
}

/// The properties that the entry of a namespace says.
pub fn properties_of(path: &ObjectPath, entry: &Entry) -> Result<BTreeMap<String, String>> {
    require(path, entry, &[NAMESPACE])?;
    let pairs = entry.metadata.iter();
    Ok(pairs
        .filter_map(|(key, value)| Some((key.strip_prefix(PROPERTY)?.to_owned(), value.clone())))
        .collect())
}

/// A change of a path: it names this entry from now on, or nothing.
pub fn change(path: ObjectPath, entry: Option<Entry>, condition: Option<Condition>) -> PathChange {
    let change = entry.map_or(Change::Delete, Change::Put);
    PathChange { path, change, condition }
}

fn require(path: &ObjectPath, entry: &Entry, wanted: &[&str]) -> Result<()> {
    let found = entry.metadata.get(KIND).map(String::as_str);
    if found.is_some_and(|found| wanted.contains(&found)) {
        return Ok(());
    }
    let name = wanted.first().and_then(|wanted| wanted.split('/').next()).unwrap_or_default();
    Err(CatalogError::new(
        Kind::Internal,
        match found {
            Some(other) if other.starts_with(name) => {
                format!("'{path}' was written by a newer program ({other}): use a newer one")
            }
            _ => format!(
                "'{path}' is an object that somebody else put there, and no {name}: remove it from the branch, or restore what was there"
            ),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_say_what_was_put_into_them() {
        let path = ObjectPath::new("iceberg/a/t.table").unwrap();
        let mut pointer = Pointer {
            location: "file:///w/t/metadata/1.json".to_owned(),
            checksum: "c".to_owned(),
            size: 7,
            uuid: "u".to_owned(),
            mtime: 9,
            lost: Lost::Unknown,
        };
        for lost in [Lost::Nothing, Lost::Listed("file:///w/t/l".to_owned()), Lost::Unknown] {
            pointer.lost = lost;
            let entry = pointer.to_entry();
            assert_eq!(Pointer::of(&path, &entry).unwrap(), pointer);
            // Whatever an entry says of a table is known to who collects its files.
            let list = matches!(pointer.lost, Lost::Listed(_)).then_some("file:///w/t/l");
            assert_eq!((pointed(&entry), unknown_in(&entry)), (Some(("u", list)), None));
        }
        let entry = pointer.to_entry();
        assert_eq!((pointed(&entry), unknown_in(&entry)), (Some(("u", None)), None));
        assert!(pointer.unchanged().holds(Some(&entry)));
        let properties = BTreeMap::from([("iceberg".to_owned(), "x".to_owned())]);
        let marker = namespace_entry(&properties).unwrap();
        assert_eq!(properties_of(&path, &marker).unwrap(), properties);
        assert!(Pointer::of(&path, &marker).is_err());
        assert!(properties_of(&path, &entry).is_err());
        pointer.location = "file:///w/t/metadata/1.gz.metadata.json".to_owned();
        assert_eq!(pointer.to_entry().metadata[KIND], "table/2", "what older programs refuse");
        assert_eq!(pointed(&pointer.to_entry()), Some(("u", None)));
        assert_eq!(Pointer::of(&path, &pointer.to_entry()).unwrap(), pointer);
        let mut newer = entry;
        newer.metadata.insert(KIND.to_owned(), "table/3".to_owned());
        assert!(Pointer::of(&path, &newer).unwrap_err().message.contains("newer"));
        assert_eq!((pointed(&newer), unknown_in(&newer)), (None, Some("table/3")));
        let mut more = pointer.to_entry();
        more.metadata.insert("iceberg.more".to_owned(), "file:///w/t/more".to_owned());
        assert_eq!(unknown_in(&more), Some("iceberg.more"));
        assert_eq!((pointed(&marker), unknown_in(&marker)), (None, None));
        let large = BTreeMap::from([("k".to_owned(), "v".repeat(Entry::MAX_ENCODED_LEN))]);
        assert_eq!(namespace_entry(&large).unwrap_err().kind, Kind::BadRequest);
    }

    #[test]
    fn other_properties_have_another_checksum() {
        let checksum = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            namespace_entry(&pairs.collect()).unwrap().checksum
        };
        let all = [
            checksum(&[]),
            checksum(&[("a", "b")]),
            checksum(&[("a", "c")]),
            checksum(&[("ab", "")]),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
