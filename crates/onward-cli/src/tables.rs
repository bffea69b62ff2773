//! Iceberg's tables at the prompt: where they lie, and what is said of them below a path.

use onward::{Onward, RepoName, Result};
use onward_server::tables::{Tables, Told};
use serde_json::Value;

use super::exit::Failure;
use super::out::{Out, printable};

/// Where tables lie.
#[derive(Debug, clap::Args)]
pub struct TablesArgs {
    /// The folder that the sidecar's Iceberg tables lie below, if not in the deployment's own storage
    #[arg(long, value_name = "URL", env = "ONWARD_ICEBERG_WAREHOUSE")]
    pub iceberg_warehouse: Option<String>,
}

impl TablesArgs {
    /// The tables of a deployment.
    pub fn open(&self, onward: &Onward) -> Result<Tables> {
        Tables::open(onward, self.iceberg_warehouse.as_deref())
    }
}

/// Says what there is of a table, below the line of its path; nothing for programs, which have it with the path.
pub fn below(out: &Out, told: Option<&Told>) -> Result<(), Failure> {
    for line in told.into_iter().flat_map(|told| &told.lines).filter(|_| !out.is_json()) {
        out.data(|| Value::Null, || format!("    {}", printable(line)))?;
    }
    Ok(())
}

/// The tables among the conflicting paths of a merge.
pub async fn in_conflict(
    tables: &Tables,
    repo: &RepoName,
    outcome: &Result<onward::Outcome>,
) -> Vec<Told> {
    match outcome {
        Ok(outcome) => tables.conflicts(repo.as_str(), outcome).await,
        Err(_) => Vec::new(),
    }
}
