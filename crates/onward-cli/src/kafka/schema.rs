//! The schema of Parquet files: given in a file, or kept on the branch, where the first process that needs
//! one puts what it infers from the first records. All processes of a group, and those that start again, so
//! have the same.

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use onward::{Branch, Condition, Error, ErrorKind, ObjectPath, Outcome, RefExpr, Result};
use onward_kafka::format::parquet::Schema;
use onward_kafka::sample;

use super::super::out::Out;
use super::super::session::{blocking, prefix_of};
use super::plan::Plan;

/// Records that a schema is inferred from, for each topic.
const SAMPLE: usize = 1_000;

/// The largest schema, in bytes.
const SCHEMA_LEN_MAX: u64 = 256 * 1024;

/// The schema that a file has.
pub fn given(path: &Path) -> Result<Schema> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::invalid(format!("the schema in '{}' cannot be read", path.display()))
            .with_source(error)
    })?;
    text.parse().map_err(|error: Error| error.context(path.display()))
}

/// The schema on the branch, put there if there is none.
pub async fn kept(branch: &Branch, plan: &Plan, out: &Out) -> Result<Schema> {
    let path =
        ObjectPath::new(format!("{}_schema/{}.txt", prefix_of(&plan.into), plan.topics.join("+")))?;
    if let Some(schema) = read(branch, plan, &path).await? {
        return Ok(schema);
    }
    let (client, topics) = (plan.client.clone(), plan.topics.clone());
    let records = blocking(move || sample_of(&client, &topics)).await?;
    let schema = Schema::infer(&records)?;
    let text = schema.to_string();
    let mut entry = branch.upload(text.as_bytes()).await?;
    entry.content_type = Some("text/plain".to_owned());
    let outcome = branch
        .change()
        .put_if(path.as_str(), entry, Condition::Absent)
        .message(format!("schema of {}, inferred from its first records", plan.topics.join(", ")))
        .commit()
        .await?;
    match outcome {
        Outcome::Committed { .. } => {
            out.note(&format!(
                "the schema was inferred from {} records, and lies in '{path}'",
                records.len()
            ));
            Ok(schema)
        }
        // Another process was first: its schema counts.
        Outcome::Conflict { .. } => read(branch, plan, &path).await?.ok_or_else(|| {
            Error::conflict(format!("'{path}' comes and goes: give the schema by --schema"))
        }),
        other => Err(Error::conflict(format!(
            "the schema cannot be put to '{path}' ({}): give it by --schema",
            other.name()
        ))),
    }
}

fn sample_of(
    client: &[(String, String)],
    topics: &[Arc<str>],
) -> Result<Vec<onward_kafka::Record>> {
    let mut records = Vec::new();
    for topic in topics {
        records.extend(sample(client, topic, SAMPLE)?);
    }
    Ok(records)
}

async fn read(branch: &Branch, plan: &Plan, path: &ObjectPath) -> Result<Option<Schema>> {
    let repo = branch.repository();
    let head: RefExpr = format!("{}@", plan.branch).parse()?;
    let entry = match repo.stat(&head, path).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entry => entry?,
    };
    let wrong = |error: Error| error.context(format!("the schema in '{path}' on the branch"));
    if entry.size > SCHEMA_LEN_MAX {
        return Err(wrong(Error::invalid(format!("it has {} bytes", entry.size))));
    }
    let pieces: Vec<_> = repo.open(&entry).await?.chunks.try_collect().await?;
    let text = String::from_utf8(pieces.concat())
        .map_err(|error| wrong(Error::invalid("it is not UTF-8").with_source(error)))?;
    text.parse().map(Some).map_err(wrong)
}
