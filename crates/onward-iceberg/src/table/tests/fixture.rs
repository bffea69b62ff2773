//! Tables that PyIceberg made, see `tests/fixtures/make.py`.

use std::path::PathBuf;

use serde_json::Value;

use crate::table::Metadata;

/// All tables there are.
pub(super) const TABLES: [&str; 4] = ["v1", "v2", "plain", "merged"];

fn folder(table: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(table)
}

/// The metadata of a table, oldest first, as it was written.
pub(super) fn versions(table: &str) -> Vec<Value> {
    let files = std::fs::read_dir(folder(table)).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
    paths.sort();
    paths
        .iter()
        .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        .collect()
}

/// The newest metadata of a table.
pub(super) fn newest(table: &str) -> Metadata {
    Metadata::from_json(versions(table).pop().unwrap()).unwrap()
}

/// Lists and manifests of all tables, by their locations.
pub(super) fn files() -> impl Iterator<Item = (String, Vec<u8>)> {
    TABLES.iter().flat_map(|table| {
        let files = std::fs::read_dir(folder(table)).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|kind| kind == "avro")).map(move |path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let location = format!("file:///tmp/onward-fixtures/{table}/metadata/{name}");
            (location, std::fs::read(&path).unwrap())
        })
    })
}
