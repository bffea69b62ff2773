//! Events as they leave: CloudEvents 1.0 in JSON, structured.

use onward::internals::clock::{self, rfc3339};
use onward::internals::repo::sinks::{BranchEvent, EventKind, Happened};
use serde_json::{Value, json};

/// What a structured CloudEvent is sent as.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The type of an event that only tries a sink.
pub const TEST: &str = "onward.test";

/// An event that is ready to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The same whenever the event is sent.
    pub id: String,
    /// What it is.
    pub kind: &'static str,
    /// Which branch it is about; empty of one that only tries.
    pub branch: String,
    /// The event as JSON.
    pub json: String,
}

/// The type of an event.
pub fn type_of(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Commit => "onward.commit",
        EventKind::Merge => "onward.merge",
        EventKind::Reset => "onward.reset",
        EventKind::BranchCreated => "onward.branch.created",
        EventKind::BranchDeleted => "onward.branch.deleted",
    }
}

/// Where events of a repository come from.
pub fn source(repo: &str) -> String {
    format!("/repositories/{repo}")
}

impl Envelope {
    /// Of an event of a branch.
    pub fn of(repo: &str, event: &BranchEvent) -> Self {
        let kind = type_of(event.kind());
        let mut data = json!({
            "repository": repo,
            "branch": event.branch.as_str(),
            "branch_uid": event.uid,
            "ticket": event.ticket,
        });
        let more = match &event.what {
            Happened::Committed { id, commit } => json!({
                "commit": id,
                "op_id": commit.op_id,
                "parents": commit.parents,
                "committer": commit.committer,
                "message": commit.message,
                "metadata": commit.metadata,
                "generation": commit.generation,
                "created": rfc3339(commit.created_ms),
            }),
            Happened::Reset { commit, op_id } => json!({"commit": commit, "op_id": op_id}),
            Happened::Created { start } => json!({"commit": start}),
            Happened::Deleted => json!({}),
        };
        add_all(&mut data, more);
        let mut whole = json!({
            "specversion": "1.0",
            "id": event.id,
            "source": source(repo),
            "type": kind,
            "subject": event.branch.as_str(),
            "datacontenttype": "application/json",
            // What keeps order, by the extensions that CloudEvents has for that.
            "partitionkey": event.uid,
            "data": data,
        });
        if let Some(at_ms) = event.at_ms {
            add_all(&mut whole, json!({"time": rfc3339(at_ms)}));
        }
        if let Some(ticket) = event.ticket {
            add_all(&mut whole, json!({"sequence": format!("{:020}", ticket.0)}));
        }
        let (id, branch) = (event.id.clone(), event.branch.to_string());
        Self { id, kind, branch, json: whole.to_string() }
    }

    /// One that only tries whether a sink takes events.
    pub fn test(repo: &str, sink: &str) -> Self {
        let id = format!("test-{:032x}", clock::random_u128());
        let whole = json!({
            "specversion": "1.0",
            "id": id,
            "source": source(repo),
            "type": TEST,
            "time": rfc3339(clock::now_ms()),
            "datacontenttype": "application/json",
            "data": {"repository": repo, "sink": sink},
        });
        Self { id, kind: TEST, branch: String::new(), json: whole.to_string() }
    }
}

fn add_all(to: &mut Value, more: Value) {
    if let (Value::Object(to), Value::Object(more)) = (to, more) {
        to.extend(more);
    }
}
