//! Parquet files as the row reader of the parquet crate sees them, which shares nothing with the writer.

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::schema::{Column, Kind, REST};
use super::{Codec, Parquet, Schema};
use crate::file::Format;
use crate::format::spool::tests::bytes_of;
use crate::format::tests::{file_of, full, record, refusal};
use crate::record::Record;

fn rows(file: Vec<u8>) -> Vec<Value> {
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_json_value()).collect()
}

fn json_record(value: &Value) -> Record {
    record(1, Some(value.to_string().as_bytes()))
}

fn parquet(schema: &str) -> Parquet {
    Parquet::new(schema.parse().unwrap(), Codec::Zstd)
}

const EVERYTHING: &str = "message all {
    optional boolean yes; optional int32 small; required int64 id; optional float near; optional double amount;
    optional binary name (STRING); optional binary any (JSON); optional int32 day (DATE);
    optional int64 at (TIMESTAMP(MICROS,true)); optional int64 local (TIMESTAMP(MILLIS,false));
    optional int64 exact (TIMESTAMP(NANOS,true));
    optional group tags (LIST) { repeated group list { optional binary element (STRING); } }
    optional group user { required binary name (STRING); optional group ages (LIST) { repeated group list {
        optional group element { optional int32 years; } } } }
    optional binary _rest (JSON); }";

#[test]
fn every_kind_of_column_is_read_back_as_it_was_sent() {
    let value = json!({
        "yes": true, "small": -7, "id": 9_007_199_254_740_993_i64, "near": 0.5, "amount": 0.1, "name": "é\u{0}\n",
        "any": {"b": [1, null]}, "day": "1969-12-31", "at": "2026-11-28T10:30:00.123456+01:00",
        "local": "2026-11-28T09:30:00.5", "exact": 1, "tags": ["a", null, ""],
        "user": {"name": "u", "ages": [{"years": 1}, null, {}], "new": 5}, "_rest": "mine", "more": [1],
    });
    let empty = json!({"id": 0, "user": null, "tags": []});
    for codec in [Codec::None, Codec::Snappy, Codec::Zstd] {
        let format = Parquet::new(EVERYTHING.parse().unwrap(), codec);
        let got = rows(file_of(&format, &[json_record(&value), json_record(&empty)]));
        assert_eq!(got[0]["id"], 9_007_199_254_740_993_i64);
        assert_eq!((&got[0]["amount"], &got[0]["near"]), (&json!(0.1), &json!(0.5)));
        assert_eq!((&got[0]["yes"], &got[0]["small"]), (&json!(true), &json!(-7)));
        assert_eq!(got[0]["name"], "é\u{0}\n");
        assert_eq!(got[0]["any"], r#"{"b":[1,null]}"#);
        assert_eq!(got[0]["day"], "1969-12-31");
        assert_eq!(got[0]["at"], "2026-11-28 09:30:00.123456 +00:00");
        assert!(got[0]["local"].as_str().unwrap().starts_with("2026-11-28 09:30:00.5"));
        assert_eq!(got[0]["tags"], json!(["a", null, ""]));
        let ages = json!([{"years": 1}, null, {"years": null}]);
        assert_eq!(got[0]["user"], json!({"name": "u", "ages": ages}));
        let rest: Value = serde_json::from_str(got[0]["_rest"].as_str().unwrap()).unwrap();
        assert_eq!(rest, json!({"_rest": "mine", "more": [1], "user": {"new": 5}}));
        assert_eq!((&got[1]["user"], &got[1]["tags"]), (&Value::Null, &json!([])));
        assert_eq!((&got[1]["_rest"], &got[1]["name"]), (&Value::Null, &Value::Null));
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_place_and_leaves_no_trace() {
    let format = parquet(&EVERYTHING.replace("optional binary _rest (JSON);", ""));
    let good = json_record(&json!({"id": 1}));
    for (bad, why) in [
        (json!({}), "id: it is required"),
        (json!({"id": null}), "id: it is required"),
        (json!({"id": "1"}), "id: it is a string, the schema wants an integer of 64 bits"),
        (json!({"id": 1.0}), "id: it is a number, the schema wants an integer"),
        (json!({"id": u64::MAX}), "an integer of 64 bits"),
        (json!({"id": 1, "small": 1_i64 << 31}), "small: it is a number"),
        (json!({"id": 1, "new": 1}), "'new' is not in the schema"),
        (json!({"id": 1, "_rest": 1}), "'_rest' is not in the schema"),
        (
            json!({"id": 1, "day": "2026-11-28T10:00:00"}),
            "day: it is a string, the schema wants a date",
        ),
        (json!({"id": 1, "day": "2026-02-30"}), "a date"),
        (json!({"id": 1, "at": "2026-11-28T10:00:00"}), "a time as 2026"),
        (json!({"id": 1, "local": "2026-11-28T10:00:00Z"}), "without an offset"),
        (json!({"id": 1, "local": "2026-11-28T10:00:00+02:00"}), "without an offset"),
        (json!({"id": 1, "exact": "9999-01-01T00:00:00Z"}), "a time as"),
        (
            json!({"id": 1, "tags": ["a", 5]}),
            "tags: element: it is a number, the schema wants a string",
        ),
        (json!({"id": 1, "tags": "a"}), "wants an array"),
        (json!({"id": 1, "user": {}}), "user: name: it is required"),
        (json!({"id": 1, "user": []}), "wants an object"),
        (json!([1]), "not a JSON object"),
        (json!(null), "not a JSON object"),
    ] {
        let reason = refusal(&format, &good, &json_record(&bad));
        assert!(reason.contains(why), "{bad}: {reason}");
    }
    for (bad, why) in
        [(None, "tombstone"), (Some(&b"{"[..]), "not JSON"), (Some(b"\xff"), "not JSON")]
    {
        let reason = refusal(&format, &good, &record(2, bad));
        assert!(reason.contains(why), "{reason}");
    }
    let in_list = json!({"id": 1, "user": {"name": "", "ages": [{"new": 1}]}});
    let reason = refusal(&parquet(EVERYTHING), &good, &json_record(&in_list));
    assert!(reason.contains("user: ages: element: 'new' is not in the schema"), "{reason}");
}

#[test]
fn a_wrapped_row_has_place_time_key_and_headers_and_a_tombstone_is_a_row() {
    let format = parquet("message m { optional int64 id; }").wrapped().unwrap();
    let got = rows(file_of(&format, &[full(8), record(9, None)]));
    let place = &got[0]["_kafka"];
    assert_eq!(
        (&got[0]["id"], &place["partition"], &place["offset"]),
        (&json!(1), &json!(3), &json!(8))
    );
    assert_eq!(place["timestamp"], "1970-01-01 00:00:00.000 +00:00");
    assert_eq!(place["key"], "a/8=", "{place}");
    let names: Vec<&Value> =
        place["headers"].as_array().unwrap().iter().map(|header| &header["name"]).collect();
    assert_eq!(names, ["h", "h", "", "h"]);
    assert_eq!(place["headers"][2]["value"], Value::Null);
    assert_eq!((&got[1]["id"], &got[1]["_kafka"]["timestamp"]), (&Value::Null, &Value::Null));

    let strict = parquet("message m { required int64 id; }").wrapped().unwrap();
    assert!(refusal(&strict, &full(1), &record(2, None)).contains("tombstone"));
}

#[test]
fn a_schema_that_cannot_serve_is_refused_with_what_is_wrong() {
    for (schema, why) in [
        ("", "does not start with 'message'"),
        ("message m { }", "it has 0 columns"),
        ("message m { required int64 }", "cannot be used"),
        ("message m { optional int96 old; }", "its column 'old' is of a type"),
        ("message m { optional binary bytes; }", "its column 'bytes' is of a type"),
        ("message m { optional int32 price (DECIMAL(9,2)); }", "its column 'price' is of a type"),
        ("message m { optional int64 a; optional int64 a; }", "the name 'a' twice"),
        ("message m { required binary _rest (JSON); }", "_rest"),
        ("message m { optional binary _rest (STRING); }", "_rest"),
        ("message m { optional int64 _kafka; }", "records' places"),
    ] {
        let error = schema.parse::<Schema>().unwrap_err();
        assert!(error.message().contains(why), "{schema}: {error}");
        assert!(error.message().contains("it looks like"), "{error}");
    }
}

#[test]
fn a_schema_is_inferred_so_that_nothing_of_what_was_seen_is_lost() {
    let seen = [
        json!({"id": 1, "n": 1, "mixed": 1, "big": u64::MAX, "never": null, "none": [], "odd name": 1, "g": {"a": 1}}),
        json!({"id": 2, "n": 1.5, "mixed": "x", "big": 1, "never": null, "none": [], "g": {"b": [true]}, "m": {"a b": 1}}),
        json!({"id": 3, "wide": (1_i64 << 53) + 1, "_rest": 1, "_kafka": 2}),
        json!({"wide": 0.5}),
        json!("no object"),
    ];
    let records: Vec<Record> = seen.iter().map(json_record).collect();
    let schema = Schema::infer(&records).unwrap();
    let text = schema.to_string();
    let lines: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "OPTIONAL INT64 id;",
        "OPTIONAL DOUBLE n;",
        "OPTIONAL BYTE_ARRAY mixed (JSON);",
        "OPTIONAL BYTE_ARRAY big (JSON);",
        "OPTIONAL BYTE_ARRAY never (JSON);",
        "OPTIONAL BYTE_ARRAY wide (JSON);",
        "OPTIONAL BYTE_ARRAY m (JSON);",
        "OPTIONAL group g {",
        "OPTIONAL INT64 a;",
        "OPTIONAL BYTE_ARRAY _rest (JSON);",
    ] {
        assert!(lines.iter().any(|got| got == line), "no {line} in {text}");
    }
    assert_eq!(text.parse::<Schema>().unwrap().to_string(), text, "it can be kept as text");
    let got = rows(file_of(&Parquet::new(schema, Codec::None), &records[..4]));
    let rest: Value = serde_json::from_str(got[0]["_rest"].as_str().unwrap()).unwrap();
    assert_eq!(rest, json!({"odd name": 1}));
    let rest: Value = serde_json::from_str(got[2]["_rest"].as_str().unwrap()).unwrap();
    assert_eq!(rest, json!({"_rest": 1, "_kafka": 2}));

    let error = Schema::infer(&[record(1, None), record(2, Some(b"[]"))]).unwrap_err();
    assert!(error.message().contains("give a schema"), "{error}");
}

#[test]
fn a_file_holds_no_more_than_a_row_group_in_memory() {
    let limit = 256 * 1024;
    let format = parquet("message m { required int64 id; required binary text (STRING); }")
        .row_group_memory(limit);
    let mut file = format.begin().unwrap();
    let mut noise = 1_u64;
    for offset in 0..50_000_i64 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let value = json!({"id": offset, "text": format!("{noise:x}{:x}", noise.rotate_left(29))});
        file.push(&json_record(&value)).unwrap();
        // A row group, the batch that it grows by, and the spool.
        assert!(file.memory() <= limit as u64 + (2 << 20), "{}", file.memory());
    }
    assert!(file.size() > 1 << 20, "{}", file.size());
    let bytes = Bytes::from(bytes_of(file.finish().unwrap()));
    let groups = SerializedFileReader::new(bytes.clone()).unwrap().num_row_groups();
    assert!(groups > 4, "{groups} row groups");
    let ids: Vec<i64> =
        rows(bytes.to_vec()).iter().map(|row| row["id"].as_i64().unwrap()).collect();
    assert!(ids.iter().copied().eq(0..50_000));
}

/// What a value is in a row of these columns.
fn as_row(members: &Map<String, Value>, columns: &[Column]) -> Value {
    let of = |column: &Column| {
        let value = members.get(&column.name).unwrap_or(&Value::Null);
        (column.name.clone(), as_cell(value, column))
    };
    Value::Object(columns.iter().map(of).collect())
}

fn as_cell(value: &Value, column: &Column) -> Value {
    match (&column.kind, value) {
        (_, Value::Null) => Value::Null,
        (Kind::Json, value) => Value::String(value.to_string()),
        (Kind::Double, value) => json!(value.as_f64().unwrap()),
        (Kind::List(element), Value::Array(values)) => {
            values.iter().map(|value| as_cell(value, element)).collect()
        }
        (Kind::Group(columns), Value::Object(members)) => as_row(members, columns),
        (_, value) => value.clone(),
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300_f64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]|_rest|x y", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever is sent is in the file: in its column, or in the rest.
    #[test]
    fn records_that_a_schema_was_inferred_from_come_back_whole(
        values in prop::collection::vec(
            prop::collection::btree_map("[a-f]|_rest|_kafka|x y|é", any_value(), 0..5),
            1..12,
        ),
    ) {
        let objects: Vec<Map<String, Value>> =
            values.into_iter().map(|members| members.into_iter().collect()).collect();
        let records: Vec<Record> =
            objects.iter().map(|members| json_record(&Value::Object(members.clone()))).collect();
        let schema = Schema::infer(&records).unwrap();
        let columns = schema.columns.clone();
        let got = rows(file_of(&Parquet::new(schema, Codec::Snappy), &records));
        for (mut members, got) in objects.into_iter().zip(got) {
            let is_column = |name: &str| name != REST && columns.iter().any(|column| column.name == name);
            let (known, rest): (Map<_, _>, Map<_, _>) =
                std::mem::take(&mut members).into_iter().partition(|(name, _)| is_column(name));
            let mut expected = as_row(&known, &columns);
            if !rest.is_empty() {
                expected[REST] = Value::String(Value::Object(rest).to_string());
            }
            prop_assert_eq!(got, expected);
        }
    }

    /// Bytes of strangers: a row, or refused, and the file stays whole.
    #[test]
    fn any_values_are_rows_or_refused(values in prop::collection::vec(any_value(), 0..12)) {
        let format = parquet(
            "message m { optional int64 a; optional group b { optional binary c (STRING);
             optional group a (LIST) { repeated group list { optional double element; } } } }",
        );
        let mut file = format.begin().unwrap();
        let taken = values.iter().filter(|value| file.push(&json_record(value)).is_ok()).count();
        prop_assert_eq!(file.records(), taken as u64);
        if taken > 0 {
            prop_assert_eq!(rows(bytes_of(file.finish().unwrap())).len(), taken);
        }
    }
}
