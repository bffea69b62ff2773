//! An op that Redis has lost, as it is submitted again.

use crate::coord::submit::{Seal, Submission};
use crate::model::error::Result;

use super::queued::{Body, QueuedOp};
use super::request::Request;

/// An op as it is submitted again, of which it is known whether it `had_sealed` something. It takes
/// nothing any more: what is staged by now may be somebody else's. That what it had taken is gone is
/// decided in its turn, because another Redis may still have the op with all of it.
pub fn lost(mut submission: Submission, had_sealed: bool) -> Result<Submission> {
    if submission.seal == Seal::No {
        return Ok(submission);
    }
    submission.seal = Seal::No;
    if had_sealed
        && let Body::Op(mut op) = QueuedOp::decode(&submission.element)?.body
        && let Request::Commit(request) = &mut op.request
    {
        request.staging_lost = true;
        submission.element = op.encode(submission.op_id)?;
    }
    Ok(submission)
}
