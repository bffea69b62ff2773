//! A part of an object's bytes, wherever they lie.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;

use onward::Entry;

use super::at::At;
use crate::content::open;
use crate::error::ApiResult;

/// The bytes of an object in this range, as far as it has any there.
pub async fn part(at: &At, entry: &Entry, part: Range<u64>) -> ApiResult<Bytes> {
    let part = part.start.min(entry.size)..part.end.min(entry.size);
    let wanted = usize::try_from(part.end.saturating_sub(part.start)).unwrap_or_default();
    // An empty object is opened all the same: whether it may be read is no matter of its size.
    let streamed =
        open(&at.app, &at.repo, entry, Some(part).filter(|part| !part.is_empty())).await?;
    let mut chunks = streamed.chunks;
    let mut bytes = BytesMut::with_capacity(wanted);
    while let Some(chunk) = chunks.try_next().await? {
        let left = wanted.saturating_sub(bytes.len());
        bytes.extend_from_slice(chunk.get(..chunk.len().min(left)).unwrap_or_default());
        if bytes.len() >= wanted {
            break;
        }
    }
    Ok(bytes.freeze())
}
