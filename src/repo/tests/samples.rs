//! One value of every kind of stored record, and of every form a kind has: always the same values.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_bytes::ByteBuf;

use crate::commit::log::entry::{DecidedOp, LogEntry, ResetTo};
use crate::commit::log::levels::SpanLevel;
use crate::commit::log::record::{BranchRecord, RepoRecord, RepoState};
use crate::commit::mend::restore::Checkpoint;
use crate::commit::op::merge::{MergeKind, MergePlan, MergeRequest, PreparedMerge, Survivors};
use crate::commit::op::request::{Changes, CommitRequest, FoldRequest, Op, Request};
use crate::commit::op::verdict::{OutcomeRecord, ProducerRow, Verdict};
use crate::model::change::{Change, Condition};
use crate::model::commit::Commit;
use crate::model::conflict::{ConflictPath, Retry, Strategy};
use crate::model::entry::Entry;
use crate::model::ids::{
    BranchUid, CommitId, Fingerprint, MetarangeId, OpId, RangeId, RunId, Ticket,
};
use crate::model::producer::{Producer, Standing};
use crate::repo::access_keys::{AccessKey, Role};
use crate::repo::multipart::{Done, Part, Upload};
use crate::repo::protection::{Action, Check, OnFailure, Rule};
use crate::repo::sinks::progress::Finished;
use crate::repo::sinks::{Dead, EventKind, Followed, LeftOut, Progress, Sink, Target};
use crate::repo::trust;
use crate::repo::write_policy::{WriteRule, Written};
use crate::tree::{
    ALL, FoldedAt, InlineAddress, InlineRun, Level, RangeRef, Record, RunPlace, RunRef,
};

pub(super) const UID: BranchUid = BranchUid(0x0123_4567_89ab_cdef);
const CREATED_MS: i64 = 1_795_000_000_123;

pub(super) fn op_id(number: u64) -> OpId {
    OpId::of_producer("fixture", 1, number)
}

pub(super) fn commit_id(number: u8) -> CommitId {
    CommitId::new([number; 16], UID, Ticket(u64::from(number) + 1), 3).unwrap()
}

fn metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("größe".into(), "3".into()), ("topic".into(), "orders".into())])
}

pub(super) fn entry(number: u64) -> Entry {
    Entry {
        address: format!("s3://lake/{number}.parquet"),
        checksum: format!("etag-{number}"),
        size: number * 1000,
        mtime: -5 + number as i64,
        content_type: number.is_multiple_of(2).then(|| "text/csv".into()),
        metadata: if number == 2 { metadata() } else { BTreeMap::new() },
    }
}

pub(super) fn inline_run() -> InlineRun {
    let path = |text: &str| text.parse().unwrap();
    InlineRun::from_records(vec![
        Record::new(0, path("orders/1.parquet"), &Change::Put(entry(1))),
        Record::new(1, path("orders/1.parquet"), &Change::Delete),
        Record::new(1, path("orders/größe"), &Change::Put(entry(2))),
    ])
    .unwrap()
}

pub(super) fn range_ref(number: u8) -> RangeRef {
    RangeRef {
        id: RangeId([number; 16]),
        first: format!("{number:03}/a").parse().unwrap(),
        last: format!("{number:03}/é").parse().unwrap(),
        records: 1000,
        deletes: 10,
        bytes: 99_999,
        conditions: number.is_multiple_of(2),
        settled: number.is_multiple_of(3),
    }
}

fn run(place: RunPlace) -> RunRef {
    let id = RunId([0xab; 16]);
    RunRef { id, records: 3000, deletes: 10, bytes: 123_456, conditions: true, place }
}

fn run_of_ranges() -> RunRef {
    run(RunPlace::Ranges(vec![range_ref(1), range_ref(2)]))
}

fn stored_run() -> RunRef {
    let (first, last) = ("001/a".parse().unwrap(), "200/é".parse().unwrap());
    run(RunPlace::Stored { first, last })
}

fn inline_place(segment: u16) -> RunRef {
    inline_run().run_ref(InlineAddress { uid: UID, first: Ticket(7), segment })
}

fn prepared(kind: MergeKind, plan: MergePlan) -> PreparedMerge {
    PreparedMerge {
        kind,
        base: Some(commit_id(1)),
        source: Some(commit_id(2)),
        strategy: Strategy::DestWins,
        against: Some(commit_id(3)),
        prepared_ms: CREATED_MS - 5,
        plan,
    }
}

fn few() -> MergePlan {
    MergePlan::Changes(ByteBuf::from(inline_run().encode()))
}

fn many() -> MergePlan {
    MergePlan::Survivors(Survivors {
        run: Some(run_of_ranges()),
        records: ByteBuf::from(InlineRun::default().encode()),
        span: Some(("001/a".parse().unwrap(), "002/é".parse().unwrap())),
        changes: 3001,
        surviving: 3000,
    })
}

pub(super) fn hinted() -> PreparedMerge {
    prepared(MergeKind::Merge, many())
}

fn op(producers: usize, request: Request) -> Op {
    let producer = |n| Producer { name: format!("orders-{n}"), epoch: 3, sequence: u64::MAX };
    Op {
        committer: "jane@example.org".into(),
        created_ms: CREATED_MS,
        prepared_ms: None,
        producers: (0..producers).map(producer).collect(),
        fingerprint: None,
        request,
    }
}

fn commit_request(changes: Changes, base: Option<CommitId>) -> Request {
    Request::Commit(CommitRequest {
        message: "hourly load\nof orders".into(),
        metadata: metadata(),
        changes,
        base,
        strategy: Strategy::SourceWins,
        allow_empty: base.is_some(),
        date_ms: None,
        staging_lost: false,
    })
}

fn merge_request(kind: MergeKind, plan: MergePlan) -> Request {
    Request::Merge(MergeRequest {
        message: "merge".into(),
        metadata: metadata(),
        allow_empty: true,
        retry: Retry::Client,
        merge: prepared(kind, plan),
    })
}

/// What tells a request from others under the same key.
const FINGERPRINT: Option<Fingerprint> = Some(Fingerprint([11; 16]));

fn keyed(op: Op) -> Op {
    Op { fingerprint: FINGERPRINT, ..op }
}

/// An op of each kind.
pub(super) fn ops() -> Vec<(&'static str, Op)> {
    let inline = Changes::Inline(inline_run().encode().into());
    let last = Producer::new("orders-1", 1, u64::MAX);
    let fold = FoldRequest {
        levels: vec![(RunId([1; 16]), 5), (RunId([2; 16]), ALL)],
        bottom: true,
        with: stored_run(),
    };
    vec![
        ("commit-inline", op(1, commit_request(inline.clone(), Some(commit_id(1))))),
        ("commit-producers", op(3, commit_request(inline, Some(commit_id(1))))),
        ("commit-run", op(0, commit_request(Changes::Run(run_of_ranges()), None))),
        ("commit-sealed", op(0, commit_request(Changes::Sealed, None))),
        ("commit-keyed", keyed(op(0, commit_request(Changes::Sealed, None)))),
        ("delete-branch", op(0, Request::DeleteBranch)),
        ("fold", op(0, Request::Fold(fold))),
        ("merge-few", op(0, merge_request(MergeKind::Merge, few()))),
        ("merge-many", op(0, merge_request(MergeKind::Squash, many()))),
        ("revert", op(0, merge_request(MergeKind::Revert, few()))),
        ("cherry-pick", op(0, merge_request(MergeKind::CherryPick, few()))),
        ("reset", op(0, Request::Reset(commit_id(4)))),
        ("forget", op(0, Request::Forget(vec![Producer::new("orders-0", 3, 7), last]))),
    ]
}

fn verdicts() -> Vec<(&'static str, Verdict)> {
    let conflict = ConflictPath {
        path: "orders/1.parquet".parse().unwrap(),
        base: Some(entry(1)),
        source: Some(entry(2)),
        dest: None,
    };
    let reason = || "why".to_owned();
    vec![
        ("committed", Verdict::Committed),
        ("no-changes", Verdict::NoChanges),
        ("conflict", Verdict::Conflict { paths: vec![conflict], total: 9 }),
        ("lost-race", Verdict::LostRace(Some(Box::new(prepared(MergeKind::Merge, few()))))),
        ("failed", Verdict::Failed { reason: reason() }),
        ("cancelled", Verdict::Cancelled),
        (
            "fenced",
            Verdict::Fenced { reason: reason(), earlier: Some(commit_id(5)), standing: None },
        ),
    ]
}

/// An outcome of each kind.
pub(super) fn outcomes() -> Vec<(&'static str, OutcomeRecord)> {
    let record = |verdict: Verdict| OutcomeRecord {
        commit: (verdict == Verdict::Committed).then(|| commit_id(6)),
        verdict: verdict.brief(),
        first: Ticket(7),
        batch: 1024,
        fingerprint: None,
    };
    let asked = Producer::new("orders-0", 3, 7);
    let standing = Some(Standing { asked, epoch: 3, sequence: 9 });
    let behind = Verdict::Fenced { reason: "why".into(), earlier: None, standing };
    let all = verdicts().into_iter().chain([("behind", behind)]);
    let keyed = OutcomeRecord { fingerprint: FINGERPRINT, ..record(Verdict::Committed) };
    all.map(|(name, verdict)| (name, record(verdict))).chain([("keyed", keyed)]).collect()
}

fn commit(number: u64, parents: Vec<CommitId>) -> Commit {
    Commit {
        op_id: op_id(number),
        parents,
        generation: 12,
        committer: "jane@example.org".into(),
        message: "hourly load".into(),
        created_ms: CREATED_MS,
        metadata: metadata(),
        metarange: MetarangeId([9; 16]),
    }
}

fn decided(number: u64, verdict: Verdict, commit: Option<Commit>) -> DecidedOp {
    let op_id = op_id(number);
    let id = None.into();
    DecidedOp { op_id, verdict, commit, areas: None, reset: None, fingerprint: None, id }
}

fn span(run: RunRef, from: u16, until: u16, written: bool) -> SpanLevel {
    SpanLevel { level: Level::all(Arc::new(run)), from, until, written, whole: false }
}

fn log_entry(ops: Vec<DecidedOp>, levels: Vec<SpanLevel>) -> LogEntry {
    LogEntry {
        uid: UID,
        first: Ticket(7),
        sequence: 2,
        before: Some(Ticket(5)),
        parent: Some(commit_id(6)),
        parent_generation: 11,
        ops,
        levels,
        runs: vec![Arc::new(inline_run())],
        producers: BTreeMap::new(),
        forgotten: BTreeSet::new(),
        closes: false,
    }
}

/// Log entries with all that one can hold.
pub(super) fn log_entries() -> Vec<(&'static str, LogEntry)> {
    let bottom = || span(stored_run(), 0, ALL, false);
    let mut batch: Vec<DecidedOp> = verdicts()
        .into_iter()
        .zip(1..)
        .map(|((_, verdict), number)| {
            let committed = verdict == Verdict::Committed;
            decided(number, verdict, committed.then(|| commit(number, vec![commit_id(6)])))
        })
        .collect();
    batch[0].areas = Some(vec![op_id(1), op_id(90)]);
    let mut batch = log_entry(batch, vec![span(inline_place(0), 0, ALL, true), bottom()]);
    batch.producers.insert("orders-0".into(), producer_row(true));
    batch.producers.insert("orders-1".into(), producer_row(false));

    let parents = vec![commit_id(6), commit_id(2)];
    let merged = decided(1, Verdict::Committed, Some(commit(1, parents)));
    let mut large = span(run_of_ranges(), 0, ALL, true);
    large.whole = true;
    let merge = log_entry(vec![merged], vec![large, bottom()]);

    let mut folded = span(run_of_ranges(), 1, ALL, false);
    folded.level.folded_at = Some(FoldedAt { uid: UID, first: Ticket(7) });
    let replaced = span(inline_place(0), 0, 1, false);
    let ops = vec![
        decided(1, Verdict::Committed, Some(commit(1, vec![commit_id(6)]))),
        decided(2, Verdict::Committed, None),
    ];
    let fold = log_entry(ops, vec![folded, replaced]);

    let mut reset = log_entry(vec![decided(1, Verdict::Committed, None)], vec![bottom()]);
    reset.ops[0].reset = Some(ResetTo { commit: commit_id(4), generation: 4 });
    let mut keyed = log_entry(vec![decided(1, Verdict::NoChanges, None)], vec![bottom()]);
    keyed.ops[0].fingerprint = FINGERPRINT;
    let mut end = log_entry(vec![decided(1, Verdict::Committed, None)], vec![bottom()]);
    end.closes = true;
    let mut forget = log_entry(vec![decided(1, Verdict::Committed, None)], vec![bottom()]);
    forget.forgotten.extend(["orders-0".to_owned(), "orders-1".to_owned()]);
    let first = LogEntry {
        first: Ticket(1),
        sequence: 0,
        before: None,
        parent: None,
        parent_generation: 0,
        runs: Vec::new(),
        ..log_entry(vec![decided(1, Verdict::Committed, Some(commit(1, Vec::new())))], Vec::new())
    };
    vec![
        ("first", first),
        ("batch", batch),
        ("merge", merge),
        ("fold", fold),
        ("reset", reset),
        ("end", end),
        ("keyed", keyed),
        ("forget", forget),
    ]
}

pub(super) fn producer_row(committed: bool) -> ProducerRow {
    let commit = committed.then(|| commit_id(6));
    ProducerRow { epoch: 3, sequence: u64::MAX, commit, used: None }
}

/// A checkpoint of a program that forgets producers.
pub(super) fn checkpoint_used() -> Checkpoint {
    let mut checkpoint = checkpoint();
    let row = ProducerRow { used: Some(Ticket(5)), ..producer_row(false) };
    checkpoint.producers.insert("orders-1".to_owned(), row);
    checkpoint
}

pub(super) fn checkpoint() -> Checkpoint {
    let record = outcomes().remove(0).1.encode().unwrap();
    let outcome = |n: u64| (Ticket(n), op_id(n), ByteBuf::from(record.to_vec()));
    Checkpoint {
        done: 13,
        commit: Some(commit_id(6)),
        position: 7,
        closed: true,
        producers: BTreeMap::from([("orders-0".to_owned(), producer_row(true))]),
        outcomes: VecDeque::from([outcome(12), outcome(13)]),
    }
}

pub(super) fn values() -> Vec<(&'static str, Change, Option<Condition>)> {
    vec![
        ("put", Change::Put(entry(2)), None),
        ("put-if-absent", Change::Put(entry(1)), Some(Condition::Absent)),
        ("delete-if-checksum", Change::Delete, Some(Condition::Checksum("etag-1".into()))),
        ("delete", Change::Delete, None),
    ]
}

pub(super) fn repo() -> RepoRecord {
    RepoRecord {
        name: "lake".parse().unwrap(),
        default_branch: "main".parse().unwrap(),
        created_ms: CREATED_MS,
        state: RepoState::Live,
    }
}

pub(super) fn storage() -> trust::Verdict {
    trust::Verdict {
        good: true,
        found: "of 32 writers of one object one is let through".into(),
        version: "0.1.0".into(),
        found_ms: CREATED_MS,
    }
}

pub(super) fn branch(start: bool) -> BranchRecord {
    BranchRecord {
        hidden: false,
        name: "tx-1".parse().unwrap(),
        incarnation: 3,
        uid: UID,
        start: start.then(|| commit_id(6)),
        created_ms: CREATED_MS,
    }
}

pub(super) fn rules() -> Vec<Rule> {
    vec![Rule::new("main"), Rule::new("release-*").only([Action::Delete, Action::Reset])]
}

pub(super) fn checked_rules() -> Vec<Rule> {
    let check = Check {
        url: "https://checks.example.org/onward".into(),
        secret: "1.c2VhbGVk".into(),
        timeout_ms: 5000,
        on_failure: OnFailure::Accept,
    };
    vec![Rule::new("main").only([]).checked_by(check), Rule::new("release-*")]
}

pub(super) fn sinks() -> Vec<Sink> {
    let webhook = Sink {
        id: "audit".into(),
        uid: "0123456789abcdef".into(),
        branches: vec!["main".into(), "release-*".into()],
        kinds: [EventKind::Commit, EventKind::Merge].into(),
        target: Target::Webhook {
            url: "https://hooks.example.org/onward?token=x".into(),
            secrets: vec!["1.c2VhbGVk".into(), "1.b2xk".into()],
        },
        created_ms: CREATED_MS,
        timeout_ms: 10_000,
        give_up_ms: 259_200_000,
        revision: 3,
    };
    let target = Target::Stream {
        redis: Some("1.c2VhbGVk".into()),
        shown: Some("redis://events.example.org/0".into()),
        key: Some("lake-events".into()),
        length_max: 100_000,
    };
    let stream =
        Sink { id: "stream".into(), kinds: EventKind::ALL.into(), target, ..webhook.clone() };
    vec![webhook, stream]
}

pub(super) fn sink_progress() -> Progress {
    let followed = Followed {
        name: "main".parse().unwrap(),
        incarnation: 2,
        uid: UID,
        start: Some(commit_id(1)),
        created_ms: CREATED_MS,
        entry: Ticket(40),
        next: Ticket(42),
        announced: true,
        over: true,
        failing_since_ms: Some(CREATED_MS + 1),
    };
    let (name, recorded_ms) = ("tx-1".parse().unwrap(), CREATED_MS + 2);
    Progress {
        epoch: 7,
        surveyed_ms: CREATED_MS + 3,
        followed: vec![followed],
        finished: vec![Finished { name, incarnation: 1, recorded_ms }],
        delivered: 123,
        blocked_since_ms: None,
        trouble: Some("it answered 500 Internal Server Error".into()),
        dead: Some(Dead { at_ms: CREATED_MS + 4, reason: "it answered 410 Gone".into() }),
        left_out: Vec::new(),
    }
}

pub(super) fn sink_progress_with_some_left_out() -> Progress {
    let left = |name: &str, from| {
        let name = name.parse().unwrap();
        LeftOut { name, incarnation: 3, from }
    };
    let left_out = vec![left("dev", None), left("main", Some((UID, Ticket(42))))];
    Progress { left_out, ..sink_progress() }
}

pub(super) fn write_policy() -> Vec<WriteRule> {
    vec![
        WriteRule::new("main", Written::Committed),
        WriteRule::new("tx-*", Written::Staged).below("größe/"),
    ]
}

/// As older programs made them, and as they are made today.
pub(super) fn access_key(sealed: bool) -> AccessKey {
    AccessKey {
        id: "ONWARD0123456789ABCDEF".into(),
        name: "étl".into(),
        role: Role::Write,
        created_ms: CREATED_MS,
        rotated_ms: CREATED_MS + 1,
        hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into(),
        sealed: sealed.then(|| "1.c2VhbGVk".into()),
    }
}

pub(super) const CHANGE_FILE: &str = r#"{"put": {"path": "größe/a", "address": "s3://b/x", "checksum": "c", "size": 3, "mtime": -1, "content_type": "text/csv", "metadata": {"k": "v"}}, "if": {"absent": true}}
{"delete": {"path": "b"}, "if": {"checksum": "c"}}

{"put": {"path": "c", "address": "s3://b/y", "checksum": "d", "size": 18446744073709551615}}
"#;

pub(super) fn upload() -> Upload {
    Upload {
        branch: "main".parse().unwrap(),
        path: "größe/a".parse().unwrap(),
        content_type: Some("text/csv".into()),
        metadata: metadata(),
        checksum: Some("crc64nvme:FULL_OBJECT".into()),
        created_ms: CREATED_MS,
    }
}

pub(super) fn upload_part() -> Part {
    Part {
        address: "s3://lake/lake/data/05/05000000000000000000000000000000".into(),
        size: 5 << 20,
        md5: "d41d8cd98f00b204e9800998ecf8427e".into(),
        sum: Some("rosUhgp5mIg=".into()),
        written_ms: CREATED_MS,
    }
}

pub(super) fn upload_done() -> Done {
    let Upload { branch, path, .. } = upload();
    Done { branch, path, entry: Some(entry(2)), is_stored: true }
}

/// A list of ranges that is too long to travel.
pub(super) fn range_list() -> Vec<RangeRef> {
    (0..20).map(range_ref).collect()
}
