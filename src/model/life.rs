//! One life of a repository: a name that is deleted and taken again begins another one, which shares
//! no object with those before it.

use std::fmt;
use std::str::FromStr;

use super::error::{Error, Result};
use super::name::RepoName;

/// The folder, in that of the first life, that holds the later ones.
pub const LIVES: &str = "lives";

/// One life of a repository. As text it is its folder in the object store: `lake`, and from the
/// second life on `lake/lives/0000000002`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoLife {
    name: RepoName,
    number: u32,
}

impl RepoLife {
    /// The first life of a name.
    pub fn first(name: RepoName) -> Self {
        Self { name, number: 1 }
    }

    /// The life of a name with this number, from 1.
    pub fn new(name: RepoName, number: u32) -> Self {
        Self { name, number: number.max(1) }
    }

    /// The life that comes after this one.
    pub fn next(&self) -> Self {
        Self::new(self.name.clone(), self.number.saturating_add(1))
    }

    /// Name of the repository.
    pub fn name(&self) -> &RepoName {
        &self.name
    }

    /// Which life of the name it is, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The life that a key lies in, and what follows the folder of the life in it.
    pub fn split(key: &str) -> Option<(Self, &str)> {
        let (name, rest) = key.split_once('/')?;
        let name = RepoName::new(name).ok()?;
        let Some(later) = rest.strip_prefix(LIVES).and_then(|rest| rest.strip_prefix('/')) else {
            return Some((Self::first(name), rest));
        };
        let (number, rest) = later.split_once('/')?;
        Some((Self::new(name, parse_number(number)?), rest))
    }
}

/// Reads the number of a life from the second on, in 10 digits.
pub fn parse_number(text: &str) -> Option<u32> {
    if text.len() != 10 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| *number > 1)
}

impl fmt::Display for RepoLife {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            1 => self.name.fmt(f),
            number => write!(f, "{}/{LIVES}/{number:010}", self.name),
        }
    }
}

impl FromStr for RepoLife {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match Self::split(&format!("{text}/")) {
            Some((life, "")) => Ok(life),
            _ => RepoName::new(text).map(Self::first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_spelled_as_its_folder() {
        let lake = RepoName::new("lake").unwrap();
        let (first, second) = (RepoLife::first(lake.clone()), RepoLife::first(lake).next());
        assert_eq!(first.to_string(), "lake");
        assert_eq!(second.to_string(), "lake/lives/0000000002");
        for life in [first.clone(), second.clone(), second.next()] {
            assert_eq!(life.to_string().parse::<RepoLife>().unwrap(), life);
            let key = format!("{life}/branches/main/0000000001");
            assert_eq!(RepoLife::split(&key), Some((life, "branches/main/0000000001")));
        }
        for odd in ["lake/lives/0000000001", "lake/lives/2", "lake/lives/", "lake/x", "", "UP"] {
            assert!(odd.parse::<RepoLife>().is_err(), "{odd}");
        }
    }
}
