//! The rules for names of repositories, branches and tags, the same as lakeFS's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result, quoted};

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks the rule and makes a name.
            pub fn new(name: impl Into<Box<str>>) -> Result<Self> {
                let name = name.into();
                let check: fn(&str) -> bool = $check;
                if check(&name) {
                    return Ok(Self(name));
                }
                Err(Error::invalid(format!(
                    concat!("'{}' is not a valid ", $what, " name: ", $rule),
                    quoted(&name)
                )))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }
    };
}

name_type!(
    /// Name of a repository.
    RepoName,
    "repository",
    "use 3 to 63 lower-case letters, digits and '-', starting with a letter or digit",
    |name| {
        (3..=63).contains(&name.len())
            && !name.starts_with('-')
            && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    }
);

name_type!(
    /// Name of a branch.
    BranchName,
    "branch",
    "use 1 to 255 letters, digits, '_' and '-', not starting with '-' and not 64 hex digits",
    |name| {
        (1..=255).contains(&name.len())
            && !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            && !looks_like_commit_id(name)
    }
);

name_type!(
    /// Name of a tag.
    TagName,
    "tag",
    "use 1 to 255 printable characters without space, '/', '\\', '^', ':', '?', '*', '[', '@', '$' or '..', not starting with '-' or '.', not ending with '.' or '.lock', not 64 hex digits",
    |name| {
        (1..=255).contains(&name.len())
            && !name.starts_with(['-', '.'])
            && !name.ends_with('.')
            && !name.ends_with(".lock")
            && !name.contains("..")
            && !name.chars().any(|c| {
                c.is_whitespace() || c.is_control() || "/\\^:?*[@$".contains(c)
            })
            && !looks_like_commit_id(name)
    }
);

impl TagName {
    /// Fails for a name that a tag must not be given, because a ref of this text means something else:
    /// `main~1` is the commit before `main`. Tags that had such names before this was a rule keep
    /// them: they are listed and can be deleted, and no ref leads to them.
    pub fn check_new(&self) -> Result<()> {
        match self.0.contains('~') {
            true => Err(Error::invalid(format!(
                "'{}' is not a valid tag name: '~' in a ref asks for an ancestor, so the tag could not be reached",
                quoted(&self.0)
            ))),
            false => Ok(()),
        }
    }
}

fn looks_like_commit_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_rules() {
        for good in ["lake", "a-b", "0ab"] {
            assert!(RepoName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "-ab", "Lake", "a_b", "a/b", "{lake}", &"x".repeat(64)] {
            assert!(RepoName::new(bad).is_err(), "{bad}");
        }
        for good in ["main", "_x", "tx-1", "A"] {
            assert!(BranchName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-x", "a b", "a/b", "é", "a}", &"0".repeat(64)] {
            assert!(BranchName::new(bad).is_err(), "{bad}");
        }
        for good in ["v1.0", "größe", "a~1"] {
            assert!(TagName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".x", "x.lock", "a..b", "a b", "a/b", "x^", "x@"] {
            assert!(TagName::new(bad).is_err(), "{bad}");
        }
        for new in ["main~1", "~", "v1~2"] {
            assert!(TagName::new(new).unwrap().check_new().is_err(), "{new}");
        }
    }
}
