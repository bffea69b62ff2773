//! What a reader of the description can type as it stands: a line of `curl` for each operation.

use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};

/// The address that samples have; the page shows its own in its place.
pub const ADDRESS: &str = "http://127.0.0.1:8000";

/// What makes the repository that the samples work on.
pub const BEGIN: &str = r#"curl -sS -u "$ONWARD_ACCESS_KEY_ID:$ONWARD_SECRET_ACCESS_KEY" http://127.0.0.1:8000/api/v1/repositories -H 'Content-Type: application/json' -d '{"name": "lake", "storage_namespace": "local://lake"}'"#;

/// A sample: the method, how the path ends, what stands in front of the URL and behind it.
type Sample = (HttpMethod, &'static str, &'static str, &'static str);

/// In an order in which each finds what it needs. An op has an id of its own, so that a sample can be sent again.
const SAMPLES: &[Sample] = &[
    (
        HttpMethod::Post,
        "/changes",
        "-sS",
        r#"-d '{"message": "hourly load", "op_id": "0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d", "producer": {"name": "orders", "epoch": 1, "sequence": 1}, "changes": [{"put": {"path": "orders/1.parquet", "address": "s3://raw/1.parquet", "checksum": "etag-1", "size": 1234}}]}'"#,
    ),
    (HttpMethod::Get, "/tickets/{op_id}", "-sS", ""),
    (HttpMethod::Delete, "/tickets/{op_id}", "-sS -X DELETE", ""),
    (HttpMethod::Get, "/producers/{name}", "-sS", ""),
    (HttpMethod::Get, "/queue", "-sS", ""),
    (HttpMethod::Get, "/valid_through", "-sS", ""),
    (HttpMethod::Get, "/events", "-sSN --max-time 2", "-H 'Last-Event-ID: 0'"),
    (
        HttpMethod::Post,
        "/merge",
        "-sS",
        r#"-d '{"source": "main~1", "message": "what is there already", "dry_run": true}'"#,
    ),
    (HttpMethod::Get, "/refs/{left}/tables/{right}", "-sS", ""),
    (HttpMethod::Get, "/refs/{ref}/objects", "-sS", "-H 'Accept: text/csv'"),
    (HttpMethod::Get, "/refs/{ref}/commits", "-sS", "-H 'Accept: application/jsonl'"),
    (HttpMethod::Get, "/refs/{left}/diff/{right}", "-sS", "-G -d format=csv -d two_dot=true"),
    (
        HttpMethod::Put,
        "/protection/{pattern}",
        "-sS -X PUT",
        r#"-d '{"blocks": ["delete", "reset"], "check": {"url": "https://checks.example.com/onward", "on_failure": "accept"}}'"#,
    ),
    (HttpMethod::Get, "/protection", "-sS", ""),
    (HttpMethod::Delete, "/protection/{pattern}", "-sS -X DELETE", ""),
    (
        HttpMethod::Post,
        "/sinks",
        "-sS",
        r#"-d '{"id": "audit", "url": "https://hooks.example.com/onward", "branches": ["main"], "timeout_ms": 1000}'"#,
    ),
    (HttpMethod::Get, "/sinks", "-sS", ""),
    (HttpMethod::Post, "/sinks/{sink}/test", "-sS -X POST", ""),
    (HttpMethod::Post, "/sinks/{sink}/rotate", "-sS -X POST", ""),
    (HttpMethod::Post, "/sinks/{sink}/revive", "-sS -X POST", ""),
    (HttpMethod::Delete, "/sinks/{sink}", "-sS -X DELETE", ""),
];

fn source(path: &str, flags: &str, behind: &str) -> String {
    let path = [
        ("{repo}", "lake"),
        ("{branch}", "main"),
        ("{name}", "orders"),
        ("{ref}", "main"),
        ("{sink}", "audit"),
        ("{pattern}", "release-*"),
        ("{left}", "main~1"),
        ("{right}", "main"),
        ("{op_id}", "0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d"),
    ]
    .into_iter()
    .fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
    let login = r#"-u "$ONWARD_ACCESS_KEY_ID:$ONWARD_SECRET_ACCESS_KEY""#;
    format!("curl {flags} {login} {ADDRESS}{path} {behind}").trim_end().to_owned()
}

/// Gives every operation of a path that has one its sample, as `x-codeSamples`, which tools know.
pub fn add(path: &str, item: &mut PathItem) {
    for (method, end, flags, behind) in SAMPLES {
        if !path.ends_with(end) {
            continue;
        }
        let operation: Option<&mut Operation> = match method {
            HttpMethod::Get => item.get.as_mut(),
            HttpMethod::Post => item.post.as_mut(),
            HttpMethod::Put => item.put.as_mut(),
            HttpMethod::Delete => item.delete.as_mut(),
            _ => None,
        };
        if let Some(operation) = operation {
            let samples =
                serde_json::json!([{"lang": "Shell", "source": source(path, flags, behind)}]);
            let extensions = ExtensionsBuilder::new().add("x-codeSamples", samples).build();
            operation.extensions = Some(extensions);
        }
    }
}

/// All samples in their order.
pub fn all(root: &str) -> Vec<String> {
    let whole = |(_, end, flags, behind): &Sample| {
        let is_of_repo =
            ["/refs/", "/sinks", "/protection"].iter().any(|begin| end.starts_with(begin));
        let of = if is_of_repo { "" } else { "/branches/{branch}" };
        source(&format!("{root}/repositories/{{repo}}{of}{end}"), flags, behind)
    };
    SAMPLES.iter().map(whole).collect()
}
