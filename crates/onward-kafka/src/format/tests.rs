//! What is put into a file is read back by others' readers: those of gzip, zstd and Parquet.

use std::io::Read;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::spool::tests::bytes_of;
use super::{DeadLetters, Framing, JsonLines, Packing, Raw};
use crate::file::{Format, Refused};
use crate::record::{Header, Record};

/// A record with this value and nothing else.
pub(super) fn record(offset: i64, value: Option<&[u8]>) -> Record {
    Record {
        topic: Arc::from("orders"),
        partition: 3,
        offset,
        timestamp_ms: None,
        key: None,
        value: value.map(Bytes::copy_from_slice),
        headers: Vec::new(),
    }
}

/// A record with everything a record can have.
pub(super) fn full(offset: i64) -> Record {
    let header = |name: &str, value: Option<&[u8]>| Header {
        name: name.into(),
        value: value.map(Bytes::copy_from_slice),
    };
    Record {
        timestamp_ms: Some(0),
        key: Some(Bytes::from_static(b"k\xff")),
        headers: vec![
            header("h", Some(b"one")),
            header("h", Some(b"\x00\xfe")),
            header("", None),
            header("h", Some(b"")),
        ],
        ..record(offset, Some(br#"{"id": 1}"#))
    }
}

/// The bytes of a file of these records, all of which are taken.
pub(super) fn file_of(format: &dyn Format, records: &[Record]) -> Vec<u8> {
    let mut file = format.begin().unwrap();
    for record in records {
        file.push(record).unwrap();
    }
    assert_eq!(file.records(), records.len() as u64);
    bytes_of(file.finish().unwrap())
}

/// Why a format refuses a record. What it had taken before is as it was.
pub(super) fn refusal(format: &dyn Format, good: &Record, bad: &Record) -> String {
    let mut file = format.begin().unwrap();
    file.push(good).unwrap();
    let refused = file.push(bad).unwrap_err();
    assert_eq!(file.records(), 1);
    let content = bytes_of(file.finish().unwrap());
    assert_eq!(content, file_of(format, std::slice::from_ref(good)));
    match refused {
        Refused::Unparsable(reason) => reason,
        other => panic!("not a dead letter: {other:?}"),
    }
}

/// What others' readers make of packed bytes.
fn unpacked(packing: Packing, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match packing {
        Packing::None => plain.extend_from_slice(bytes),
        Packing::Gzip => {
            // One member: what a reader of the first alone sees is all there is.
            flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
        }
        Packing::Zstd => {
            let mut frames = zstd::stream::read::Decoder::new(bytes).unwrap().single_frame();
            frames.read_to_end(&mut plain).unwrap();
        }
    }
    plain
}

const PACKINGS: [Packing; 3] = [Packing::None, Packing::Gzip, Packing::Zstd];

fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.ends_with('\n'), "the last line ends, too");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_value_is_a_line_of_its_own_whatever_the_compression() {
    let values: [&[u8]; 6] =
        [b"{\"a\": 1.10}", b" {\r\n  \"b\":\n \"x\\ny\"}\n", b"null", b"[]", b"\"text\"", b"0"];
    let records: Vec<Record> =
        (0_i64..).zip(values).map(|(offset, value)| record(offset, Some(value))).collect();
    for packing in PACKINGS {
        let format = JsonLines::new(packing);
        assert_eq!(format.extension(), format!("jsonl{}", packing.ending()));
        let bytes = unpacked(packing, &file_of(&format, &records));
        let expected = "{\"a\": 1.10}\n{    \"b\":  \"x\\ny\"}\nnull\n[]\n\"text\"\n0\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}

#[test]
fn what_is_not_json_is_refused_and_leaves_no_trace() {
    let format = JsonLines::new(Packing::Zstd);
    let good = record(1, Some(b"{}"));
    for (bad, why) in [
        (Some(&b""[..]), "not JSON: EOF"),
        (Some(b"{"), "not JSON: EOF"),
        (Some(b"{} {}"), "trailing characters"),
        (Some(b"\"\xff\""), "invalid utf-8"),
        (Some(b"{\"a\": \"\n\"}"), "control character"),
        (None, "tombstone"),
    ] {
        let reason = refusal(&format, &good, &record(2, bad));
        assert!(reason.contains(why), "{reason}");
    }
    // As deep as a record can be: no reader of ours runs out of stack.
    let deep = [vec![b'['; 500_000], vec![b']'; 500_000]].concat();
    file_of(&format, &[record(1, Some(&deep))]);
}

#[test]
fn a_wrapped_line_has_all_that_the_record_has() {
    let format = JsonLines::new(Packing::None).wrapped();
    let tombstone = Record { timestamp_ms: Some(-5), ..record(9, None) };
    let got = lines(&file_of(&format, &[full(8), tombstone]));
    let first = json!({
        "topic": "orders", "partition": 3, "offset": 8, "timestamp_ms": 0, "key_base64": STANDARD.encode(b"k\xff"),
        "headers": [
            {"name": "h", "value": "one"}, {"name": "h", "value_base64": STANDARD.encode(b"\x00\xfe")},
            {"name": "", "value": null}, {"name": "h", "value": ""},
        ],
        "value": {"id": 1},
    });
    let second = json!({
        "topic": "orders", "partition": 3, "offset": 9, "timestamp_ms": -5, "key": null, "headers": [], "value": null,
    });
    assert_eq!(got, [first, second]);
}

#[test]
fn dead_letters_keep_the_whole_record_and_the_reason() {
    for packing in PACKINGS {
        let format = DeadLetters::new(packing);
        let mut file = format.begin().unwrap();
        let broken = Record { value: Some(Bytes::from_static(b"\xff{")), ..full(1) };
        file.push(&broken, "its value is not \"JSON\"").unwrap();
        file.push(&record(2, None), "a tombstone").unwrap();
        file.push(&record(3, Some(b"")), "empty").unwrap();
        assert_eq!(file.records(), 3);
        let got = lines(&unpacked(packing, &bytes_of(file.finish().unwrap())));
        assert_eq!(got[0]["reason"], "its value is not \"JSON\"");
        assert_eq!(got[0]["value_base64"], STANDARD.encode(b"\xff{"));
        assert_eq!(got[0]["timestamp_ms"], 0);
        assert_eq!(got[0]["headers"].as_array().unwrap().len(), 4);
        assert_eq!((&got[1]["offset"], &got[1]["value"]), (&json!(2), &Value::Null));
        assert_eq!(got[1]["timestamp_ms"], Value::Null);
        assert_eq!((&got[2]["value"], &got[2]["key"]), (&json!(""), &Value::Null));
    }
}

#[test]
fn a_raw_value_that_a_reader_would_take_for_two_is_refused() {
    let good = record(1, Some(b"good"));
    let separated =
        |text: &'static [u8]| Raw::new(Framing::Separator(Bytes::from_static(text)), Packing::None);
    for (separator, value) in
        [(&b"\n"[..], &b"a\nb"[..]), (b"||", b"a||b"), (b"||", b"a|"), (b"aba", b"xab")]
    {
        let reason = refusal(&separated(separator), &good, &record(2, Some(value)));
        assert!(reason.contains("separator"), "{reason}");
    }
    assert!(refusal(&separated(b"\n"), &good, &record(2, None)).contains("tombstone"));
    assert_eq!(file_of(&separated(b"||"), &[record(1, Some(b"|a")), good.clone()]), b"|a||good||");
    assert_eq!(file_of(&separated(b""), &[record(1, Some(b"\n")), good]), b"\ngood");
}

#[test]
fn a_file_in_the_making_holds_little_however_large_it_is() {
    let mut noise = 1_u64;
    let mut value = vec![0; 100_000];
    for packing in PACKINGS {
        let mut file = Raw::new(Framing::Length, packing).begin().unwrap();
        for offset in 0..100 {
            for byte in &mut value {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                *byte = noise as u8;
            }
            file.push(&record(offset, Some(&value))).unwrap();
            assert!(file.memory() <= 2 << 20, "{packing:?}: {}", file.memory());
        }
        assert!(file.size() > 9 << 20, "{packing:?}: {}", file.size());
        assert_eq!(unpacked(packing, &bytes_of(file.finish().unwrap())).len(), 100 * 100_004);
    }
}

proptest! {
    #[test]
    fn raw_values_come_back_as_they_were(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..50),
        separator in prop::collection::vec(0..3_u8, 1..4),
    ) {
        for packing in PACKINGS {
            let records: Vec<Record> =
                (0_i64..).zip(&values).map(|(offset, value)| record(offset, Some(value))).collect();
            let bytes = unpacked(packing, &file_of(&Raw::new(Framing::Length, packing), &records));
            let (mut rest, mut read) = (&bytes[..], Vec::new());
            while let Some((length, behind)) = rest.split_first_chunk::<4>() {
                let (value, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
                read.push(value.to_vec());
                rest = behind;
            }
            prop_assert_eq!(&read, &values);

            let format = Raw::new(Framing::Separator(separator.clone().into()), packing);
            let mut file = format.begin().unwrap();
            let taken: Vec<&Vec<u8>> = records
                .iter()
                .zip(&values)
                .filter(|(record, _)| file.push(record).is_ok())
                .map(|(_, value)| value)
                .collect();
            let mut rest = unpacked(packing, &bytes_of(file.finish().unwrap()));
            let mut read = Vec::new();
            while let Some(at) = rest.windows(separator.len()).position(|at| at == separator) {
                read.push(rest.drain(..at).collect::<Vec<u8>>());
                rest.drain(..separator.len());
            }
            prop_assert!(rest.is_empty());
            prop_assert_eq!(read.iter().collect::<Vec<_>>(), taken);
        }
    }

    /// Bytes of strangers: a record is a line, or refused, and never two lines or none.
    #[test]
    fn any_bytes_are_one_line_or_refused(
        values in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "[\\[\\]{}:,\"\\\\ntu0-9eE.+\n\r -]{0,30}".prop_map(String::into_bytes),
                any::<String>().prop_map(|text| serde_json::to_vec_pretty(&json!({text.clone(): [text]})).unwrap()),
            ],
            0..40,
        ),
        wraps: bool,
    ) {
        let format = JsonLines::new(Packing::None);
        let format = if wraps { format.wrapped() } else { format };
        let mut file = format.begin().unwrap();
        let mut expected = Vec::new();
        for (offset, value) in (0_i64..).zip(&values) {
            let taken = file.push(&record(offset, Some(value))).is_ok();
            let parsed = serde_json::from_slice::<Value>(value);
            if let Ok(parsed) = parsed {
                prop_assert!(taken);
                expected.push(parsed);
            } else if taken {
                // A number that no double holds is JSON all the same.
                expected.push(Value::Null);
            }
        }
        let bytes = bytes_of(file.finish().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(text.lines().count(), expected.len());
        for (line, expected) in text.lines().zip(&expected) {
            if let Ok(mut read) = serde_json::from_str::<Value>(line) {
                let read = if wraps { read["value"].take() } else { read };
                prop_assert_eq!(&read, expected);
            }
        }
    }
}
