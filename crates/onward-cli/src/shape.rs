//! The JSON shapes of the command line. Scripts rely on them: add to them, never change them.

use onward::internals::clock;
use onward::internals::repo::branch::QueueView;
use onward::internals::repo::history::CommitInfo;
use onward::internals::tree::ListItem;
use onward::{Change, Entry, PathChange};
use onward_server::api::shapes::QueueShape;
use serde_json::{Value, json};

/// Adds one more key to an object.
pub fn add(shape: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(shape) = shape.as_object_mut() {
        shape.insert(key.to_owned(), value.into());
    }
}

/// A commit.
pub fn commit(info: &CommitInfo) -> Value {
    let commit = &info.commit;
    json!({
        "commit": info.id,
        "parents": commit.parents,
        "message": commit.message,
        "committer": commit.committer,
        "created": clock::rfc3339(commit.created_ms),
        "metadata": commit.metadata,
        "generation": commit.generation,
        "ticket": info.ticket(),
        "op_id": commit.op_id,
    })
}

/// What a path names.
pub fn object(path: &str, entry: &Entry) -> Value {
    json!({
        "path": path, "type": "object", "size": entry.size, "checksum": entry.checksum,
        "address": entry.address, "mtime": entry.mtime, "content_type": entry.content_type,
        "metadata": entry.metadata,
    })
}

/// A line of a listing.
pub fn item(item: &ListItem) -> Value {
    match item {
        ListItem::Object(path, entry) => object(path.as_str(), entry),
        ListItem::CommonPrefix(prefix) => json!({
            "path": prefix, "type": "common_prefix", "size": null, "checksum": null,
            "address": null, "mtime": null, "content_type": null, "metadata": null,
        }),
    }
}

/// A staged change.
pub fn staged(change: &PathChange) -> Value {
    match &change.change {
        Change::Put(entry) => {
            let mut shape = object(change.path.as_str(), entry);
            add(&mut shape, "type", "put");
            shape
        }
        Change::Delete => json!({"path": change.path, "type": "delete"}),
    }
}

/// A branch's queue, as the sidecar shows it.
pub fn queue(branch: &str, view: &QueueView) -> Value {
    json!(QueueShape::new(branch.to_owned(), view))
}
