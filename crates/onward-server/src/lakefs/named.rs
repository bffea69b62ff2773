//! What requests name: repositories, branches, refs and paths.

use crate::error::ApiResult;
use crate::state::App;
use onward::internals::repo::{Branch, Repository};
use onward::{ObjectPath, RefExpr};

/// The repository of that name.
pub fn repo(app: &App, name: &str) -> Repository {
    app.onward.repo(name)
}

/// A branch of a repository.
pub fn branch(app: &App, repo: &str, name: &str) -> Branch {
    app.onward.repo(repo).branch(name)
}

/// The ref that a text stands for.
pub fn reference(text: &str) -> ApiResult<RefExpr> {
    Ok(text.parse()?)
}

/// The path of an object.
pub fn path(text: &str) -> ApiResult<ObjectPath> {
    Ok(ObjectPath::new(text)?)
}
