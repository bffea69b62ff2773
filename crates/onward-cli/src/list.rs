//! `ls` and `status ADDR`: listings, page by page, so that memory stays bounded.

use onward::Change;
use onward::internals::model::address::Address;
use onward::internals::tree::{ListItem, ListRequest};

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, TIME_WIDTH, human_bytes, local_time, printable};
use super::session::{branch_above, repo_of, with};
use super::shape;

/// Staged changes per page.
const STAGED_PAGE: usize = 1000;

/// Lists a ref.
pub async fn ls(global: &Global, out: &Out, address: &Address, recursive: bool) -> Done {
    let reference = address.require_ref()?;
    with(global, async |onward| {
        let repository = repo_of(&onward, &address.repo);
        let mut request = ListRequest {
            prefix: address.path.clone().unwrap_or_default(),
            delimiter: (!recursive).then(|| "/".to_owned()),
            ..ListRequest::default()
        };
        loop {
            let page = repository.list(reference, &request).await?;
            for item in &page.items {
                out.data(|| shape::item(item), || line(item))?;
            }
            match page.next {
                Some(next) => request.after = Some(next),
                None => return Ok(Exit::Done),
            }
        }
    })
    .await
}

fn line(item: &ListItem) -> String {
    match item {
        ListItem::Object(path, entry) => format!(
            "{:>11}  {}  {}",
            human_bytes(entry.size),
            local_time(entry.mtime.saturating_mul(1000)),
            printable(path.as_str())
        ),
        ListItem::CommonPrefix(prefix) => {
            format!("{:>11}  {:TIME_WIDTH$}  {}", "", "", printable(prefix))
        }
    }
}

/// Lists what is staged on a branch.
pub async fn status(global: &Global, out: &Out, address: &Address) -> Done {
    let prefix = address.path.as_deref().unwrap_or_default();
    with(global, async |onward| {
        let branch = branch_above(&onward, address)?;
        let mut after: Option<String> = None;
        let mut total = 0_usize;
        loop {
            let page = branch.status(prefix, after.as_deref(), STAGED_PAGE).await?;
            for change in &page {
                out.data(
                    || shape::staged(change),
                    || {
                        let path = printable(change.path.as_str());
                        match &change.change {
                            Change::Put(entry) => {
                                let size = human_bytes(entry.size);
                                out.green(&format!("put     {path}")) + &format!("  ({size})")
                            }
                            Change::Delete => out.red(&format!("delete  {path}")),
                        }
                    },
                )?;
            }
            total += page.len();
            match page.last() {
                Some(last) if page.len() == STAGED_PAGE => after = Some(last.path.to_string()),
                _ => break,
            }
        }
        let head = address.require_ref()?;
        out.note(&match total {
            0 => format!("nothing is staged at '{address}'"),
            n => format!(
                "{n} staged; `onward commit {}/{head} -m MESSAGE` commits them",
                address.repo
            ),
        });
        Ok(Exit::Done)
    })
    .await
}
