//! Which files the files of tables name: what other programs wrote, and what nobody may take for a table.

use apache_avro::types::Value as Avro;
use bytes::Bytes;
use serde_json::json;

use super::fixture::{TABLES, files, newest, versions};
use crate::table::avro::container::{Container, write};
use crate::table::{Named, named_by_list, named_by_manifest};

/// The strings of a field, wherever it stands, as a reader of Avro finds them that is not ours.
fn strings(file: &[u8], field: &str) -> Vec<String> {
    fn look(value: &Avro, field: &str, found: &mut Vec<String>) {
        match value {
            Avro::Record(fields) => fields.iter().for_each(|(name, value)| match value {
                Avro::String(text) if name == field => found.push(text.clone()),
                other => look(other, field, found),
            }),
            Avro::Union(_, inner) => look(inner, field, found),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for record in apache_avro::Reader::new(file).unwrap() {
        look(&record.unwrap(), field, &mut found);
    }
    found
}

#[test]
fn lists_and_manifests_name_what_another_reader_finds() {
    let (mut lists, mut manifests, mut named) = (0, 0, 0);
    for (location, bytes) in files() {
        let bytes = Bytes::from(bytes);
        if location.contains("/snap-") {
            let found: Vec<String> =
                named_by_list(&bytes).unwrap().into_iter().map(|(path, _)| path).collect();
            assert_eq!(found, strings(&bytes, "manifest_path"), "{location}");
            lists += 1;
            named += found.len();
            assert!(named_by_manifest(&bytes, &mut |_| ()).is_err(), "{location}");
        } else {
            let mut found = Vec::new();
            named_by_manifest(&bytes, &mut |file| found.push(file.to_owned())).unwrap();
            assert_eq!(found, strings(&bytes, "file_path"), "{location}");
            manifests += 1;
            named += found.len();
            assert!(named_by_list(&bytes).is_err(), "{location}");
        }
    }
    assert!(lists > 10 && manifests > 10 && named > 40, "{lists} {manifests} {named}");
}

#[test]
fn metadata_names_its_lists_and_not_the_metadata_before_it() {
    for table in TABLES {
        let metadata = newest(table);
        let named = Named::by_metadata(&metadata.to_bytes()).unwrap();
        assert_eq!(named.location, metadata.location());
        assert_eq!(named.lists.len(), metadata.snapshot_ids().count(), "{table}");
        let before = versions(table).len() - 1;
        assert!(before > 0 && !named.files.iter().any(|file| file.ends_with(".json")), "{table}");
        assert!(named.lists.iter().all(|list| named.files.contains(list)), "{table}");
    }
}

#[test]
fn whatever_looks_like_a_location_counts_as_named() {
    let mut json = newest("v2").json().clone();
    let id = json["current-snapshot-id"].clone();
    json["statistics"] = json!([{
        "snapshot-id": id, "statistics-path": "s3://b/1.stats", "file-size-in-bytes": 1,
        "file-footer-size-in-bytes": 1, "blob-metadata": [],
    }]);
    json["partition-statistics"] =
        json!([{"snapshot-id": id, "statistics-path": "/b/1.parquet", "file-size-in-bytes": 1}]);
    json["of-tomorrow"] = json!({"deep": ["file:/b/new"]});
    let named = Named::by_metadata(json.to_string().as_bytes()).unwrap();
    for file in ["s3://b/1.stats", "/b/1.parquet", "file:/b/new"] {
        assert!(named.files.iter().any(|found| found == file), "{file}");
    }
    json["format-version"] = 4.into();
    assert!(Named::by_metadata(json.to_string().as_bytes()).is_err());
}

#[test]
fn what_is_encrypted_or_says_something_unknown_is_not_taken_for_read() {
    let mut json = newest("v2").json().clone();
    json["snapshots"][0]["key-id"] = "k".into();
    let error = Named::by_metadata(json.to_string().as_bytes()).unwrap_err();
    assert!(error.message().contains("encrypted"), "{}", error.message());
    for (location, bytes) in files() {
        let bytes = Bytes::from(bytes);
        let is_list = location.contains("/snap-");
        let file = if is_list { "\"field-id\":500" } else { "\"field-id\":100" };
        let container = Container::read(&bytes).unwrap();
        let mut header = container.header.clone();
        let text = container.text("avro.schema").unwrap().replace(": ", ":");
        assert!(text.contains(file), "{location}");
        let other = text.replacen(file, "\"field-id\":999", 1);
        header.insert("avro.schema".to_owned(), other.into());
        let other = write(&header, container.blocks.iter(), [0; 16]);
        let read = match is_list {
            true => named_by_list(&other).map(drop),
            false => named_by_manifest(&other, &mut |_| ()),
        };
        let error = read.unwrap_err();
        assert!(error.message().contains("999 is unknown"), "{location}: {}", error.message());
        // A part of it.
        let cut = bytes.slice(..bytes.len() - 20);
        assert!(named_by_list(&cut).is_err() && named_by_manifest(&cut, &mut |_| ()).is_err());
    }
}
