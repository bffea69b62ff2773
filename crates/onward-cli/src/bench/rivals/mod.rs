//! The ways to commit that Onward is compared with: on the same Redis, tree and storage, with the
//! same code for building and storing a commit. They differ in how a head is moved.
//!
//! * *optimistic*: read the head, build, compare-and-swap, start over with a jittered back-off if
//!   somebody was faster. What lakeFS, Iceberg and Delta do.
//! * *bag*: a pending set; every committer builds all that is pending and tries to swap the head,
//!   until its own commit is in. Lock-free: some committer makes progress.
//! * *lock*: a lock on the branch with an expiry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onward::Strategy as OnConflict;
use onward::internals::clock;
use onward::internals::commit::log::format::Encoded;
use onward::internals::commit::log::head::Head;
use onward::internals::commit::log::lake::Lake;
use onward::internals::commit::op::request::{Changes, CommitRequest, Op, Request};
use onward::internals::commit::round::build::build;
use onward::internals::commit::round::judge::judge;
use onward::internals::commit::round::situation::{Prepared, Situation, Work};
use onward::internals::coord::Lanes;
use onward::internals::model::ids::{BranchUid, CommitId, OpId};
use onward::internals::tree::{ChangeSet, InlineRun, Record};
use onward::{Error, Onward, Result};
use redis::{Cmd, Value};
use serde_bytes::ByteBuf;

use super::sample::Made;

mod bag;
mod lock;
mod optimistic;

/// How a rival moves the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Optimistic,
    Bag,
    Lock,
}

/// A branch that is moved in one of those ways.
#[derive(Debug, Clone)]
pub struct Rival {
    way: Way,
    lanes: Lanes,
    lake: Lake,
    /// All its keys begin with this.
    tag: String,
    /// Attempts, and those whose commit was not taken.
    tries: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

/// One change to be committed.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub op_id: OpId,
    pub record: Record,
}

impl Rival {
    /// The branch `tag` of a repository.
    pub fn new(onward: &Onward, repo: &str, tag: &str, way: Way) -> Result<Self> {
        Ok(Self {
            way,
            lanes: onward.coordinator().lanes().clone(),
            lake: onward.coordinator().lake(&repo.parse()?),
            tag: format!("onward:{{bench/{tag}}}"),
            tries: Arc::default(),
            lost: Arc::default(),
        })
    }

    /// Commits one change.
    pub async fn commit(&self, wanted: Wanted) -> Result<Made> {
        match self.way {
            Way::Optimistic => self.optimistic(wanted).await,
            Way::Bag => self.bag(wanted).await,
            Way::Lock => self.lock(wanted).await,
        }
    }

    /// Attempts, and how many of them came to nothing.
    pub fn attempts(&self) -> (u64, u64) {
        (self.tries.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }

    /// Removes its keys.
    pub async fn forget(&self) -> Result<()> {
        let mut del = redis::cmd("DEL");
        for key in ["head", "lock", "pending", "done"] {
            del.arg(self.key(key));
        }
        self.lanes.call("del", &del).await.map(drop)
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.tag)
    }

    async fn head(&self) -> Result<Option<CommitId>> {
        let mut get = redis::cmd("GET");
        get.arg(self.key("head"));
        head_of(&self.lanes.call("get", &get).await?)
    }

    /// Builds and stores commits on top of a head. Nothing names them until the head is swapped.
    async fn build(&self, head: Option<CommitId>, wanted: Vec<Wanted>) -> Result<CommitId> {
        self.tries.fetch_add(1, Ordering::Relaxed);
        // A log of its own for each attempt: its place is never contended.
        let uid = BranchUid(clock::random_u64());
        let head = Head::start(&self.lake, uid, head).await?;
        let ops = wanted.into_iter().map(prepared).collect();
        let mut situation = Situation {
            ops,
            producers: Default::default(),
            lookups: Default::default(),
            contained: Default::default(),
        };
        let judgement = judge(&self.lake, &head, &mut situation, false).await?;
        let entry = build(self.lake.tree(), &head, situation, judgement, true).await?;
        let (entry, _) = self.lake.decide(&Encoded::of(entry)?).await?;
        entry.head_after()?.0.ok_or_else(|| Error::internal("an attempt made no commit"))
    }

    fn note(&self, taken: bool) -> bool {
        self.lost.fetch_add(u64::from(!taken), Ordering::Relaxed);
        taken
    }

    async fn eval(&self, call: &Cmd) -> Result<Value> {
        self.lanes.call("eval", call).await
    }
}

fn head_of(value: &Value) -> Result<Option<CommitId>> {
    match text(value)? {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => text.parse().map(Some),
    }
}

fn text(value: &Value) -> Result<Option<String>> {
    redis::from_redis_value_ref(value)
        .map_err(|error| Error::internal("a reply of Redis is not text").with_source(error))
}

fn is_one(value: &Value) -> bool {
    matches!(value, Value::Int(1))
}

/// The op that a change would be in Onward's queue.
fn op(wanted: &Wanted) -> Result<Op> {
    let run = InlineRun::from_records(vec![wanted.record.clone()])?;
    Ok(Op {
        committer: "bench".into(),
        created_ms: clock::now_ms(),
        prepared_ms: None,
        producers: Vec::new(),
        fingerprint: None,
        request: Request::Commit(request(Changes::Inline(ByteBuf::from(run.encode())))),
    })
}

fn request(changes: Changes) -> CommitRequest {
    CommitRequest {
        message: "bench".into(),
        metadata: Default::default(),
        changes,
        base: None,
        strategy: OnConflict::Fail,
        allow_empty: false,
        date_ms: None,
        staging_lost: false,
    }
}

fn prepared(wanted: Wanted) -> Prepared {
    Prepared {
        id: wanted.op_id,
        producers: Vec::new(),
        areas: None,
        fingerprint: None,
        work: Work::Commit {
            committer: "bench".into(),
            created_ms: clock::now_ms(),
            request: request(Changes::Inline(ByteBuf::new())),
            changes: ChangeSet::Small(vec![wanted.record]),
            validated: false,
        },
    }
}

/// The pause before the n-th try again: doubling, fully jittered.
async fn back_off(tries: u64, first: Duration, longest: Duration) {
    let doubled = first.saturating_mul(1 << tries.min(16));
    let micros = u64::try_from(doubled.min(longest).as_micros()).unwrap_or(u64::MAX).max(1);
    tokio::time::sleep(Duration::from_micros(clock::random_u64() % micros)).await;
}
