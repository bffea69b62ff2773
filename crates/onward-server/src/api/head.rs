//! What a request says of a commit beside its changes.

use onward::changes::CommitHead;
use onward::{Error, OpId, Result};

/// The id of an op that its client names: in the body, or by the header Idempotency-Key.
pub fn one_name(own: Option<OpId>, idempotent: Option<OpId>) -> Result<Option<OpId>> {
    match (own, idempotent) {
        (Some(_), Some(_)) => Err(Error::invalid(
            "the op has two names, its op_id and the header Idempotency-Key: send one of them",
        )),
        (own, idempotent) => Ok(own.or(idempotent)),
    }
}

/// The head of a commit, perhaps with the op id that the request's headers give it.
pub fn named(mut head: CommitHead, idempotent: Option<OpId>) -> Result<CommitHead> {
    let own = head.op_id.map(|op_id| op_id.parse()).transpose()?;
    head.op_id = one_name(own, idempotent)?.map(|op_id| op_id.to_string());
    Ok(head)
}
