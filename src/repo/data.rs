//! Names of uploaded objects: which object below the repository's `data/` an entry's address
//! stands for.

use crate::model::change::{Change, decode_value};
use crate::model::error::Result;
use crate::model::life::RepoLife;
use crate::objects::{Objects, layout};

/// Reads names out of encoded changes.
#[derive(Debug, Clone)]
pub(super) struct DataNames {
    repo: RepoLife,
    objects: Objects,
}

impl DataNames {
    /// Names of objects of `repo` in `objects`.
    pub(super) fn new(repo: &RepoLife, objects: &Objects) -> Self {
        Self { repo: repo.clone(), objects: objects.clone() }
    }

    /// The object that a change names in this storage, and its recorded size in bytes.
    pub(super) fn exact(&self, value: &[u8]) -> Result<Option<(u128, u64)>> {
        let (Change::Put(entry), _) = decode_value(value)? else { return Ok(None) };
        let key = self.objects.key_of(&entry.address);
        Ok(key.and_then(|key| self.id(key)).map(|id| (id, entry.size)))
    }

    /// The object that an address names, in whatever way the storage was spelled when it was
    /// uploaded. An address of elsewhere that ends alike names it too: too much is kept rather
    /// than too little.
    pub(super) fn loose(&self, address: &str) -> Option<u128> {
        let slashes = address.rmatch_indices('/').map(|(at, _)| at);
        // `<repo>/data/<first two>/<id>` are the last segments.
        let count = self.repo.to_string().matches('/').count() + 4;
        let start = slashes.take(count).last().filter(|_| address.matches('/').count() >= count);
        let key = start.map_or(Some(address), |at| address.get(at + 1..));
        key.and_then(|key| self.id(key))
    }

    fn id(&self, key: &str) -> Option<u128> {
        layout::parse_data(key).filter(|_| layout::parse_life(key).as_ref() == Some(&self.repo))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::Entry;
    use crate::model::change::encode_value;
    use crate::objects::backend::InMemory;

    use super::*;

    fn value(address: &str) -> Vec<u8> {
        let mut value = Vec::new();
        encode_value(&Change::Put(Entry::new(address, 7, "c")), None, &mut value);
        value
    }

    #[test]
    fn an_address_names_an_object_of_its_repository_only() {
        for repo in ["lake", "lake/lives/0000000002"] {
            names_its_own(&repo.parse().unwrap());
        }
    }

    fn names_its_own(repo: &RepoLife) {
        let store = Arc::new(InMemory::new());
        let objects = Objects::from_store(store, "s3://bucket/prefix/");
        let names = DataNames::new(repo, &objects);
        let key = layout::data(repo, 5 << 120);
        assert_eq!(objects.address(&key), format!("s3://bucket/prefix/{key}"));
        let here = value(&objects.address(&key));
        assert_eq!(names.exact(&here).unwrap(), Some((5 << 120, 7)));
        for address in
            [format!("s3://bucket/prefix/{key}"), format!("file:///else/{key}"), key.clone()]
        {
            assert_eq!(names.loose(&address), Some(5 << 120), "{address}");
        }
        assert_eq!(names.exact(&value(&format!("file:///else/{key}"))).unwrap(), None);
        for address in
            ["", "x", "mem://data/1", "s3://b/other/data/05/05", &key.replace("lake", "pond")]
        {
            assert_eq!(names.loose(address), None, "{address}");
        }
        for other in [repo.next(), RepoLife::new(repo.name().clone(), repo.number() - 1)] {
            let address = format!("s3://bucket/prefix/{}", layout::data(&other, 5 << 120));
            let is_own = other == *repo;
            assert_eq!(names.loose(&address).is_some(), is_own, "{address}");
        }
        let mut delete = Vec::new();
        encode_value(&Change::Delete, None, &mut delete);
        assert_eq!(names.exact(&delete).unwrap(), None);
    }
}
