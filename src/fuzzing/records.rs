//! Targets: log entries, ops, outcomes, checkpoints, records of names, rows, hints, change files.

use super::target::{Target, read, target, with_crc};
use crate::commit::log::entry::LogEntry;
use crate::commit::log::head::Head;
use crate::commit::log::record::{BranchRecord, RepoRecord, decode};
use crate::commit::mend::restore::Checkpoint;
use crate::commit::op::merge::PreparedMerge;
use crate::commit::op::queued::{Body, QueuedOp};
use crate::commit::op::verdict::{OutcomeRecord, ProducerRow};
use crate::commit::round::prepare::readable;
use crate::model::change::decode_value;
use crate::model::codec::unpack;
use crate::model::ids::{BranchUid, CommitId, OpId};
use crate::objects::Secret;
use crate::repo::access_keys::AccessKey;
use crate::repo::change_file::parse_line;
use crate::repo::hint::{self, Body as HintBody, Parts, seal};
use crate::repo::multipart::{Done, Part, Upload};
use crate::repo::protection::Action;
use crate::repo::protection::rules::Rules;
use crate::repo::rules::kind::decode_rules;
use crate::repo::sinks::definition::Branches;
use crate::repo::sinks::{Progress, Sink};
use crate::repo::write_policy::rules::WriteRules;
use crate::tree::InlineRun;
use crate::tree::frame::decompress;

pub(super) const TARGETS: &[Target] = &[
    target("log-entry", "log-entry-", log_entry),
    Target { unwrap: log_body_of, ..target("log-body", "log-entry-", log_body) },
    target("op", "op-", op),
    target("outcome", "outcome-", outcome),
    target("checkpoint", "checkpoint-", checkpoint),
    target("producer-row", "producer-row-", producer_row),
    target("repo", "repo-", repo),
    target("branch", "branch-", branch),
    target("tag", "tag-", tag),
    target("protection", "protection-", protection),
    target("write-policy", "write-policy-", write_policy),
    target("sinks", "sinks-", sinks),
    target("sink-progress", "sink-progress-", sink_progress),
    target("access-key", "access-key-", access_key),
    target("upload", "upload-", upload),
    target("hint", "hint-", read_hint),
    Target { unwrap: hint_body_of, ..target("hint-body", "hint-", hint_body) },
    target("change-file", "change-file-", change_file),
];

fn key() -> Secret {
    Secret::new([7; 32], hint::PURPOSE)
}

fn log_entry(bytes: &[u8]) {
    for bytes in [Some(bytes.to_vec()), with_crc(bytes)].into_iter().flatten() {
        if let Some(entry) = read(LogEntry::decode("log", &bytes)) {
            use_entry(&entry);
        }
    }
}

/// What a log entry says, without what protects it.
fn log_body_of(bytes: &[u8]) -> Vec<u8> {
    let len = u32::from_le_bytes(bytes[5..9].try_into().unwrap());
    decompress(&bytes[9..bytes.len() - 4], len as usize).unwrap()
}

fn log_body(body: &[u8]) {
    let packed = zstd::bulk::compress(body, 1).unwrap();
    let len = (body.len() as u32).to_le_bytes();
    let bytes = [&b"ONWL\x02"[..], &len, &packed, &[0; 4]].concat();
    if let Some(entry) = read(LogEntry::decode("log", &with_crc(&bytes).unwrap())) {
        use_entry(&entry);
    }
}

/// What a program asks of an entry that it has read.
fn use_entry(entry: &LogEntry) {
    let last = entry.len() as usize - 1;
    for index in [0, last / 2, last] {
        entry.metarange(index as u16).id();
        if let Some(Some(id)) = read(entry.commit_id(index)) {
            entry.commit(&id).unwrap();
        }
    }
    read(Head::after(entry));
    read(entry.last_commit());
    if let Some(batch) = read(entry.publication()) {
        assert_eq!(batch.outcomes.len() as u64, entry.len());
        for (_, record) in &batch.outcomes {
            OutcomeRecord::decode(record).unwrap();
        }
    }
    // What was read from an encoding that is shorter than ours may be too long for ours.
    if let Ok(bytes) = entry.encode() {
        assert_eq!(LogEntry::decode("log", &bytes).unwrap(), *entry);
    }
    let mut checkpoint = Checkpoint { done: entry.first.0 - 1, ..Checkpoint::default() };
    read(checkpoint.follow(entry));
}

fn op(element: &[u8]) {
    // In its place in a queue, as a round reads it.
    read(readable(&[element.to_vec().into()]));
    let stand_in = QueuedOp::stand_in(element);
    let stands_in = QueuedOp::decode(&stand_in).unwrap();
    assert!(matches!(stands_in.body, Body::Damaged(_)) && QueuedOp::id_of(&stand_in).is_some());
    let Some(queued) = read(QueuedOp::decode(element)) else {
        assert_eq!(QueuedOp::id_of(element), None, "what has an id gets an outcome of its own");
        return;
    };
    match queued.body {
        Body::Op(op) => {
            if let Ok(again) = op.encode(queued.id) {
                let Body::Op(again) = QueuedOp::decode(&again).unwrap().body else { panic!() };
                assert_eq!(again, op);
            }
            op.prepared_ms();
            op.request.kind();
            let changes = read(op.named()).and_then(|named| named.inline).unwrap_or_default();
            read_changes(&changes);
        }
        Body::Damaged(reason) => {
            assert!(!reason.is_empty() && reason.len() < super::target::MESSAGE_MAX)
        }
        Body::Newer(version) => assert!(version > crate::commit::op::queued::VERSION),
    }
}

fn read_changes(changes: &InlineRun) {
    for record in changes.records() {
        read(decode_value(&record.value));
    }
}

fn outcome(bytes: &[u8]) {
    if let Some(record) = read(OutcomeRecord::decode(bytes)) {
        let again = OutcomeRecord::decode(&record.encode().unwrap()).unwrap();
        assert_eq!(again, record);
    }
}

fn checkpoint(bytes: &[u8]) {
    if let Some(checkpoint) = read(Checkpoint::decode(bytes)) {
        let again = Checkpoint::decode(&checkpoint.encode().unwrap()).unwrap();
        assert_eq!(again, checkpoint);
        for (_, _, record) in &checkpoint.outcomes {
            outcome(record);
        }
    }
}

fn producer_row(bytes: &[u8]) {
    if let Some(row) = read(ProducerRow::decode(bytes)) {
        assert_eq!(ProducerRow::decode(&row.encode()).unwrap(), row);
    }
}

fn repo(bytes: &[u8]) {
    read(RepoRecord::decode("repo", bytes));
}

fn branch(bytes: &[u8]) {
    read(decode::<BranchRecord>("branch", bytes));
}

fn tag(bytes: &[u8]) {
    read(decode::<CommitId>("tag", bytes));
}

fn protection(bytes: &[u8]) {
    if let Some(rules) = read(decode_rules("protection", bytes)).and_then(|r| read(Rules::of(r))) {
        for name in ["main", &"a".repeat(255)] {
            rules.blocking(name, Action::Commit);
        }
    }
}

fn write_policy(bytes: &[u8]) {
    let rules = read(decode_rules("write-policy", bytes)).and_then(|r| read(WriteRules::of(r)));
    if let Some(rules) = rules {
        for name in ["main", &"a".repeat(255)] {
            rules.of_path(name, "tables/a");
        }
    }
}

fn sinks(bytes: &[u8]) {
    for sink in read(decode_rules::<Sink>("sinks", bytes)).into_iter().flatten() {
        if let Some(branches) = read(Branches::of(&sink)) {
            branches.has(&"a".repeat(255));
        }
    }
}

fn sink_progress(bytes: &[u8]) {
    if let Some(progress) = read(decode::<Progress>("progress", bytes)) {
        progress.failing_since_ms();
    }
}

/// The records of an upload in parts, each of which may be met in the place of another.
fn upload(bytes: &[u8]) {
    read(decode::<Upload>("upload", bytes));
    read(decode::<Part>("part", bytes));
    read(decode::<Done>("done", bytes));
}

fn access_key(bytes: &[u8]) {
    read(decode::<AccessKey>("key", bytes));
}

fn open(hint: &str) -> Option<PreparedMerge> {
    let repo = "lake".parse().unwrap();
    read(Parts::of(hint).and_then(|parts| parts.open(&key(), &repo, BranchUid(1), 0)))
}

fn read_hint(bytes: &[u8]) {
    open(&String::from_utf8_lossy(bytes));
}

/// What a hint says, without its signature.
fn hint_body_of(hint: &[u8]) -> Vec<u8> {
    Parts::of(std::str::from_utf8(hint).unwrap()).unwrap().body
}

fn hint_body(body: &[u8]) {
    // Signed as it is; then for the very branch that it is tried on.
    open(&seal(body, &key()));
    let Ok(said) = unpack::<HintBody>(body) else { return };
    let here = HintBody {
        repo: "lake".parse().unwrap(),
        dest: BranchUid(1),
        expires_ms: i64::MAX,
        merge: said.merge,
    };
    let sealed = seal(&rmp_serde::to_vec_named(&here).unwrap(), &key());
    if let Some(merge) = open(&sealed) {
        assert_eq!(merge, here.merge);
        read(InlineRun::decode(merge.plan.records()));
    }
    OpId::of_bytes(body);
}

fn change_file(bytes: &[u8]) {
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        if let Some(Some(change)) = read(parse_line(number, line)) {
            let mut value = Vec::new();
            let condition = change.condition.as_ref();
            crate::model::change::encode_value(&change.change, condition, &mut value);
            decode_value(&value).unwrap();
        }
    }
}
