//! Links to the pages of a repository. Refs and paths of users stand in the query, where no name is ever
//! taken for a part of an address.

use onward::{BranchName, CommitId, OpId, RepoName};

use crate::page::links::Link;

/// The links to one repository's pages.
#[derive(Debug, Clone, Copy)]
pub struct Links<'a> {
    repo: &'a RepoName,
}

impl<'a> Links<'a> {
    /// Those of this repository.
    pub fn of(repo: &'a RepoName) -> Self {
        Self { repo }
    }

    /// A page of the repository, with parameters; those without a value are left out.
    pub fn page(self, parts: &[&str], parameters: &[(&str, &str)]) -> Link {
        let parts: Vec<&str> = ["repos", self.repo.as_str()].iter().chain(parts).copied().collect();
        let given = parameters.iter().filter(|(_, value)| !value.is_empty());
        given.fold(Link::to(&parts), |link, (name, value)| link.with(name, value))
    }

    /// The repository with its branches.
    pub fn branches(self) -> Link {
        self.page(&[], &[])
    }

    /// The tags of the repository.
    pub fn tags(self) -> Link {
        self.page(&["tags"], &[])
    }

    /// Its rules of protected branches.
    pub fn rules(self) -> Link {
        self.page(&["rules"], &[])
    }

    /// The history of a ref.
    pub fn history(self, reference: &str) -> Link {
        self.page(&["history"], &[("ref", reference)])
    }

    /// What one commit says and changed.
    pub fn commit(self, id: &CommitId) -> Link {
        self.page(&["commit"], &[("ref", &id.to_string())])
    }

    /// The objects of a ref below a prefix.
    pub fn objects(self, reference: &str, prefix: &str) -> Link {
        self.page(&["objects"], &[("ref", reference), ("prefix", prefix)])
    }

    /// What is known of one object.
    pub fn object(self, reference: &str, path: &str) -> Link {
        self.page(&["object"], &[("ref", reference), ("path", path)])
    }

    /// The bytes of an object.
    pub fn bytes(self, reference: &str, path: &str) -> Link {
        self.page(&["bytes"], &[("ref", reference), ("path", path)])
    }

    /// What differs between two refs.
    pub fn compare(self, from: &str, to: &str) -> Link {
        self.page(&["compare"], &[("from", from), ("to", to)])
    }

    /// What merging one branch into another would bring.
    pub fn merge(self, source: &str, into: &str) -> Link {
        self.page(&["merge"], &[("source", source), ("into", into)])
    }

    /// What is not committed on a branch.
    pub fn uncommitted(self, branch: &str) -> Link {
        self.page(&["uncommitted"], &[("branch", branch)])
    }

    /// What became of an op.
    pub fn outcome(self, branch: &BranchName, op_id: OpId) -> Link {
        self.page(&["outcome"], &[("branch", branch.as_str()), ("op", &op_id.to_string())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_any_kind_stay_one_parameter() {
        let repo = RepoName::new("lake").unwrap();
        let (reference, path) = ("v1&x=é", "../a b/%2e#?\"<\n+");
        let link = Links::of(&repo).object(reference, path);
        let expected =
            "/ui/repos/lake/object?ref=v1%26x%3D%C3%A9&path=..%2Fa%20b%2F%252e%23%3F%22%3C%0A%2B";
        assert_eq!(link.as_str(), expected);
        assert_eq!(
            Links::of(&repo).objects("main", "").as_str(),
            "/ui/repos/lake/objects?ref=main"
        );
    }
}
