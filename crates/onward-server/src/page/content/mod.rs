//! Pages of what is in a repository: branches, tags, history, commits, differences, objects, what is not
//! committed; and the forms that change it.
//!
//! Each page is one file: its handler reads the library, bounded by what the page shows, and gives its
//! markup. What several share stands beside them: where a page is ([`at`]), [`links`], [`forms`], differences
//! by folder ([`grouped`], [`changes`]), lanes of a history ([`lanes`], [`graph`]). What a form asks for is
//! done by the calls that the APIs make, with the same roles and rules.

mod at;
mod branches;
mod bytes;
mod changes;
mod commit;
mod compare;
mod folders;
mod forms;
mod graph;
mod grouped;
mod history;
mod lanes;
mod links;
mod looks;
mod merge;
mod naming;
mod object;
mod objects;
mod outcome;
mod parquet;
mod part;
mod preview;
mod revert;
mod rules;
mod tags;
mod uncommitted;
mod words;

use axum::Router;
use axum::routing::get;

use crate::state::AppState;

pub use parquet::{Reader, look_at_parquet};

/// All of them, below `/ui/repos/{repo}`.
pub fn routes() -> Router<AppState> {
    let pages = Router::new()
        .route("/tags", get(tags::show))
        .route("/history", get(history::show))
        .route("/commit", get(commit::show))
        .route("/compare", get(compare::show))
        .route("/objects", get(objects::show))
        .route("/object", get(object::show))
        .route("/bytes", get(bytes::send))
        .route("/uncommitted", get(uncommitted::show).post(uncommitted::commit))
        .route("/uncommitted/discard", get(uncommitted::ask_to_discard).post(uncommitted::discard))
        .route("/merge", get(merge::show).post(merge::merge))
        .route("/revert", get(revert::ask).post(revert::revert))
        .route("/outcome", get(outcome::show))
        .route("/rules", get(rules::show).post(rules::add))
        .route("/rule/delete", get(rules::ask_to_remove).post(rules::remove))
        .route("/branch/new", get(naming::ask_branch).post(naming::create_branch))
        .route("/branch/delete", get(naming::ask_to_delete_branch).post(naming::delete_branch))
        .route("/tag/new", get(naming::ask_tag).post(naming::create_tag))
        .route("/tag/delete", get(naming::ask_to_delete_tag).post(naming::delete_tag));
    Router::new().route("/ui/repos/{repo}", get(branches::show)).nest("/ui/repos/{repo}", pages)
}
