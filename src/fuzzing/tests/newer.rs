//! Every kind of record as a newer program might write it: refused with an error that says so, which
//! is another one than that of damage.

use bytes::Bytes;

use super::fixtures;
use crate::commit::log::entry::LogEntry;
use crate::commit::log::record::{BranchRecord, RepoRecord, decode};
use crate::commit::mend::restore::Checkpoint;
use crate::commit::op::queued::{Body, QueuedOp};
use crate::commit::op::verdict::{OutcomeRecord, ProducerRow};
use crate::commit::round::prepare::readable;
use crate::model::change::{check_value_version, decode_value};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::CommitId;
use crate::repo::access_keys::AccessKey;
use crate::repo::hint::Parts;
use crate::repo::multipart::Upload;
use crate::repo::protection::Rule;
use crate::repo::rules::kind::decode_rules;
use crate::repo::sinks::{Progress, Sink};
use crate::repo::write_policy::WriteRule;
use crate::tree::InlineRun;
use crate::tree::load::decode_list;
use crate::tree::range_index::Trailer;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).unwrap()
}

/// The fixture with another byte at a place.
fn with(name: &str, at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = fixture(name);
    bytes[at] = byte;
    bytes
}

#[track_caller]
fn newer<T>(result: Result<T>) {
    let Err(error) = result else { panic!("a newer version was read") };
    says_newer(&error);
}

#[track_caller]
fn says_newer(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::NewerVersion, "{error}");
    let text = error.to_string();
    assert!(text.contains("use a newer program") && text.contains("version"), "{text}");
    assert!(!error.is_damage() && !error.is_permanent() && !error.is_retryable());
}

#[test]
fn a_record_of_a_newer_version_is_refused_as_such() {
    let entry = with("log-entry-batch-v2.bin", 4, 3);
    newer(LogEntry::decode("log", &super::super::target::with_crc(&entry).unwrap()));
    newer(OutcomeRecord::decode(&with("outcome-committed-v1.bin", 0, 2)));
    newer(Checkpoint::decode(&with("checkpoint-v1.bin", 0, 2)));
    newer(RepoRecord::decode("repo", &with("repo-v1.bin", 0, 3)));
    newer(decode::<BranchRecord>("branch", &with("branch-first-v1.bin", 0, 255)));
    newer(decode::<CommitId>("tag", &with("tag-v1.bin", 0, 2)));
    newer(decode_rules::<Rule>("protection", &with("protection-v2.bin", 0, 3)));
    newer(decode_rules::<WriteRule>("write-policy", &with("write-policy-v1.bin", 0, 2)));
    newer(decode_rules::<Sink>("sinks", &with("sinks-v1.bin", 0, 2)));
    newer(decode::<Progress>("progress", &with("sink-progress-v1.bin", 0, 2)));
    newer(decode::<AccessKey>("key", &with("access-key-v1.bin", 0, 2)));
    newer(decode::<Upload>("upload", &with("upload-v1.bin", 0, 2)));
    newer(InlineRun::decode(&with("inline-run-v1.bin", 0, 2)));
    newer(decode_list(&with("range-list-v1.bin", 0, 2).into()));
    newer(decode_value(&with("value-put-v0.bin", 0, 0x11)));
    newer(check_value_version(&[0xf0]));
    let row = [&fixture("producer-row-commit-v1.bin")[..], b"v2 and more"].concat();
    newer(ProducerRow::decode(&row));
    let row = [&fixture("producer-row-no-commit-v1.bin")[..], b"v12"].concat();
    newer(ProducerRow::decode(&row));
    let range = fixture("range-v1.bin");
    newer(Trailer::read(&with("range-v1.bin", range.len() - 1, 2).into()));

    let op: Bytes = with("op-commit-inline-v1.bin", 37, 4).into();
    assert!(matches!(QueuedOp::decode(&op).unwrap().body, Body::Newer(4)));
    newer(readable(std::slice::from_ref(&op)));
    let in_front: Bytes = fixture("op-delete-branch-v1.bin").into();
    let run: Bytes = fixture("op-commit-run-v1.bin").into();
    assert_eq!(readable(&[run, op.clone(), in_front]).unwrap().len(), 1, "what stands in front");

    let hint = String::from_utf8(fixture("hint-v1.bin")).unwrap().replacen("v1.", "v2.", 1);
    let error = Parts::of(&hint).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "a hint is what somebody types");
    assert!(error.message().contains("use a newer program"), "{error}");
}

#[test]
fn version_zero_was_never_written() {
    for (name, at) in [("outcome-committed-v1.bin", 0), ("checkpoint-v1.bin", 0)] {
        let bytes = with(name, at, 0);
        let errors = [OutcomeRecord::decode(&bytes).err(), Checkpoint::decode(&bytes).err()];
        assert!(errors.into_iter().all(|error| error.unwrap().kind() == ErrorKind::Corrupt));
    }
    let kind = |result: Result<InlineRun>| result.unwrap_err().kind();
    assert_eq!(kind(InlineRun::decode(&with("inline-run-v1.bin", 0, 0))), ErrorKind::Corrupt);
    let entry = super::super::target::with_crc(&with("log-entry-batch-v2.bin", 4, 0)).unwrap();
    assert_eq!(LogEntry::decode("log", &entry).unwrap_err().kind(), ErrorKind::Corrupt);
}
