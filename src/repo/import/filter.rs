//! Which names of a source an import takes.

use glob::{MatchOptions, Pattern};

use super::request::{ImportRequest, PATTERNS_MAX};
use crate::model::error::{Error, Result};

/// Which names are wanted.
pub(super) struct Filter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

impl Filter {
    pub(super) fn of(request: &ImportRequest) -> Result<Self> {
        if request.include.len() + request.exclude.len() > PATTERNS_MAX {
            return Err(Error::invalid(format!(
                "an import takes at most {PATTERNS_MAX} patterns: import in parts"
            )));
        }
        Ok(Self { include: patterns(&request.include)?, exclude: patterns(&request.exclude)? })
    }

    pub(super) fn takes(&self, key: &str) -> bool {
        let matches = |pattern: &Pattern| matches(pattern, key);
        (self.include.is_empty() || self.include.iter().any(matches))
            && !self.exclude.iter().any(matches)
    }
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>> {
    let read = |text: &String| {
        Pattern::new(text).map_err(|error| {
            Error::invalid(format!(
                "'{}' is not a pattern; examples: *.parquet, 2026/**, **/tmp/*",
                text.escape_debug()
            ))
            .with_source(error)
        })
    };
    texts.iter().map(read).collect()
}

fn matches(pattern: &Pattern, key: &str) -> bool {
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    let text = match pattern.as_str().contains('/') || pattern.as_str() == "**" {
        true => key,
        false => key.rsplit('/').next().unwrap_or(key),
    };
    pattern.matches_with(text, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_about_names_or_about_paths() {
        for (pattern, key, takes) in [
            ("*.csv", "a/b/c.csv", true),
            ("*.csv", "a.csv/b", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/**", "a/b/c", true),
            ("**/tmp/*", "x/y/tmp/z", true),
            ("**/tmp/*", "tmp/z", true),
            ("**", "a/b", true),
            ("[ab]?", "x/a1", true),
        ] {
            assert_eq!(matches(&Pattern::new(pattern).unwrap(), key), takes, "{pattern} {key}");
        }
    }
}
