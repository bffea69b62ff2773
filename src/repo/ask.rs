//! What is asked before a commit or a merge is queued, and who asks: the sidecar and the command know how, the library
//! does not.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::model::ids::OpId;

use super::protection::check::Check;

/// A commit or a merge that is to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The repository that the branch is in.
    pub repository: String,
    /// The branch that it goes into.
    pub branch: String,
    /// The id of the op: the same when it is submitted again.
    pub op_id: OpId,
    /// The kind of op: `commit`, `merge`, `squash_merge`, `revert`, `cherry_pick`.
    pub kind: &'static str,
    /// Who asks for it.
    pub committer: String,
    /// The message of the commit.
    pub message: String,
    /// The pairs that go with it.
    pub metadata: BTreeMap<String, String>,
    /// How many changes it has; `None` of a commit of what is staged, which is whatever is staged when it is
    /// accepted.
    pub count: Option<u64>,
    /// The first paths that it changes, in their order, and whether it takes each away.
    pub paths: Vec<(String, bool)>,
}

/// What who checks said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It may be.
    Accepted,
    /// It may not, for this reason.
    Refused(String),
    /// No answer came, for this reason.
    Failed(String),
}

/// Who asks in this process.
pub trait Ask: Debug + Send + Sync {
    /// Asks the check of the rule with this pattern, for so long at the most.
    fn ask<'a>(
        &'a self,
        pattern: &'a str,
        check: &'a Check,
        asked: &'a Asked,
        timeout: Duration,
    ) -> BoxFuture<'a, Answer>;
}
