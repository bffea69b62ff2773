//! `log`, `show`: what happened.

use onward::internals::model::address::Address;
use onward::internals::repo::history::CommitInfo;

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, local_time, printable};
use super::pair::without_path;
use super::session::{repo_of, with};
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
