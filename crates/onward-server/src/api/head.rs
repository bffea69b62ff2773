//! What a request says of a commit beside its changes.

use super::shapes::CommitHead;
use onward::internals::repo::ChangeBuilder;
use onward::{Error, OpId, Producer, Result};

/// The id of an op that its client names: in the body, or by the header Idempotency-Key.
pub fn one_name(own: Option<OpId>, idempotent: Option<OpId>) -> Result<Option<OpId>> {
    match (own, idempotent) {
        (Some(_), Some(_)) => Err(Error::invalid(
            "the op has two names, its op_id and the header Idempotency-Key: send one of them",
        )),
        (own, idempotent) => Ok(own.or(idempotent)),
    }
}

/// A commit with this head, and perhaps with the op id that the request's headers give it.
pub fn headed(
    change: ChangeBuilder,
    head: CommitHead,
    idempotent: Option<OpId>,
) -> Result<ChangeBuilder> {
    let mut change = change
        .message(head.message)
        .on_conflict(head.on_conflict.into())
        .allow_empty(head.allow_empty);
    for (key, value) in head.metadata {
        change = change.meta(key, value);
    }
    if let Some(base) = head.base {
        change = change.base(base.parse()?);
    }
    let producers = match (head.producer, head.producers) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("the op has a producer and producers: send one of them"));
        }
        (one, several) => several.unwrap_or_else(|| one.into_iter().collect()),
    };
    change = change.producers(producers.into_iter().map(Producer::from));
    let own = head.op_id.map(|op_id| op_id.parse::<OpId>()).transpose()?;
    if let Some(op_id) = one_name(own, idempotent)? {
        change = change.op_id(op_id);
    }
    Ok(change)
}
