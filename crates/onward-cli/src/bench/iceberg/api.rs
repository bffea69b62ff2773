//! The little of Iceberg's REST catalog that an append takes.

use std::time::Duration;

use onward::internals::encryption;
use onward::{Error, Result};
use reqwest::{Client, Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of an answer that are shown where it is a refusal.
const SHOWN_MAX: usize = 300;
/// The one namespace.
const NAMESPACE: &str = "bench";

/// A sidecar's catalog of one branch, as one who is logged in.
#[derive(Clone)]
pub struct Catalog {
    client: Client,
    base: String,
    id: String,
    secret: String,
}

/// A table as it was made.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub location: String,
}

/// The newest snapshot of a table.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its id and its sequence number.
    pub snapshot: Option<(i64, i64)>,
    /// Where its list lies.
    pub list: Option<String>,
}

/// What became of a commit.
#[derive(Debug)]
pub enum Told {
    /// It landed; the id and the sequence number of the newest snapshot.
    Landed((i64, i64)),
    /// Others were first.
    Stale,
    /// Anything else.
    Refused(String),
}

#[derive(Deserialize)]
struct Loaded {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    current_snapshot_id: Option<i64>,
    last_sequence_number: i64,
    snapshots: Vec<Snapshot>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Snapshot {
    snapshot_id: i64,
    manifest_list: String,
}

impl Catalog {
    /// Of `main` of a repository, served at this address.
    pub fn new(server: &str, repo: &str, (id, secret): (String, String)) -> Result<Self> {
        encryption::ready();
        let client = Client::builder()
            .timeout(PATIENCE)
            .build()
            .map_err(|error| Error::internal("HTTP requests cannot be made").with_source(error))?;
        Ok(Self { client, base: format!("{server}/iceberg/v1/{repo}@main"), id, secret })
    }

    /// Makes the namespace.
    pub async fn create_namespace(&self) -> Result<()> {
        let wanted = json!({"namespace": [NAMESPACE]});
        value(self.send(Method::POST, "namespaces", None, Some(&wanted)).await?).await.map(drop)
    }

    /// Makes a table of one column.
    pub async fn create_table(&self, name: &str, properties: Value) -> Result<Table> {
        let column = json!({"id": 1, "name": "id", "type": "long", "required": false});
        let schema = json!({"type": "struct", "schema-id": 0, "fields": [column]});
        let wanted = json!({"name": name, "schema": schema, "properties": properties});
        let path = format!("namespaces/{NAMESPACE}/tables");
        let made = value(self.send(Method::POST, &path, None, Some(&wanted)).await?).await?;
        let location = made.pointer("/metadata/location").and_then(Value::as_str);
        let location = location.ok_or_else(|| Error::internal("a table without a location"))?;
        Ok(Table { name: name.to_owned(), location: location.to_owned() })
    }

    /// Loads a table, as a client does before it commits.
    pub async fn load(&self, table: &Table) -> Result<Head> {
        let answer = self.send(Method::GET, &at(table), None, None).await?;
        let bytes = whole(answer).await?;
        let wrong = |error| Error::internal("the answer is no table").with_source(error);
        let Loaded { metadata } = serde_json::from_slice(&bytes).map_err(wrong)?;
        let id = metadata.current_snapshot_id.filter(|id| *id != -1);
        let current = metadata.snapshots.into_iter().rfind(|one| Some(one.snapshot_id) == id);
        Ok(Head {
            snapshot: id.map(|id| (id, metadata.last_sequence_number)),
            list: current.map(|one| one.manifest_list),
        })
    }

    /// Commits, in this mode where one is given.
    pub async fn commit(&self, table: &Table, mode: Option<&str>, wanted: &Value) -> Result<Told> {
        let answer = self.send(Method::POST, &at(table), mode, Some(wanted)).await?;
        match answer.status() {
            StatusCode::OK => newest(answer).await.map(Told::Landed),
            StatusCode::CONFLICT => whole(answer).await.map(|_| Told::Stale),
            status => {
                let text = String::from_utf8_lossy(&whole(answer).await?).into_owned();
                let text: String = text.chars().take(SHOWN_MAX).collect();
                Ok(Told::Refused(format!("{status}: {text}")))
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        mode: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Response> {
        let request = self.client.request(method, format!("{}/{path}", self.base));
        let request = request.basic_auth(&self.id, Some(&self.secret));
        let request = match mode {
            Some(mode) => request.header("onward-commit-mode", mode),
            None => request,
        };
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        request.send().await.map_err(unanswered)
    }
}

/// The body of an answer that is as it should be.
async fn value(answer: Response) -> Result<Value> {
    let status = answer.status();
    let bytes = whole(answer).await?;
    if !status.is_success() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        return Err(Error::unavailable(format!("the catalog says {status}: {text}")));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::internal("the answer is no JSON").with_source(error))
}

fn at(table: &Table) -> String {
    format!("namespaces/{NAMESPACE}/tables/{}", table.name)
}

fn unanswered(error: reqwest::Error) -> Error {
    Error::unavailable("the catalog does not answer").with_source(error)
}

async fn whole(answer: Response) -> Result<bytes::Bytes> {
    answer.bytes().await.map_err(unanswered)
}

/// The newest snapshot that an answer names, which may have megabytes: all are received, and those in front of the
/// snapshots looked at.
async fn newest(mut answer: Response) -> Result<(i64, i64)> {
    let mut front = Vec::new();
    let mut found = None;
    while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
        if found.is_none() {
            front.extend_from_slice(&chunk);
            let text = String::from_utf8_lossy(&front);
            let id = number_behind(&text, "\"current-snapshot-id\":");
            found = id.zip(number_behind(&text, "\"last-sequence-number\":"));
        }
    }
    found.ok_or_else(|| Error::internal("the answer names no snapshot"))
}

/// The number behind a key, with something behind it: it may be cut short otherwise.
fn number_behind(text: &str, key: &str) -> Option<i64> {
    let (_, behind) = text.split_once(key)?;
    let end = behind.find(|one: char| !one.is_ascii_digit() && one != '-')?;
    behind.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_whole_or_not_yet() {
        let text = r#"{"a":{"last-sequence-number":12,"current-snapshot-id":77"#;
        assert_eq!(number_behind(text, "\"last-sequence-number\":"), Some(12));
        assert_eq!(number_behind(text, "\"current-snapshot-id\":"), None);
        assert_eq!(number_behind(text, "\"absent\":"), None);
    }
}
