//! The shapes of Onward's own API, the same as those that the `onward` command prints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::outcome::{ConflictShape, OutcomeShape};
use onward::Retry;
use onward::changes::{CommitHead, OnConflict};
use onward::internals::clock;
use onward::internals::repo::MergePreview;
use onward::internals::repo::branch::QueueView;
use onward::internals::repo::ticket::TicketStatus;

/// An op that was accepted and that nobody waits for.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct AcceptedShape {
    /// Always `pending`: the op waits for its turn.
    pub state: &'static str,
    /// Its place in the branch's order.
    pub ticket: Option<u64>,
    /// Its id, by which its ticket tells what becomes of it.
    #[cfg_attr(feature = "describe", schema(min_length = 36, max_length = 36))]
    pub op_id: String,
}

/// An op that is not decided yet.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum UndecidedShape {
    /// The answer with `wait=false`: accepted, and not waited for.
    Accepted(AcceptedShape),
    /// When the time to wait was over: `still_queued`.
    Outcome(OutcomeShape),
}

/// What a merge that ends with 200 tells.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum NothingMergedShape {
    /// There was nothing to bring.
    Outcome(OutcomeShape),
    /// What a dry run found.
    Preview(Box<PreviewShape>),
}

/// What can be said of an op.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TicketShape {
    /// It is in the queue.
    Pending {
        /// Its place in the branch's order.
        ticket: u64,
        /// Its place in the queue: 1 is the front.
        position: u64,
    },
    /// It is decided.
    Decided(OutcomeShape),
}

impl From<TicketStatus> for TicketShape {
    fn from(status: TicketStatus) -> Self {
        match status {
            TicketStatus::Pending { ticket, position } => {
                Self::Pending { ticket: ticket.0, position }
            }
            TicketStatus::Decided(outcome) => Self::Decided(OutcomeShape(outcome)),
        }
    }
}

/// A branch's queue.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct QueueShape {
    /// The branch, as REPO/BRANCH.
    pub branch: String,
    /// How many ops are waiting.
    pub depth: u64,
    /// Tickets decided so far.
    pub done: u64,
    /// How long the first op has waited.
    pub oldest_ms: Option<i64>,
    /// The first ops.
    pub ops: Vec<QueuedShape>,
}

/// One waiting op.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct QueuedShape {
    /// Its place in the branch's order.
    pub ticket: u64,
    /// Id of the op that waits.
    #[cfg_attr(feature = "describe", schema(min_length = 36, max_length = 36))]
    pub op_id: String,
    /// `commit`, `merge`, `squash_merge`, `revert`, `cherry_pick`, `reset`, `fold`, `delete_branch`.
    pub kind: &'static str,
    /// Name of whoever asks for it.
    pub committer: String,
    /// How long it has waited.
    pub age_ms: i64,
}

impl QueueShape {
    /// The shape of a view.
    pub fn new(branch: String, view: &QueueView) -> Self {
        let now = clock::now_ms();
        let ops: Vec<QueuedShape> = view
            .ops
            .iter()
            .map(|op| QueuedShape {
                ticket: op.ticket.0,
                op_id: op.op_id.to_string(),
                kind: op.kind,
                committer: op.committer.clone(),
                age_ms: op.age_ms(now),
            })
            .collect();
        let oldest_ms = ops.first().map(|op| op.age_ms);
        Self { branch, depth: view.depth, done: view.done, oldest_ms, ops }
    }
}

/// Who tries again when paths of a merge change while it waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum WhoRetries {
    /// Whoever decides it, at once.
    #[default]
    Server,
    /// The client, with the hint that the outcome `lost_race` has.
    Client,
}

impl From<WhoRetries> for Retry {
    fn from(retry: WhoRetries) -> Self {
        match retry {
            WhoRetries::Server => Self::Server,
            WhoRetries::Client => Self::Client,
        }
    }
}

/// A put of one path.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutShape {
    /// The path that is put.
    pub path: String,
    /// Where the bytes are, as a URL.
    pub address: String,
    /// Checksum or ETag of the bytes.
    pub checksum: String,
    /// Length in bytes.
    #[cfg_attr(feature = "describe", schema(maximum = 9223372036854775807_u64))]
    pub size: u64,
    /// Modification time, seconds since the Unix epoch.
    #[serde(default)]
    pub mtime: i64,
    /// Media type of the content.
    #[serde(default)]
    pub content_type: Option<String>,
    /// The user's own key-value pairs.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// A delete of one path.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeleteShape {
    /// The path that is deleted.
    pub path: String,
}

/// What must hold of the path when the op's turn comes; else the op is a conflict.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ConditionShape {
    /// It names nothing: `{"absent": true}`.
    Absent(bool),
    /// It names an object with this checksum.
    Checksum(String),
}

/// One change: a put or a delete, with its condition. The same as a line of a change file.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeShape {
    /// A path that is put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<PutShape>,
    /// A path that is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<DeleteShape>,
    /// The condition on which it is made.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<ConditionShape>,
}

/// A change set in one piece.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct ChangeSet {
    /// What the commit says.
    #[serde(flatten)]
    pub head: CommitHead,
    /// The changes; of several of one path the last one counts.
    pub changes: Vec<ChangeShape>,
}

/// A merge that is asked for.
#[derive(Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct MergeShape {
    /// The ref whose changes are brought in.
    pub source: String,
    /// Why; by default what is merged into what.
    pub message: Option<String>,
    /// The user's own key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// What happens to a path that both sides changed.
    pub strategy: OnConflict,
    /// Whether the commit leaves the source out of its parents.
    pub squash: bool,
    /// Whether a commit is wanted even if there is nothing to bring.
    pub allow_empty: bool,
    /// Who tries again when paths of the merge change while it waits.
    pub retry: WhoRetries,
    /// The hint of a try that lost a race.
    pub hint: Option<String>,
    /// Only tell what it would bring.
    pub dry_run: bool,
    /// The op's id, if the client chooses it.
    #[cfg_attr(feature = "describe", schema(min_length = 36, max_length = 36))]
    pub op_id: Option<String>,
}

/// What a merge would bring.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct PreviewShape {
    /// The commit the changes start from.
    pub base: Option<String>,
    /// The commit they lead to.
    pub source: Option<String>,
    /// The head they were tried on.
    pub dest: Option<String>,
    /// How many changes the source brings.
    pub changes: u64,
    /// How many of them the branch would take over.
    pub surviving: u64,
    /// How many of these are Iceberg tables that both sides appended to, which are put together.
    pub resolved: u64,
    /// The first conflicting paths.
    pub conflicts: Vec<ConflictShape>,
    /// How many there are.
    pub conflicts_total: u64,
}

impl From<MergePreview> for PreviewShape {
    fn from(preview: MergePreview) -> Self {
        let text = |commit: Option<onward::CommitId>| commit.map(|c| c.to_string());
        Self {
            base: text(preview.base),
            source: text(preview.source),
            dest: text(preview.dest),
            changes: preview.changes,
            surviving: preview.surviving,
            resolved: preview.resolved,
            conflicts: preview.conflicts.into_iter().map(Into::into).collect(),
            conflicts_total: preview.conflicts_total,
        }
    }
}

/// What became of a request to call an op off.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema))]
pub struct CancelShape {
    /// `cancelling`: its outcome will be `cancelled` unless a helper is faster; `decided`: that was
    /// too late.
    pub state: &'static str,
}
