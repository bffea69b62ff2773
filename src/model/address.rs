//! Addresses as users type them: `REPO`, `REPO/REF`, `REPO/REF/PATH`, and ref expressions
//! (`main`, `main@`, `v1~2`, `4f2a9c^1`).

use std::fmt;
use std::str::FromStr;

use super::error::{Error, Result, quoted, short};
use super::name::{BranchName, RepoName};
use super::path::ObjectPath;

/// What follows the name in a ref expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modifier {
    /// `~n`: the n-th ancestor along first parents.
    Ancestor(u32),
    /// `^n`: the n-th parent, 1-based; `^0` is the commit itself.
    Parent(u32),
}

/// Which face of a ref is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// A branch with what is staged on it; anything else as it is.
    Current,
    /// `@`: the committed head of a branch.
    Committed,
    /// `$`: only what is staged on a branch.
    Staged,
}

/// A parsed ref expression. What the name stands for (commit, branch or tag) is found by the
/// repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefExpr {
    /// A branch, a tag, a commit id or a unique prefix of one.
    pub base: String,
    /// Applied from left to right.
    pub modifiers: Vec<Modifier>,
    /// The face of the branch.
    pub face: Face,
}

impl RefExpr {
    /// The longest expression, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// A ref expression that is nothing but a name.
    pub fn plain(base: impl Into<String>) -> Self {
        Self { base: base.into(), modifiers: Vec::new(), face: Face::Current }
    }

    /// The branch name, if the expression can only be a plain branch.
    pub fn as_branch(&self) -> Result<BranchName> {
        if !self.modifiers.is_empty() || self.face != Face::Current {
            return Err(Error::invalid(format!(
                "'{self}' is not a branch: give the name of a branch without '~', '^', '@' or '$'"
            )));
        }
        BranchName::new(self.base.as_str())
    }
}

/// In its shortest form, which is never longer than what was read and so can be read again.
impl fmt::Display for RefExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        for modifier in &self.modifiers {
            match modifier {
                Modifier::Ancestor(1) => f.write_str("~")?,
                Modifier::Ancestor(n) => write!(f, "~{n}")?,
                Modifier::Parent(1) => f.write_str("^")?,
                Modifier::Parent(n) => write!(f, "^{n}")?,
            }
        }
        match self.face {
            Face::Current => Ok(()),
            Face::Committed => f.write_str("@"),
            Face::Staged => f.write_str("$"),
        }
    }
}

impl FromStr for RefExpr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            |why: &str| Error::invalid(format!("ref '{}' is not valid: {why}", quoted(text)));
        if text.is_empty() {
            return Err(wrong("it is empty; give a branch, a tag or a commit id"));
        }
        if text.len() > Self::MAX_LEN {
            return Err(wrong("it is longer than 1,024 bytes"));
        }
        let end = text.find(['~', '^', '@', '$']).unwrap_or(text.len());
        let (base, mut rest) = text.split_at(end);
        if base.is_empty() {
            return Err(wrong("no name stands before the modifiers"));
        }
        if base.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/') {
            return Err(wrong("a name has no white space, control characters or '/'"));
        }
        let mut expr = Self::plain(base);
        while let Some(mark) = rest.chars().next() {
            rest = rest.get(mark.len_utf8()..).unwrap_or_default();
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, behind) = rest.split_at(digits);
            match mark {
                '~' | '^' => {
                    let n = if number.is_empty() {
                        1
                    } else {
                        number.parse().map_err(|_| wrong("the number is too large"))?
                    };
                    expr.modifiers.push(if mark == '~' {
                        Modifier::Ancestor(n)
                    } else {
                        Modifier::Parent(n)
                    });
                    rest = behind;
                }
                '@' | '$' => {
                    if !rest.is_empty() || !expr.modifiers.is_empty() {
                        return Err(wrong("'@' and '$' stand alone behind a branch name"));
                    }
                    expr.face = if mark == '@' { Face::Committed } else { Face::Staged };
                }
                _ => return Err(wrong("only '~n', '^n', '@' and '$' may follow a name")),
            }
        }
        Ok(expr)
    }
}

/// `REPO[/REF[/PATH]]`, with `onward://` or `lakefs://` in front accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name of the repository.
    pub repo: RepoName,
    /// The ref, if given.
    pub reference: Option<RefExpr>,
    /// The path or prefix, if given. May be empty after a trailing slash, meaning the root.
    pub path: Option<String>,
}

impl Address {
    /// The ref, or an error that says what to type.
    pub fn require_ref(&self) -> Result<&RefExpr> {
        self.reference.as_ref().ok_or_else(|| {
            Error::invalid(format!(
                "'{self}' names a repository, and no ref in one: give REPO/REF, for example lake/main"
            ))
        })
    }

    /// The branch, or an error that says what to type. A path behind it is refused.
    pub fn require_branch(&self) -> Result<BranchName> {
        if self.path.as_ref().is_some_and(|path| !path.is_empty()) {
            return Err(Error::invalid(format!(
                "'{}' has a path where only REPO/BRANCH is expected",
                short(&self.to_string())
            )));
        }
        self.require_ref()?.as_branch()
    }

    /// The path of one object, or an error that says what to type.
    pub fn require_path(&self) -> Result<ObjectPath> {
        match self.path.as_deref() {
            None | Some("") => Err(Error::invalid(format!(
                "'{self}' names no object: give REPO/REF/PATH, for example {}/main/data/a.csv",
                self.repo
            ))),
            Some(path) => ObjectPath::new(path),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repo)?;
        if let Some(reference) = &self.reference {
            write!(f, "/{reference}")?;
        }
        if let Some(path) = &self.path {
            write!(f, "/{path}")?;
        }
        Ok(())
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let rest = text
            .strip_prefix("onward://")
            .or_else(|| text.strip_prefix("lakefs://"))
            .unwrap_or(text);
        let mut parts = rest.splitn(3, '/');
        let repo = RepoName::new(parts.next().unwrap_or_default())?;
        let reference = match parts.next() {
            None | Some("") => None,
            Some(reference) => Some(reference.parse()?),
        };
        let path = parts.next().map(str::to_owned);
        if reference.is_none() && path.is_some() {
            return Err(Error::invalid(format!(
                "'{}' has an empty ref between two slashes: give REPO/REF/PATH",
                quoted(text)
            )));
        }
        Ok(Self { repo, reference, path })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::name::TagName;
    use super::*;

    proptest! {
        /// A name that can be given can be asked for.
        #[test]
        fn a_ref_of_the_text_of_a_new_name_means_that_name(name in r"[a-z0-9~^@$./\\_\-#%{}é \t]{1,8}") {
            let tag = TagName::new(name.as_str()).and_then(|tag| tag.check_new());
            let branch = BranchName::new(name.as_str());
            if tag.is_ok() || branch.is_ok() {
                prop_assert_eq!(name.parse::<RefExpr>().unwrap(), RefExpr::plain(name));
            }
        }
    }

    #[test]
    fn ref_expressions_are_read_like_lakefs_does() {
        let expr: RefExpr = "main~2^1~".parse().unwrap();
        assert_eq!(expr.base, "main");
        let expected = [Modifier::Ancestor(2), Modifier::Parent(1), Modifier::Ancestor(1)];
        assert_eq!(expr.modifiers, expected);
        assert_eq!(expr.to_string(), "main~2^~");
        assert_eq!("main@".parse::<RefExpr>().unwrap().face, Face::Committed);
        assert_eq!("main$".parse::<RefExpr>().unwrap().face, Face::Staged);
        for bad in ["", "~1", "main@1", "main~1@", "main~99999999999", "a b", "main~x"] {
            assert!(bad.parse::<RefExpr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_read_with_and_without_scheme() {
        let address: Address = "lakefs://lake/main/t/a.parquet".parse().unwrap();
        assert_eq!(address.repo.as_str(), "lake");
        assert_eq!(address.require_path().unwrap().as_str(), "t/a.parquet");
        assert_eq!("lake".parse::<Address>().unwrap().reference, None);
        assert_eq!("lake/main/".parse::<Address>().unwrap().path.as_deref(), Some(""));
        assert!("lake//x".parse::<Address>().is_err());
        assert!("la ke/main".parse::<Address>().is_err());
        assert!("lake/main~1".parse::<Address>().unwrap().require_branch().is_err());
    }
}
