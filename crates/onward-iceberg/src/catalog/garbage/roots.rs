//! Where files of a repository's tables lie, and what a location that some file names may stand for there.
//!
//! A location is taken for every key that it could mean, however the storage was spelled when it was written: too much
//! is kept rather than too little.

use onward::internals::objects::Objects;

use super::super::warehouse::{NOTICES, Warehouse, plain};

/// A folder that tables of a repository lie in.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub objects: Objects,
    /// Key of the folder, without a slash behind it.
    pub folder: String,
    /// Whether nothing but tables can lie there.
    pub is_own: bool,
}

/// A file below one of the roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At {
    pub root: usize,
    pub key: String,
}

/// All roots of a repository.
#[derive(Debug, Clone)]
pub(super) struct Roots(Vec<Root>);

impl Roots {
    pub(super) fn of(warehouses: &[Warehouse], own: usize) -> Self {
        let root = |(at, warehouse): (usize, &Warehouse)| Root {
            objects: warehouse.objects().clone(),
            folder: warehouse.folder().to_owned(),
            is_own: at == own,
        };
        Self(warehouses.iter().enumerate().map(root).collect())
    }

    pub(super) fn all(&self) -> &[Root] {
        &self.0
    }

    pub(super) fn get(&self, at: &At) -> Option<&Root> {
        self.0.get(at.root)
    }

    /// What a location may stand for; first what it stands for as it is written. Nothing, where it lies elsewhere.
    pub(super) fn places(&self, location: &str) -> Vec<At> {
        let location = plain(location);
        let mut places = Vec::new();
        for spelling in spellings(&location) {
            for (root, of) in self.0.iter().enumerate() {
                let mark = format!("/{}/", of.folder);
                let mut rest = spelling.as_str();
                while let Some(found) = rest.find(&mark) {
                    let inner = rest.get(found + mark.len()..).unwrap_or_default();
                    places.push(At { root, key: format!("{}/{inner}", of.folder) });
                    rest = rest.get(found + 1..).unwrap_or_default();
                }
            }
        }
        let is_elsewhere = |at: &At| self.address(at).as_deref() != Some(location.as_str());
        places.sort_by_cached_key(|at| (is_elsewhere(at), at.root, at.key.clone()));
        places.dedup();
        places
    }

    /// The address of a file.
    pub(super) fn address(&self, at: &At) -> Option<String> {
        self.get(at).map(|root| root.objects.address(&at.key))
    }

    /// What tells a file from all others.
    pub(super) fn id(&self, root: usize, key: &str) -> u128 {
        digest(&[&root.to_le_bytes(), key.as_bytes()])
    }

    /// The folder that a file lies in, as the folder of a table: the first segment below the root. None of what lies
    /// beside all tables.
    pub(super) fn folder<'a>(&self, root: usize, key: &'a str) -> Option<&'a str> {
        let of = self.0.get(root)?;
        let inner = key.strip_prefix(of.folder.as_str())?.strip_prefix('/')?;
        let (folder, rest) = inner.split_once('/')?;
        (folder != NOTICES && !rest.is_empty()).then_some(folder)
    }
}

/// What a location may be as well: with its escapes read, and without what leads nowhere.
fn spellings(location: &str) -> Vec<String> {
    let mut spellings = vec![location.to_owned()];
    spellings.extend(unescaped(location));
    let walked: Vec<String> = spellings.iter().map(|location| walked(location)).collect();
    spellings.extend(walked);
    spellings.sort();
    spellings.dedup();
    spellings
}

/// A location without `//`, `.` and `..` behind its scheme.
fn walked(location: &str) -> String {
    let begins = location.find("://").map_or(0, |at| at + 3);
    let (scheme, path) = location.split_at(begins);
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{scheme}{root}{}", parts.join("/"))
}

/// 128 bits that stand for bytes.
pub(super) fn digest(parts: &[&[u8]]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let hash = hasher.finalize();
    hash.as_bytes().first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes))
}

/// A text with its percent-escapes read; none where it has none.
fn unescaped(text: &str) -> Option<String> {
    text.contains('%').then_some(())?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use onward::RepoName;
    use onward::internals::objects::backend::InMemory;

    use super::*;

    fn roots() -> Roots {
        let objects = |url: &str| Objects::from_store(Arc::new(InMemory::new()), url);
        let repo = RepoName::new("lake").unwrap();
        let own = Warehouse::own(&objects("file:///srv/w"), &repo);
        Roots::of(&[own, Warehouse::below(&objects("s3://b/p"), &repo)], 0)
    }

    #[test]
    fn a_location_stands_for_every_key_that_it_could_mean() {
        let roots = roots();
        let keys = |location: &str| {
            let places = roots.places(location).into_iter();
            places.map(|at| format!("{} {}", at.root, at.key)).collect::<Vec<_>>()
        };
        assert_eq!(keys("file:/srv/w/_iceberg/lake/u/data/f")[0], "0 _iceberg/lake/u/data/f");
        assert_eq!(keys("s3a://b/p/lake/u/f"), ["1 lake/u/f"]);
        // The storage was somewhere else when this was written.
        assert_eq!(keys("s3://before/_iceberg/lake/u/f")[0], "0 _iceberg/lake/u/f");
        assert_eq!(
            keys("s3://b/p/lake//u/a%20b"),
            ["1 lake//u/a%20b", "1 lake//u/a b", "1 lake/u/a b", "1 lake/u/a%20b"]
        );
        assert_eq!(keys("s3://b/p/lake/u/./x/../f")[1..], ["1 lake/u/f"]);
        assert_eq!(keys("s3://b/p/lake/lake/f"), ["1 lake/lake/f", "1 lake/f"]);
        // On the way to the folder of all tables, too.
        for odd in ["_iceberg//lake", "_iceberg/./lake", "_iceberg/x/../lake", "%5Ficeberg/lake"] {
            for before in ["file:///srv/w/", "/", "s3://b/"] {
                assert!(
                    keys(&format!("{before}{odd}/u/f")).contains(&"0 _iceberg/lake/u/f".to_owned()),
                    "{before}{odd}"
                );
            }
        }
        for elsewhere in ["", "s3://b/p/pond/u/f", "file:///srv/w/_iceberg/lake", "lake/u/f"] {
            assert!(keys(elsewhere).is_empty(), "{elsewhere}");
        }
    }

    #[test]
    fn a_file_lies_in_the_folder_of_a_table_or_beside_all() {
        let roots = roots();
        assert_eq!(roots.folder(0, "_iceberg/lake/u/data/f"), Some("u"));
        for none in
            ["_iceberg/lake/f", "_iceberg/lake/.removing/x", "_iceberg/lake2/u/f", "lake/log"]
        {
            assert_eq!(roots.folder(0, none), None, "{none}");
        }
        assert_ne!(roots.id(0, "a"), roots.id(1, "a"));
    }
}
