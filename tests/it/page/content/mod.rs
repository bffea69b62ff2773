//! The sidecar's pages of what is in a repository, as a browser without scripts has them.

mod cost;
mod forms;
mod names;
mod parquet;
mod shown;
mod visit;

use onward::internals::repo::Branch;
use onward::{CommitId, Entry, RefExpr};

use crate::support::sidecar::Sidecar;

/// The pages of repository `lake`.
const LAKE: &str = "/ui/repos/lake";

/// A branch of repository `lake`.
fn branch(sidecar: &Sidecar, name: &str) -> Branch {
    sidecar.onward.repo("lake").branch(name)
}

/// A new branch at `from`.
async fn fork(sidecar: &Sidecar, name: &str, from: &str) -> Branch {
    let branch = branch(sidecar, name);
    branch.create(&from.parse::<RefExpr>().unwrap()).await.unwrap();
    branch
}

/// A commit of one path.
async fn put(branch: &Branch, path: &str, message: &str) -> CommitId {
    let entry = Entry::new(format!("mem://{path}/{message}"), 1, format!("checksum-{message}"));
    let change = branch.change().put(path, entry).message(message);
    change.commit().await.unwrap().commit().unwrap()
}

/// Stages an object with these bytes.
async fn upload(branch: &Branch, path: &str, bytes: &[u8]) {
    let entry = branch.upload(bytes).await.unwrap();
    branch.stage_put(path.parse().unwrap(), entry, None).await.unwrap();
}
