//! Every kind of stored record in the bytes that were ever written, under `tests/fixtures`: each is
//! read for ever, says what stands beside it as JSON, and is written again in the same bytes for as
//! long as its version is the one that is written.
//!
//! `ONWARD_WRITE_FIXTURES=1` writes those that are missing. One that is there is never changed: a
//! new version of a record gets new files, and the old ones stay.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::samples;
use crate::commit::log::entry::LogEntry;
use crate::commit::log::record::{BranchRecord, RepoRecord, RepoState, decode, encode};
use crate::commit::mend::restore::Checkpoint;
use crate::commit::op::queued::{Body, QueuedOp};
use crate::commit::op::verdict::{OutcomeRecord, ProducerRow};
use crate::coord::areas::Area;
use crate::model::change::{decode_value, encode_value};
use crate::model::error::Result;
use crate::model::ids::CommitId;
use crate::objects::Secret;
use crate::repo::access_keys::AccessKey;
use crate::repo::change_file::parse_line;
use crate::repo::hint;
use crate::repo::multipart::{Done, Part, Upload};
use crate::repo::protection::Rule;
use crate::repo::rules::kind::{Stored, decode_rules, encode_rules};
use crate::repo::sinks::{Progress, Sink};
use crate::repo::trust::Verdict;
use crate::repo::write_policy::WriteRule;
use crate::tree::InlineRun;
use crate::tree::load::{decode_list, encode_list};

/// What a record says, and its bytes when it is written again, where that is always the same.
type Read = Result<(Value, Option<Vec<u8>>)>;

struct Fixture {
    name: String,
    /// What the program writes today.
    today: Vec<u8>,
    read: fn(&[u8]) -> Read,
}

fn json_of(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

fn read_log_entry(bytes: &[u8]) -> Read {
    let entry = LogEntry::decode("fixture", bytes)?;
    entry.publication()?;
    let again = LogEntry::decode("fixture", &entry.encode()?)?;
    assert_eq!(again, entry);
    // Compression may change with its library; what is compressed may not.
    let body = |entry: &LogEntry| rmp_serde::to_vec_named(entry).unwrap();
    let len = u32::from_le_bytes(bytes[5..9].try_into().unwrap()) as usize;
    let stored = crate::tree::frame::decompress(&bytes[9..bytes.len() - 4], len)?;
    if bytes[4] == entry.encode()?[4] {
        assert!(body(&entry) == stored, "today's writer writes other bytes");
    }
    Ok((json_of(&entry), None))
}

fn read_op(bytes: &[u8]) -> Read {
    let op = QueuedOp::decode(bytes)?;
    let (body, again): (Value, Option<Vec<u8>>) = match &op.body {
        Body::Op(body) => {
            let mut again = body.encode(op.id)?.to_vec();
            again[36] = if op.cancelled { b'C' } else { b'P' };
            (json_of(body), Some(again))
        }
        other => (format!("{other:?}").into(), None),
    };
    Ok((json!({"id": op.id, "cancelled": op.cancelled, "op": body}), again))
}

fn read_outcome(bytes: &[u8]) -> Read {
    let record = OutcomeRecord::decode(bytes)?;
    Ok((json_of(&record), Some(record.encode()?.to_vec())))
}

fn read_checkpoint(bytes: &[u8]) -> Read {
    let checkpoint = Checkpoint::decode(bytes)?;
    Ok((json_of(&checkpoint), Some(checkpoint.encode()?.to_vec())))
}

fn read_value(bytes: &[u8]) -> Read {
    let (change, condition) = decode_value(bytes)?;
    let mut again = Vec::new();
    encode_value(&change, condition.as_ref(), &mut again);
    Ok((json!({"entry": change.entry(), "if": condition}), Some(again)))
}

fn read_row(bytes: &[u8]) -> Read {
    let row = ProducerRow::decode(bytes)?;
    Ok((json_of(&row), Some(row.encode().to_vec())))
}

fn read_record<T: serde::Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> Read {
    let record: T = decode("fixture", bytes)?;
    Ok((json_of(&record), Some(encode(&record)?.to_vec())))
}

fn read_rules<R: Stored + serde::de::DeserializeOwned>(bytes: &[u8]) -> Read {
    let rules: Vec<R> = decode_rules("fixture", bytes)?;
    let said = json_of(&rules);
    Ok((said, Some(encode_rules(rules)?.to_vec())))
}

fn read_area(bytes: &[u8]) -> Read {
    let Area { id, owner } = Area::parse(&bytes.to_vec().into())?;
    Ok((json!({"id": id, "owner": owner}), None))
}

fn read_mark(bytes: &[u8]) -> Read {
    Ok((json!({"length": bytes.len()}), Some(Vec::new())))
}

fn secret() -> Secret {
    Secret::new([7; 32], hint::PURPOSE)
}

fn read_hint(bytes: &[u8]) -> Read {
    let parts = hint::Parts::of(std::str::from_utf8(bytes).unwrap())?;
    let merge = parts.open(&secret(), &samples::repo().name, samples::UID, 0)?;
    let again = hint_of(merge.clone());
    Ok((json_of(&merge), Some(again)))
}

fn hint_of(merge: crate::commit::op::merge::PreparedMerge) -> Vec<u8> {
    let repo = samples::repo().name;
    let body = hint::Body { repo, dest: samples::UID, expires_ms: 1_795_003_600_123, merge };
    hint::seal(&rmp_serde::to_vec_named(&body).unwrap(), &secret()).into_bytes()
}

fn read_change_file(bytes: &[u8]) -> Read {
    let mut changes = Vec::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        if let Some(change) = parse_line(number, line)? {
            let entry = change.change.entry().cloned();
            changes.push(json!({"path": change.path, "entry": entry, "if": change.condition}));
        }
    }
    Ok((changes.into(), None))
}

fn read_list(bytes: &[u8]) -> Read {
    let ranges = decode_list(&bytes.to_vec().into())?;
    assert_eq!(decode_list(&encode_list(&ranges)?)?, ranges);
    Ok((json_of(&ranges.to_vec()), None))
}

fn read_inline(bytes: &[u8]) -> Read {
    let run = InlineRun::decode(bytes)?;
    let records: Vec<Value> = run
        .records()
        .iter()
        .map(|record| json!({"path": record.path, "op": record.op, "value": record.value.to_vec()}))
        .collect();
    Ok((records.into(), Some(run.encode())))
}

/// Every record as it is written today.
fn all() -> Vec<Fixture> {
    let mut all = Vec::new();
    let mut add = |name: String, today: Vec<u8>, read: fn(&[u8]) -> Read| {
        all.push(Fixture { name, today, read });
    };
    for (name, entry) in samples::log_entries() {
        let bytes = entry.encode().unwrap().to_vec();
        if bytes[4] == 1 {
            add(format!("log-entry-{name}-v1"), bytes.clone(), read_log_entry);
        }
        // Written as version 2 for a while, whatever it has.
        let mut second = bytes[..bytes.len() - 4].to_vec();
        second[4] = 2;
        let crc = crc32c::crc32c(&second).to_le_bytes();
        add(format!("log-entry-{name}-v2"), [second, crc.to_vec()].concat(), read_log_entry);
    }
    for (name, op) in samples::ops() {
        let element = op.encode(samples::op_id(1)).unwrap();
        let version = element[37];
        add(format!("op-{name}-v{version}"), element.to_vec(), read_op);
        if name == "commit-sealed" {
            let mut cancelled = element.to_vec();
            cancelled[36] = b'C';
            add("op-cancelled-v1".into(), cancelled, read_op);
        }
    }
    add("op-stand-in-v2".into(), QueuedOp::stand_in(b"nothing known").to_vec(), read_op);
    for (name, outcome) in samples::outcomes() {
        add(format!("outcome-{name}-v1"), outcome.encode().unwrap().to_vec(), read_outcome);
    }
    let checkpoint = samples::checkpoint();
    add("checkpoint-v1".into(), checkpoint.encode().unwrap().to_vec(), read_checkpoint);
    let used = samples::checkpoint_used();
    add("checkpoint-used-v1".into(), used.encode().unwrap().to_vec(), read_checkpoint);
    for (name, change, condition) in samples::values() {
        let mut value = Vec::new();
        encode_value(&change, condition.as_ref(), &mut value);
        add(format!("value-{name}-v0"), value, read_value);
    }
    for (name, committed) in [("commit", true), ("no-commit", false)] {
        let row = samples::producer_row(committed).encode();
        add(format!("producer-row-{name}-v1"), row.to_vec(), read_row);
        let branch = encode(&samples::branch(committed)).unwrap();
        let name = if committed { "later" } else { "first" };
        add(format!("branch-{name}-v1"), branch.to_vec(), read_record::<BranchRecord>);
        let owner = if committed { samples::op_id(2).to_string() } else { " ".repeat(36) };
        let area = format!("{}{owner}", samples::op_id(1)).into_bytes();
        add(
            format!("sealed-area-{}-v1", if committed { "owned" } else { "free" }),
            area,
            read_area,
        );
    }
    for (name, state) in [("repo-v1", RepoState::Live), ("repo-v2", RepoState::Removing)] {
        let repo = RepoRecord { state, ..samples::repo() }.encode().unwrap();
        add(name.into(), repo.to_vec(), |bytes| {
            let record = RepoRecord::decode("fixture", bytes)?;
            Ok((json_of(&record), Some(record.encode()?.to_vec())))
        });
    }
    let storage = encode(&samples::storage()).unwrap();
    add("storage-v1".into(), storage.to_vec(), read_record::<Verdict>);
    add("branch-deleted-v1".into(), Vec::new(), read_mark);
    let tag = encode(&samples::commit_id(6)).unwrap();
    add("tag-v1".into(), tag.to_vec(), read_record::<CommitId>);
    let protection = encode_rules(samples::rules()).unwrap();
    add("protection-v1".into(), protection.to_vec(), read_rules::<Rule>);
    let checked = encode_rules(samples::checked_rules()).unwrap();
    add("protection-v2".into(), checked.to_vec(), read_rules::<Rule>);
    let policy = encode_rules(samples::write_policy()).unwrap();
    add("write-policy-v1".into(), policy.to_vec(), read_rules::<WriteRule>);
    let sinks = encode_rules(samples::sinks()).unwrap();
    add("sinks-v1".into(), sinks.to_vec(), read_rules::<Sink>);
    let progress = encode(&samples::sink_progress()).unwrap();
    add("sink-progress-v1".into(), progress.to_vec(), read_record::<Progress>);
    let left_out = encode(&samples::sink_progress_with_some_left_out()).unwrap();
    add("sink-progress-left-out-v1".into(), left_out.to_vec(), read_record::<Progress>);
    for (name, sealed) in [("access-key-v1", false), ("access-key-sealed-v1", true)] {
        let key = encode(&samples::access_key(sealed)).unwrap();
        add(name.into(), key.to_vec(), read_record::<AccessKey>);
    }
    let upload = encode(&samples::upload()).unwrap();
    add("upload-v1".into(), upload.to_vec(), read_record::<Upload>);
    let part = encode(&samples::upload_part()).unwrap();
    add("upload-part-v1".into(), part.to_vec(), read_record::<Part>);
    let done = encode(&samples::upload_done()).unwrap();
    add("upload-done-v1".into(), done.to_vec(), read_record::<Done>);
    add("hint-v1".into(), hint_of(samples::hinted()), read_hint);
    add("change-file-v1".into(), samples::CHANGE_FILE.as_bytes().to_vec(), read_change_file);
    let list = encode_list(&samples::range_list()).unwrap();
    add("range-list-v1".into(), list.to_vec(), read_list);
    add("inline-run-small-v1".into(), samples::inline_run().encode(), read_inline);
    all
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The stored bytes; written first where they are missing and that is asked for.
fn stored(path: &Path, today: &[u8]) -> Vec<u8> {
    if !path.exists() && std::env::var_os("ONWARD_WRITE_FIXTURES").is_some() {
        std::fs::write(path, today).unwrap();
    }
    std::fs::read(path).unwrap_or_else(|error| {
        panic!("{} ({error}): ONWARD_WRITE_FIXTURES=1 writes what is missing", path.display())
    })
}

/// Whether `now` says all that `then` said. Fields that came later may be there.
fn says(now: &Value, then: &Value) -> bool {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            then.iter().all(|(key, then)| now.get(key).is_some_and(|now| says(now, then)))
        }
        (Value::Array(now), Value::Array(then)) => {
            now.len() == then.len() && now.iter().zip(then).all(|(now, then)| says(now, then))
        }
        _ => now == then,
    }
}

#[test]
fn every_record_that_was_ever_written_is_read_and_written_for_ever() {
    for Fixture { name, today, read } in all() {
        let (said_today, _) = read(&today).unwrap();
        let bytes = stored(&folder().join(format!("{name}.bin")), &today);
        let text = format!("{:#}\n", said_today);
        let then = stored(&folder().join(format!("{name}.json")), text.as_bytes());
        let (now, again) = read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let then: Value = serde_json::from_slice(&then).unwrap();
        assert!(says(&now, &then), "{name}: it was {then:#}, it is read as {now:#}");
        if let Some(again) = again {
            assert!(again == bytes, "{name}: today's writer writes other bytes");
        }
    }
}

/// Records of versions that are no longer written would be here: their files stay.
#[test]
fn every_stored_record_is_read_by_a_test() {
    let mut known: BTreeSet<String> = all().into_iter().map(|fixture| fixture.name).collect();
    // Read by tests of the tree.
    known.extend(["range-v1".to_owned(), "inline-run-v1".to_owned()]);
    for file in std::fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_record = path.extension().is_some_and(|extension| extension == "bin");
        assert!(!is_record || known.contains(&name), "nothing reads {}", path.display());
    }
}
