//! The repository as it is before the merges: the files on the main branch, and the branches.

use std::collections::HashMap;
use std::sync::Arc;

use onward::internals::repo::Branch;
use onward::{Change as TreeChange, CommitId, Error, Onward, Outcome, PathChange, RefExpr, Result};

use super::naive::Content;
use super::plan::{Change, Plan, entry};
use super::{MAIN, REPO};

/// What is known of the commits so far, by plan and not by reading.
pub struct Prepared {
    /// The content of each commit.
    pub contents: HashMap<CommitId, Arc<Content>>,
    /// The head of the main branch.
    pub main: CommitId,
    /// The heads of the branches.
    pub heads: Vec<CommitId>,
}

/// Links the files and makes the branches.
pub async fn prepare(onward: &Onward, plan: &Plan) -> Result<Prepared> {
    let repository = onward.repo(REPO);
    repository.create(&MAIN.parse()?).await?;
    let main = repository.branch(MAIN);
    let empty = head(&main).await?;
    let mut contents = HashMap::from([(empty, Arc::new(Content::new()))]);
    let all: Content = plan.files.iter().map(|f| (f.path.as_str().into(), f.stamp)).collect();
    let links = plan.files.iter().map(|file| {
        let linked = TreeChange::Put(entry(&file.address, file.size, file.stamp));
        Ok(PathChange { path: file.path.parse()?, change: linked, condition: None })
    });
    let start = commit_all(&main, "all files", links).await?;
    contents.insert(start, Arc::new(all));
    let mut heads: Vec<CommitId> = Vec::new();
    for (number, planned) in plan.branches.iter().enumerate() {
        let from = planned.from.and_then(|from| heads.get(from).copied()).unwrap_or(start);
        let branch = repository.branch(planned.name.as_str());
        branch.create(&RefExpr::plain(from.to_string())).await?;
        let mut at = from;
        for (n, changes) in planned.commits.iter().enumerate() {
            let before = known(&contents, &at)?;
            let message = format!("branch {number}, commit {n}");
            at = commit_all(&branch, &message, path_changes(changes)).await?;
            contents.insert(at, Arc::new(changed(&before, changes)));
        }
        heads.push(at);
    }
    Ok(Prepared { contents, main: start, heads })
}

/// A commit's content by plan.
pub fn known(contents: &HashMap<CommitId, Arc<Content>>, id: &CommitId) -> Result<Arc<Content>> {
    contents
        .get(id)
        .cloned()
        .ok_or_else(|| Error::internal(format!("the history has a commit nobody made: {id}")))
}

/// A content with some changes.
pub fn changed(content: &Content, changes: &[Change]) -> Content {
    let mut content = content.clone();
    for change in changes {
        match change.stamp {
            Some(stamp) => content.insert(change.path.as_str().into(), stamp),
            None => content.remove(change.path.as_str()),
        };
    }
    content
}

/// Planned changes as the library takes them.
pub fn path_changes(changes: &[Change]) -> impl Iterator<Item = Result<PathChange>> {
    changes.iter().map(|Change { path, stamp }| {
        let change = match stamp {
            Some(stamp) => TreeChange::Put(entry(&format!("trial://{path}"), stamp % 9973, *stamp)),
            None => TreeChange::Delete,
        };
        Ok(PathChange { path: path.parse()?, change, condition: None })
    })
}

async fn commit_all(
    branch: &Branch,
    message: &str,
    changes: impl Iterator<Item = Result<PathChange>>,
) -> Result<CommitId> {
    let mut builder = branch.change().message(message).allow_empty(true);
    for change in changes {
        builder.push(change?)?;
    }
    match builder.commit().await? {
        Outcome::Committed { commit, .. } => Ok(commit),
        other => Err(Error::internal(format!("'{message}' ended as {}", other.name()))),
    }
}

/// The head of a branch.
pub async fn head(branch: &Branch) -> Result<CommitId> {
    let head = branch.show().await?.commit;
    head.ok_or_else(|| Error::internal("a branch of the trial has no commit"))
}
