//! Where a request works: a branch, whose head it reads and which it changes, or a tag or commit, which it reads.

use onward::history::Face;
use onward::read::{ListItem, ListPage, ListRequest};
use onward::{
    Branch, CommitId, Entry, ErrorKind, ObjectPath, Onward, PathChange, RefExpr, RepoName,
    Repository,
};

use super::error::{CatalogError, Kind, Result};
use super::submit::{Decided, Said, submit};
use super::warehouse::Warehouse;

/// Items that are read of a listing at a time.
const PAGE: usize = 1000;
/// The most names that one answer has; more are asked for in pages.
pub const NAMES_MAX: usize = 100_000;

/// A repository at a ref.
#[derive(Debug, Clone)]
pub struct Place {
    pub(super) repo: Repository,
    /// The warehouse of its tables.
    pub(super) warehouse: Warehouse,
    name: RepoName,
    reference: RefExpr,
    /// The branch, where the ref can be the name of one.
    branch: Option<Branch>,
}

/// Names on a page, and what to give for the next one.
#[derive(Debug, Default)]
pub struct Names<T> {
    /// The names, in the order of their bytes.
    pub items: Vec<T>,
    /// Where the next page begins; none where there is none.
    pub next: Option<String>,
}

/// Which names are asked for.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The most names that are wanted; none for all.
    pub size: Option<usize>,
    /// Where it begins: what [`Names::next`] said.
    pub after: Option<String>,
}

impl Place {
    /// `REPO` or `REPO@REF`, as a warehouse and the prefix of URLs have it. A repository alone is its default branch.
    pub async fn find(
        onward: &Onward,
        text: &str,
        warehouse: impl FnOnce(&RepoName) -> Warehouse,
    ) -> Result<Self> {
        let (name, reference) =
            text.split_once('@').map_or((text, None), |(name, at)| (name, Some(at)));
        let name = RepoName::new(name)?;
        let repo = onward.repo(name.as_str());
        let reference: RefExpr = match reference {
            Some(reference) => reference.parse()?,
            None => RefExpr::plain(repo.show().await?.default_branch.as_str()),
        };
        if reference.face != Face::Current {
            return Err(CatalogError::invalid(format!(
                "'{reference}': tables are what is committed, so '@' and '$' behind a branch mean nothing here: give the branch alone"
            )));
        }
        let branch = reference.as_branch().ok().map(|name| repo.branch(name.as_str()));
        let warehouse = warehouse(&name);
        Ok(Self { repo, warehouse, name, reference, branch })
    }

    /// Fails where there is nothing of this name.
    pub async fn require(&self) -> Result<()> {
        Ok(self.repo.commit_of(&self.reference).await.map(drop)?)
    }

    /// Where files of its tables lie.
    pub fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    /// Whether it can be a branch: tags may have such names, too.
    pub fn can_be_changed(&self) -> bool {
        self.branch.is_some()
    }

    /// What URLs of this place have for a prefix.
    pub fn prefix(&self) -> String {
        format!("{}@{}", self.name, self.reference)
    }

    /// The branch that a change is made on.
    pub(super) fn branch(&self) -> Result<&Branch> {
        self.branch.as_ref().ok_or_else(|| self.read_only())
    }

    fn read_only(&self) -> CatalogError {
        CatalogError::new(
            Kind::Forbidden,
            format!(
                "'{}' is no branch, and so can only be read: change the branch it came from",
                self.prefix()
            ),
        )
    }

    /// Commits changes to the branch.
    pub(super) async fn change(&self, changes: Vec<PathChange>, said: Said) -> Result<Decided> {
        let branch = self.branch()?;
        match submit(branch, changes, said).await {
            // A tag may have a name that a branch could have.
            Err(error) if error.kind == Kind::NoSuchWarehouse => {
                self.require().await?;
                Err(self.read_only())
            }
            decided => decided,
        }
    }

    /// What paths name, as committed. One call to Redis on a branch, and what the tree has to read.
    pub(super) async fn entries(&self, paths: &[ObjectPath]) -> Result<Vec<Option<Entry>>> {
        if let Some(branch) = &self.branch {
            match branch.committed(paths).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                read => return Ok(read?),
            }
        }
        let at = self.commit().await?;
        let mut entries = Vec::with_capacity(paths.len());
        for path in paths {
            entries.push(match self.repo.stat(&at, path).await {
                Ok(entry) => Some(entry),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error.into()),
            });
        }
        Ok(entries)
    }

    /// What one path names, as committed.
    pub(super) async fn entry(&self, path: &ObjectPath) -> Result<Option<Entry>> {
        Ok(self.entries(std::slice::from_ref(path)).await?.pop().flatten())
    }

    /// The newest commit of the branch; none where it has none.
    pub(super) async fn head(&self) -> Result<Option<CommitId>> {
        Ok(self.repo.commit_of(&self.reference).await?)
    }

    /// The commit that the ref stands for.
    async fn commit(&self) -> Result<RefExpr> {
        let commit = self.repo.require_commit(&self.reference).await?;
        Ok(RefExpr::plain(commit.to_string()))
    }

    /// Whether anything but `except` is below a folder.
    pub(super) async fn has_below(
        &self,
        folder: &str,
        except: Option<&ObjectPath>,
    ) -> Result<bool> {
        let amount = 1 + usize::from(except.is_some());
        let request = ListRequest { prefix: folder.to_owned(), amount, ..ListRequest::default() };
        let found = self.list(&request).await?.items;
        Ok(found.iter().any(|item| except.is_none_or(|except| item.name() != except.as_str())))
    }

    /// The names of what lies directly in a folder and is wanted. Costs what is there, wanted or not.
    pub(super) async fn names<T>(
        &self,
        folder: &str,
        page: &Page,
        wanted: impl Fn(&str, &ListItem) -> Option<T>,
    ) -> Result<Names<T>> {
        let after = page.after.as_ref().map(|after| format!("{folder}{after}"));
        let most = page.size.unwrap_or(NAMES_MAX).min(NAMES_MAX);
        let delimiter = Some("/".to_owned());
        let mut request = ListRequest { prefix: folder.to_owned(), after, delimiter, amount: PAGE };
        let mut names = Names { items: Vec::new(), next: None };
        loop {
            let listed = self.list(&request).await?;
            for item in &listed.items {
                let last = item.name().get(folder.len()..).unwrap_or_default();
                let Some(name) = wanted(last, item) else { continue };
                if names.items.len() == most {
                    return match page.size {
                        Some(_) => Ok(names),
                        None => Err(CatalogError::invalid(format!(
                            "there are more than {NAMES_MAX} names: ask for them in pages, with pageToken and pageSize"
                        ))),
                    };
                }
                names.items.push(name);
                names.next = Some(last.to_owned());
            }
            match listed.next {
                Some(next) => request.after = Some(next),
                None => return Ok(Names { next: None, ..names }),
            }
        }
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        if self.branch.is_some() {
            let head = RefExpr { face: Face::Committed, ..self.reference.clone() };
            match self.repo.list(&head, request).await {
                Err(error)
                    if error.kind() == ErrorKind::NotFound
                        || error.kind() == ErrorKind::InvalidInput => {}
                read => return Ok(read?),
            }
        }
        Ok(self.repo.list(&self.commit().await?, request).await?)
    }
}
