//! An op that Redis has lost, as it is submitted again.

use crate::coord::submit::{Seal, Submission};
use crate::model::error::Result;

use super::queued::{Body, QueuedOp};
use super::request::Request;

/// An op as it is submitted again. With one that had sealed, what was staged may be gone: that is
/// decided in its turn, because another Redis may still have the op with all that it had taken.
pub fn lost(mut submission: Submission) -> Result<Submission> {
    if submission.seal == Seal::No {
        return Ok(submission);
    }
    submission.seal = Seal::StagedOrEmpty;
    if let Body::Op(mut op) = QueuedOp::decode(&submission.element)?.body
        && let Request::Commit(request) = &mut op.request
    {
        request.staging_lost = true;
        submission.element = op.encode(submission.op_id)?;
    }
    Ok(submission)
}
