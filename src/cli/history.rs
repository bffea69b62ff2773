//! `show`, `diff`: one commit, and what is different.

use futures::TryStreamExt;
use onward::Error;
use onward::model::address::{Address, RefExpr};
use onward::repo::history::CommitInfo;
use onward::tree::Diff;
use serde_json::json;

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, local_time, printable};
use super::session::{ref_in, repo_of, with};
use super::shape;

/// One commit.
pub async fn show(global: &Global, out: &Out, address: &Address) -> Done {
    let reference = address.require_ref()?;
    without_path(address)?;
    with(global, async |onward| {
        let info = repo_of(&onward, &address.repo).show_commit(reference).await?;
        out.data(|| shape::commit(&info), || page(out, &info))?;
        Ok(Exit::Done)
    })
    .await
}

fn page(out: &Out, info: &CommitInfo) -> String {
    let commit = &info.commit;
    let mut text = format!("commit     {}\n", out.yellow(&info.id.to_string()));
    for parent in &commit.parents {
        text += &format!("parent     {parent}\n");
    }
    text += &format!(
        "committer  {}\ncreated    {}\nticket     {}\nop id      {}\ngeneration {}\n",
        printable(&commit.committer),
        local_time(commit.created_ms),
        info.ticket(),
        commit.op_id,
        commit.generation
    );
    for (key, value) in &commit.metadata {
        text += &format!("meta       {}={}\n", printable(key), printable(value));
    }
    for line in commit.message.lines() {
        text += &format!("\n    {}", printable(line));
    }
    text
}

/// What is different in `right` from `left`.
pub async fn diff(global: &Global, out: &Out, left: &Address, right: &str) -> Done {
    let left_ref = left.require_ref()?;
    let right_ref = right_side(left, right)?;
    with(global, async |onward| {
        let prefix = left.path.as_deref().unwrap_or_default();
        let repository = repo_of(&onward, &left.repo);
        let mut diff = repository.diff(left_ref, &right_ref, prefix).await?;
        while let Some(diff) = diff.try_next().await? {
            let (kind, mark) = kind(&diff);
            out.data(
                || json!({"path": diff.path, "type": kind, "before": diff.before, "after": diff.after}),
                || {
                    let line = format!("{mark} {}", printable(diff.path.as_str()));
                    match kind {
                        "added" => out.green(&line),
                        "removed" => out.red(&line),
                        _ => out.yellow(&line),
                    }
                },
            )?;
        }
        Ok(Exit::Done)
    })
    .await
}

fn kind(diff: &Diff) -> (&'static str, char) {
    match (&diff.before, &diff.after) {
        (None, _) => ("added", '+'),
        (_, None) => ("removed", '-'),
        _ => ("changed", '~'),
    }
}

/// The right side is an address of the same repository, or only a ref. The prefix of the left side
/// may be said again.
fn right_side(left: &Address, right: &str) -> onward::Result<RefExpr> {
    let again = left.path.as_ref().filter(|path| !path.is_empty());
    let reference = again.and_then(|path| right.strip_suffix(&format!("/{path}")));
    ref_in(&left.repo, reference.unwrap_or(right))
}

fn without_path(address: &Address) -> onward::Result<()> {
    match address.path.as_deref() {
        None | Some("") => Ok(()),
        Some(path) => Err(Error::invalid(format!(
            "'{address}' has a path ('{path}') where only REPO/REF is expected"
        ))),
    }
}
