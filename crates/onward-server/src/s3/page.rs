//! Pages of a bucket: what is at one ref, or at all branches in the order of keys.
//!
//! Branches are the folders of a bucket. Tags and commits are read by those who name them and not listed:
//! else whoever reads a whole bucket would read everything that ever was.

use s3s::{S3Error, S3ErrorCode, S3Result};

use super::error::{told, told_bucket, within};
use super::names::SLASH;
use onward::internals::repo::{NamesRequest, Repository};
use onward::internals::tree::{ListItem, ListRequest};
use onward::{Entry, ErrorKind, RefExpr};

/// Items of a page, at most, as in S3.
pub const PAGE_MAX: usize = 1000;

/// What is asked of a bucket.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Keys that have this behind the prefix are listed once, as the part up to it.
    pub delimiter: Option<String>,
    /// Only what comes behind this key, or behind all keys of this common prefix.
    pub after: Option<String>,
    /// The most items, at most [`PAGE_MAX`].
    pub amount: usize,
}

/// A page of a bucket.
#[derive(Debug, Default)]
pub struct Page {
    /// Objects by their keys.
    pub objects: Vec<(String, Entry)>,
    /// Common prefixes, each ending with the delimiter.
    pub prefixes: Vec<String>,
    /// What to ask for behind; `None` where this was the last page.
    pub next: Option<String>,
}

impl Page {
    /// How many items it has.
    pub fn len(&self) -> usize {
        self.objects.len() + self.prefixes.len()
    }

    /// What it ends with: items are added in the order of keys.
    fn last(&self) -> Option<String> {
        let object = self.objects.last().map(|(key, _)| key);
        object.max(self.prefixes.last()).cloned()
    }
}

/// One page. At one ref it costs what a listing of the library does; of the whole bucket, besides, two
/// reads for each branch.
pub async fn page(repo: &Repository, asked: &Asked) -> S3Result<Page> {
    if asked.amount == 0 {
        // Nothing is nothing, of a bucket that there is.
        repo.show().await.map_err(told_bucket)?;
        return Ok(Page::default());
    }
    if let Some((reference, _)) = asked.prefix.split_once(SLASH) {
        let mut page = Page::default();
        at_ref(repo, reference, asked, &mut page).await?;
        return Ok(page);
    }
    let branches = branches(repo, &asked.prefix).await?;
    match asked.delimiter.as_deref() {
        Some("/") => Ok(folders(branches, asked)),
        // It could lie across the end of a branch's name.
        Some(delimiter) if delimiter.contains(SLASH) => Err(S3Error::with_message(
            S3ErrorCode::NotImplemented,
            "across branches a bucket is listed with the delimiter '/', or with one that has no '/' in it",
        )),
        _ => across(repo, branches, asked).await,
    }
}

/// What stands before the keys of each branch whose name begins with the prefix, in the order of keys.
async fn branches(repo: &Repository, prefix: &str) -> S3Result<Vec<String>> {
    let all =
        NamesRequest { prefix: prefix.to_owned(), amount: usize::MAX, ..NamesRequest::default() };
    let found = within(repo, repo.branches_page(&all, false)).await?;
    // Of names, `a-b` is behind `a`; of keys, `a-b/` is before `a/`.
    let mut folders: Vec<String> =
        found.items.into_iter().map(|info| format!("{}{SLASH}", info.name)).collect();
    folders.sort();
    Ok(folders)
}

fn folders(branches: Vec<String>, asked: &Asked) -> Page {
    let mut behind = branches.into_iter().filter(|folder| is_behind(folder, asked));
    let prefixes: Vec<String> = behind.by_ref().take(asked.amount).collect();
    let next = behind.next().and(prefixes.last().cloned());
    Page { prefixes, next, ..Page::default() }
}

/// Whether a common prefix is to be listed: one with keys behind `after` is, unless it is itself what came last.
fn is_behind(common: &str, asked: &Asked) -> bool {
    let after = asked.after.as_deref().unwrap_or_default();
    common > after || (after != common && after.starts_with(common))
}

/// The keys of all branches in their order, with a delimiter that has no slash in it or with none.
async fn across(repo: &Repository, branches: Vec<String>, asked: &Asked) -> S3Result<Page> {
    let mut page = Page::default();
    for folder in branches {
        let rest =
            Asked { prefix: folder.clone(), amount: asked.amount - page.len(), ..asked.clone() };
        let reference = folder.trim_end_matches(SLASH);
        match in_name(&folder, asked) {
            Some(common) if page.prefixes.last() == Some(&common) || !is_behind(&common, asked) => {
            }
            Some(_) if is_empty(repo, reference, &rest).await? => {}
            Some(common) if rest.amount > 0 => page.prefixes.push(common),
            Some(_) => page.next = page.last(),
            None if rest.amount > 0 => at_ref(repo, reference, &rest, &mut page).await?,
            None if is_empty(repo, reference, &rest).await? => {}
            None => page.next = page.last(),
        }
        if page.next.is_some() {
            break;
        }
    }
    Ok(page)
}

/// The common prefix of all keys of a branch, where the delimiter is in its name.
fn in_name(folder: &str, asked: &Asked) -> Option<String> {
    let delimiter = asked.delimiter.as_deref()?;
    let rest = folder.strip_prefix(asked.prefix.as_str())?;
    let end = rest.find(delimiter)? + delimiter.len();
    Some(format!("{}{}", asked.prefix, rest.get(..end)?))
}

async fn is_empty(repo: &Repository, reference: &str, asked: &Asked) -> S3Result<bool> {
    let mut first = Page::default();
    at_ref(repo, reference, &Asked { amount: 1, ..asked.clone() }, &mut first).await?;
    Ok(first.len() == 0)
}

/// Adds what is at one ref, whose name the prefix begins with.
async fn at_ref(
    repo: &Repository,
    reference: &str,
    asked: &Asked,
    page: &mut Page,
) -> S3Result<()> {
    let folder = format!("{reference}{SLASH}");
    let after = match asked.after.as_deref() {
        Some(after) => match after.strip_prefix(&folder) {
            Some(rest) => Some(rest.to_owned()).filter(|rest| !rest.is_empty()),
            None if after > folder.as_str() => return Ok(()),
            None => None,
        },
        None => None,
    };
    let request = ListRequest {
        prefix: asked.prefix.strip_prefix(&folder).unwrap_or_default().to_owned(),
        after,
        delimiter: asked.delimiter.clone(),
        amount: asked.amount,
    };
    let Ok(reference) = reference.parse::<RefExpr>() else {
        repo.show().await.map_err(told_bucket)?;
        return Ok(());
    };
    let listed = match repo.list(&reference, &request).await {
        Ok(listed) => listed,
        // Where there is no such ref there are no keys, as below every other prefix that nothing has.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            repo.show().await.map_err(told_bucket)?;
            return Ok(());
        }
        Err(error) => return Err(told(error)),
    };
    for item in listed.items {
        match item {
            ListItem::CommonPrefix(prefix) => page.prefixes.push(format!("{folder}{prefix}")),
            ListItem::Object(path, entry) => page.objects.push((format!("{folder}{path}"), entry)),
        }
    }
    page.next = listed.next.map(|next| format!("{folder}{next}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_page_by_page_in_the_order_of_keys() {
        let all = || ["a-b/", "a/", "b/", "c/"].map(str::to_owned).to_vec();
        let asked = |after: Option<&str>, amount| Asked {
            after: after.map(str::to_owned),
            amount,
            ..Asked::default()
        };
        let first = folders(all(), &asked(None, 3));
        assert_eq!(first.prefixes, ["a-b/", "a/", "b/"]);
        assert_eq!(first.next.as_deref(), Some("b/"));
        let last = folders(all(), &asked(Some("b/"), 3));
        assert_eq!((last.prefixes, last.next), (vec!["c/".to_owned()], None));
        // Behind a key of a folder there may be others of it.
        assert_eq!(folders(all(), &asked(Some("a/x"), 9)).prefixes, ["a/", "b/", "c/"]);
        assert_eq!(folders(all(), &asked(Some("zz"), 9)).prefixes, Vec::<String>::new());
    }
}
