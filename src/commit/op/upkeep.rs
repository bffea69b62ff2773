//! Ops that nobody has asked for: what keeps a branch fit for use.

use crate::coord::submit::{Seal, Submission};
use crate::model::error::Result;
use crate::model::ids::OpId;

use super::request::{Op, Request};

/// Such an op as it is submitted, for the first time and under an id of its own. It was made at
/// `created_ms`, in milliseconds since the Unix epoch, and prepared as [`Op::prepared_ms`] says.
pub fn upkeep(
    op_id: OpId,
    request: Request,
    created_ms: i64,
    prepared_ms: Option<i64>,
) -> Result<Submission> {
    let (committer, producers) = ("onward".into(), Vec::new());
    let op = Op { committer, created_ms, prepared_ms, producers, fingerprint: None, request };
    let (element, producers) = (op.encode(op_id)?, Vec::new());
    Ok(Submission { op_id, element, producers, seal: Seal::No, may_repeat: false })
}
