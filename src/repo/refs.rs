//! Refs: from what users type to commits.

use crate::model::address::{Face, Modifier, RefExpr};
use crate::model::commit::Commit;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::CommitId;
use crate::model::name::{BranchName, TagName};

use super::handles::Branch;
use super::handles::Repository;
use super::prefix::{self, STEPS};

/// The shortest prefix of a commit id.
const PREFIX_MIN: usize = 6;

/// As lakeFS says that a ref leads nowhere.
const NO_COMMIT: &str = "commit not found";

/// The longest walk of one `~n`.
const ANCESTOR_MAX: u32 = 100_000;

/// What a ref stands for.
#[derive(Debug, Clone)]
pub enum Resolved {
    /// A branch, as it is: staged changes over the head.
    Branch(Branch),
    /// A commit; `None` is the state before the first commit of a repository.
    Commit(Option<CommitId>),
}

impl Repository {
    /// What a ref stands for, with the precedence of lakeFS: commit id, branch, tag, unique
    /// prefix of a recent commit id.
    #[doc(hidden)]
    pub async fn resolve(&self, reference: &RefExpr) -> Result<Resolved> {
        let named = self.resolve_base(reference).await?;
        let is_branch = matches!(named, Resolved::Branch(_));
        match (&named, reference.face) {
            (_, Face::Committed | Face::Staged) if !is_branch => Err(Error::invalid(format!(
                "'{reference}': '@' and '$' go with a branch, and '{0}' is none: give '{0}' alone",
                reference.base
            ))),
            (_, Face::Staged) => Err(Error::invalid(format!(
                "'{reference}' means only what is staged, which is no commit"
            ))
            .known_as("reference to staging area with $ is not a commit")
            .at_the_prompt("`onward status` shows what is staged")),
            (_, Face::Current) if reference.modifiers.is_empty() => Ok(named),
            _ => {
                let head = self.committed(named).await?;
                let commit = self.walk(head, reference).await?;
                Ok(Resolved::Commit(commit))
            }
        }
    }

    /// The commit a ref stands for: of a branch, its head.
    pub async fn commit_of(&self, reference: &RefExpr) -> Result<Option<CommitId>> {
        let resolved = self.resolve(reference).await?;
        self.committed(resolved).await
    }

    /// The commit that a ref names; a ref without a commit is an error.
    pub async fn require_commit(&self, reference: &RefExpr) -> Result<CommitId> {
        self.commit_of(reference).await?.ok_or_else(|| {
            Error::not_found(format!("'{reference}' has no commit yet in '{}'", self.display()))
                .known_as(NO_COMMIT)
        })
    }

    /// A commit by its id.
    pub async fn commit(&self, id: &CommitId) -> Result<Commit> {
        let life = self.life().await?;
        let coordinator = self.onward.coordinator();
        let found = match coordinator.lake(&life).commit(id).await {
            // The repository may have been deleted and made again since it was last asked for.
            Err(error) if error.kind() == ErrorKind::NotFound => match self.live().await?.0 {
                now if now == life => Err(error),
                now => coordinator.lake(&now).commit(id).await,
            },
            found => found,
        };
        found.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::not_found(format!(
                "there is no commit {id} in repository '{}'",
                self.display()
            ))
            .known_as(NO_COMMIT),
            _ => error,
        })
    }

    pub(super) fn display(&self) -> String {
        self.name().map(|name| name.to_string()).unwrap_or_default()
    }

    async fn committed(&self, resolved: Resolved) -> Result<Option<CommitId>> {
        match resolved {
            Resolved::Commit(commit) => Ok(commit),
            Resolved::Branch(branch) => Ok(branch.head().await?.1.commit),
        }
    }

    async fn resolve_base(&self, reference: &RefExpr) -> Result<Resolved> {
        let (repo, base) = (self.name()?, reference.base.as_str());
        if let Ok(id) = base.parse::<CommitId>() {
            self.commit(&id).await?;
            return Ok(Resolved::Commit(Some(id)));
        }
        if let Ok(name) = BranchName::new(base)
            && self.onward.inner.find(&repo, &name).await?.is_some()
        {
            return Ok(Resolved::Branch(self.branch(base)));
        }
        if let Ok(name) = TagName::new(base)
            && let Some(commit) = self.find_tag(&name).await?
        {
            return Ok(Resolved::Commit(Some(commit)));
        }
        let is_hex = base.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex || !(PREFIX_MIN..64).contains(&base.len()) {
            return Err(Error::not_found(format!(
                "'{base}' is no branch, tag or commit of repository '{repo}'; a commit id has 64 digits or at least its first {PREFIX_MIN}"
            ))
            .known_as(NO_COMMIT)
            .at_the_prompt(format!(
                "`onward branch list {repo}` and `onward tag list {repo}` show names"
            )));
        }
        match self.commits_with_prefix(base).await?.as_slice() {
            [] => Err(Error::not_found(format!(
                "'{base}' is no branch or tag of repository '{repo}', and begins no id among the newest {STEPS} commits of any branch: give all 64 digits of an older commit"
            ))
            .known_as(NO_COMMIT)),
            [id] => Ok(Resolved::Commit(Some(*id))),
            _ => Err(Error::not_found(format!(
                "'{base}' begins more than one id among the newest {STEPS} commits of the branches of '{repo}': give more digits"
            ))
            .known_as("reference is ambiguous: not found")),
        }
    }

    /// Recent commits whose id begins with `prefix`, of any branch.
    async fn commits_with_prefix(&self, prefix: &str) -> Result<Vec<CommitId>> {
        let heads = self.heads().await?.into_iter().map(|(_, head)| head);
        prefix::find(&self.lake().await?, heads, prefix).await
    }

    async fn walk(&self, head: Option<CommitId>, reference: &RefExpr) -> Result<Option<CommitId>> {
        let mut at = head;
        for modifier in &reference.modifiers {
            let Some(id) = at else {
                return Err(self.beyond(reference));
            };
            at = Some(match modifier {
                Modifier::Ancestor(n) => self.ancestor(id, *n, reference).await?,
                Modifier::Parent(0) => id,
                Modifier::Parent(n) => self.parent(id, *n, reference).await?,
            });
        }
        Ok(at)
    }

    async fn ancestor(&self, id: CommitId, n: u32, reference: &RefExpr) -> Result<CommitId> {
        if n > ANCESTOR_MAX {
            return Err(Error::invalid(format!(
                "'{reference}': at most {ANCESTOR_MAX} commits back"
            )));
        }
        let mut at = id;
        for _ in 0..n {
            at = match self.commit(&at).await?.parents.first() {
                Some(parent) => *parent,
                None => return Err(self.beyond(reference)),
            };
        }
        Ok(at)
    }

    async fn parent(&self, id: CommitId, n: u32, reference: &RefExpr) -> Result<CommitId> {
        let parents = self.commit(&id).await?.parents;
        parents.get(n as usize - 1).copied().ok_or_else(|| {
            Error::invalid(format!(
                "'{reference}': the commit has {} parents, there is no number {n}",
                parents.len()
            ))
        })
    }

    fn beyond(&self, reference: &RefExpr) -> Error {
        Error::not_found(format!(
            "'{reference}' goes back beyond the first commit of '{}'",
            self.display()
        ))
        .known_as(NO_COMMIT)
    }
}
