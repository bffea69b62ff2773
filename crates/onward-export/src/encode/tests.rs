//! Files are what their rows were, and memory is limited however many there are.

use std::collections::BTreeMap;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::{Encoder, begin};
use crate::cell::{Cell, Row};
use crate::column::{Column, Kind, Schema, always, perhaps};
use crate::format::Format;
use crate::tables::OBJECTS;

const COLUMNS: &[Column] = &[
    always("path", Kind::Text),
    perhaps("size", Kind::Number),
    perhaps("mtime", Kind::Moment),
    perhaps("metadata", Kind::Pairs),
    always("parents", Kind::Texts),
];
const SCHEMA: Schema = Schema { name: "things", version: 3, columns: COLUMNS };

fn pairs(pairs: &[(&str, &str)]) -> Cell {
    Cell::Pairs(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

fn texts(texts: &[&str]) -> Cell {
    Cell::Texts(texts.iter().map(ToString::to_string).collect())
}

/// Everything that a column can hold, beside everything else.
fn rows() -> Vec<Row> {
    let text = |text: &str| Cell::Text(text.to_owned());
    vec![
        vec![text("a,\"b\"\r\nc"), Cell::Number(1), Cell::Moment(1_500), pairs(&[]), texts(&[])],
        vec![
            text("=é日"),
            Cell::Null,
            Cell::Null,
            pairs(&[("k", "v"), ("l", "")]),
            texts(&["one", "two"]),
        ],
        vec![text(""), Cell::Number(i64::MAX), Cell::Moment(-1), Cell::Null, texts(&[""])],
    ]
}

fn file(format: Format, rows: Vec<Row>) -> Vec<u8> {
    let about = [("onward.ref", "main".to_owned())];
    let mut encoder = begin(format, SCHEMA, &about).unwrap();
    let mut bytes = Vec::new();
    for row in rows {
        encoder.push(row).unwrap();
        bytes.extend(encoder.take().unwrap());
    }
    bytes.extend(encoder.end().unwrap());
    bytes
}

#[test]
fn csv_quotes_what_has_to_be_and_has_json_where_a_value_has_parts() {
    let expected = concat!(
        "path,size,mtime,metadata,parents\r\n",
        "\"a,\"\"b\"\"\r\nc\",1,1970-01-01T00:00:01.5Z,{},[]\r\n",
        "=é日,,,\"{\"\"k\"\":\"\"v\"\",\"\"l\"\":\"\"\"\"}\",\"[\"\"one\"\",\"\"two\"\"]\"\r\n",
        ",9223372036854775807,1969-12-31T23:59:59.999Z,,\"[\"\"\"\"]\"\r\n",
    );
    assert_eq!(String::from_utf8(file(Format::Csv, rows())).unwrap(), expected);
    assert_eq!(file(Format::Csv, Vec::new()), b"path,size,mtime,metadata,parents\r\n");
}

#[test]
fn lines_of_json_have_every_member_in_its_order() {
    let expected = concat!(
        r#"{"path":"a,\"b\"\r\nc","size":1,"mtime":"1970-01-01T00:00:01.5Z","metadata":{},"parents":[]}"#,
        "\n",
        r#"{"path":"=é日","size":null,"mtime":null,"metadata":{"k":"v","l":""},"parents":["one","two"]}"#,
        "\n",
        r#"{"path":"","size":9223372036854775807,"mtime":"1969-12-31T23:59:59.999Z","metadata":null,"parents":[""]}"#,
        "\n",
    );
    assert_eq!(String::from_utf8(file(Format::JsonLines, rows())).unwrap(), expected);
    assert!(file(Format::JsonLines, Vec::new()).is_empty());
}

/// What a field of a row is, as a cell of its kind.
fn cell(kind: Kind, field: &Field) -> Cell {
    match (kind, field) {
        (_, Field::Null) => Cell::Null,
        (Kind::Text, Field::Str(text)) => Cell::Text(text.clone()),
        (Kind::Number, Field::Long(number)) => Cell::Number(*number),
        (Kind::Moment, Field::TimestampMillis(ms)) => Cell::Moment(*ms),
        (Kind::Texts, Field::ListInternal(list)) => {
            let texts = list.elements().iter().map(|text| match text {
                Field::Str(text) => text.clone(),
                other => panic!("{other:?} in a list"),
            });
            Cell::Texts(texts.collect())
        }
        (Kind::Pairs, Field::MapInternal(map)) => {
            let pairs = map.entries().iter().map(|pair| match pair {
                (Field::Str(key), Field::Str(value)) => (key.clone(), value.clone()),
                other => panic!("{other:?} in a map"),
            });
            Cell::Pairs(pairs.collect::<BTreeMap<_, _>>())
        }
        (kind, other) => panic!("{other:?} in a column of {kind:?}"),
    }
}

fn read(bytes: Vec<u8>) -> (SerializedFileReader<bytes::Bytes>, Vec<Row>) {
    let reader = SerializedFileReader::new(bytes.into()).unwrap();
    let columns = COLUMNS.iter();
    let row = |row: parquet::record::Row| {
        let fields = row.get_column_iter().zip(columns.clone());
        fields.map(|((_, field), column)| cell(column.kind, field)).collect()
    };
    let rows = reader.get_row_iter(None).unwrap().map(|read| row(read.unwrap())).collect();
    (reader, rows)
}

#[test]
fn parquet_has_the_rows_that_were_written_and_says_what_it_is_of() {
    // Each row is a row group of its own, and all together are one.
    let mut whole = begin(Format::Parquet, SCHEMA, &[]).unwrap();
    for row in rows() {
        whole.push(row).unwrap();
    }
    for (bytes, groups) in [(file(Format::Parquet, rows()), 3), (whole.end().unwrap(), 1)] {
        let (reader, found) = read(bytes);
        assert_eq!(found, rows());
        assert_eq!(reader.num_row_groups(), groups);
    }
    let (reader, found) = read(file(Format::Parquet, Vec::new()));
    assert!(found.is_empty());
    // As Java's reader takes it apart: a name, `version`, a number.
    let by: Vec<&str> =
        reader.metadata().file_metadata().created_by().unwrap().split(' ').collect();
    assert_eq!(by, ["onward", "version", env!("CARGO_PKG_VERSION")]);
    let said = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let said: Vec<(&str, Option<&str>)> =
        said.iter().map(|said| (said.key.as_str(), said.value.as_deref())).collect();
    assert_eq!(said, [("onward.schema", Some("things/3")), ("onward.ref", Some("main"))]);
}

#[test]
fn every_beginning_of_a_parquet_file_is_told_from_a_whole_one() {
    let whole = file(Format::Parquet, rows());
    for end in 0..whole.len() {
        let beginning = bytes::Bytes::copy_from_slice(&whole[..end]);
        assert!(SerializedFileReader::new(beginning).is_err(), "{end} of {}", whole.len());
    }
}

#[test]
fn a_row_of_other_columns_is_refused_and_not_written() {
    let mut encoder = begin(Format::Parquet, SCHEMA, &[]).unwrap();
    let mut row = rows().remove(0);
    row[0] = Cell::Null;
    assert!(encoder.push(row).is_err(), "a path is never null");
}

/// Rows as a listing has them.
fn listed(number: usize) -> Row {
    vec![
        Cell::Text(format!("tables/orders/day={:03}/part-{number:07}.parquet", number / 5000)),
        Cell::Number(number as i64),
        Cell::Text(format!("{:032x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
        Cell::Moment(1_795_000_000_000 + number as i64),
        Cell::Text("application/vnd.apache.parquet".to_owned()),
        Cell::Text(format!("s3://bucket/lake/data/{number:032x}")),
        pairs(&[("producer", "orders")]),
    ]
}

/// The most that is allocated at a time while so many rows become a file, and the length of the file.
fn memory_of(format: Format, rows: usize) -> (u64, u64) {
    let mut written = 0_u64;
    let measured = allocation_counter::measure(|| {
        let mut encoder: Box<dyn Encoder> = begin(format, OBJECTS, &[]).unwrap();
        for number in 0..rows {
            encoder.push(listed(number)).unwrap();
            if encoder.is_full() {
                written += encoder.take().unwrap().len() as u64;
            }
        }
        written += encoder.end().unwrap().len() as u64;
    });
    (measured.bytes_max, written)
}

/// A million rows take what a few take: `most` bytes, and hardly more than a tenth of them.
fn is_bounded(format: Format, most: u64) {
    let (few, _) = memory_of(format, 100_000);
    let (many, written) = memory_of(format, 1_000_000);
    assert!(many <= most, "{format:?}: {many} bytes for {written}");
    assert!(many <= few + few / 20 + 64 * 1024, "{format:?}: {few} bytes became {many}");
}

#[test]
fn a_million_rows_of_parquet_take_48_mib() {
    is_bounded(Format::Parquet, 48 << 20);
}

#[test]
fn a_million_rows_of_csv_take_half_a_mib() {
    is_bounded(Format::Csv, 512 << 10);
}

#[test]
fn a_million_lines_of_json_take_half_a_mib() {
    is_bounded(Format::JsonLines, 512 << 10);
}
