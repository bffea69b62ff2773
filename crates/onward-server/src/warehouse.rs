//! Where Iceberg tables lie, if not in the deployment's own storage.

use onward::internals::objects::{Objects, Source};
use onward::{Error, Result};

/// Opens the folder with this URL, which must lie apart from the storage of the deployment: its secrets are there, and
/// folders of repositories would have the same names.
pub fn open(url: Option<&str>, own: &Objects) -> Result<Option<Objects>> {
    let Some(url) = url.filter(|url| !url.is_empty()) else { return Ok(None) };
    let folder = format!("{}/", url.trim_end_matches('/'));
    if Source::open(&folder, &[])?.overlaps(own) {
        return Err(Error::invalid(format!(
            "the Iceberg warehouse '{url}' and this deployment's own storage {} lie inside each other: choose a folder apart from it, or none, and tables lie in that storage at a place of their own",
            own.url()
        )));
    }
    Objects::open(url).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_lie_apart_from_the_storage_or_at_their_place_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let url = |path: &str| format!("file://{}/{path}", dir.path().display());
        std::fs::create_dir_all(dir.path().join("store/lake")).unwrap();
        std::fs::create_dir_all(dir.path().join("tables")).unwrap();
        let own = Objects::open(&url("store")).unwrap();
        assert!(open(None, &own).unwrap().is_none());
        assert!(open(Some(""), &own).unwrap().is_none());
        assert!(open(Some(&url("tables")), &own).unwrap().is_some());
        for within in ["store", "store/lake", ""] {
            assert!(open(Some(&url(within)), &own).is_err(), "{within}");
        }
    }
}
