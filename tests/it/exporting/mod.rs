//! Listings, history and differences as tables: by the library's part, the command and the sidecar.

mod command;
mod http;
mod tables;

use onward::Onward;
use serde_json::Value;

use crate::support::lake::{Deployment, entry};

/// Commits one put of each of these paths.
async fn put(onward: &Onward, branch: &str, paths: &[&str], n: usize) {
    let branch = onward.repo("lake").branch(branch);
    let mut change = branch.change().message(format!("{n}"));
    for path in paths {
        change = change.put(*path, entry(n));
    }
    assert!(change.commit().await.unwrap().commit().is_some());
}

/// So many commits of one path each, with messages that make their rows 8,000 bytes long.
async fn long_history(deployment: &Deployment, commits: usize) {
    let onward = deployment.connect().await;
    for n in 0..commits {
        let change = onward.repo("lake").branch("main").change().put(format!("p{n}"), entry(n));
        change.message("m".repeat(8000)).commit().await.unwrap();
    }
    onward.close().await;
}

/// The rows of a file of lines of JSON.
fn lines(file: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
