//! Patterns of names of branches.

use glob::Pattern;

use crate::model::error::{Error, Result, quoted};

/// The longest pattern, in bytes.
pub const PATTERN_LEN_MAX: usize = 255;

/// Fails where this is not a pattern of names of branches: `?` is any character, `*` any number of them,
/// `[a-c]` one of these.
pub fn check(pattern: &str) -> Result<()> {
    let shown: String = pattern.chars().take(100).collect();
    let wrong = |why: &str| {
        let shown = shown.escape_debug();
        Error::invalid(format!(
            "'{shown}' is not a pattern of branch names: {why}; examples: main, release-*"
        ))
    };
    if pattern.is_empty() || pattern.len() > PATTERN_LEN_MAX {
        return Err(wrong("it has 1 to 255 bytes"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-*?[]!".contains(c);
    if !pattern.chars().all(allowed) {
        return Err(wrong("it has letters, digits, '_', '-' and the signs * ? [ ] !"));
    }
    Pattern::new(pattern).map(drop).map_err(|error| wrong(error.msg))
}

/// A pattern that was stored, ready to be compared with names.
pub fn ready(pattern: &str) -> Result<Pattern> {
    Pattern::new(pattern).map_err(|error| {
        Error::corrupt(format!("the rule for '{}' cannot be applied", quoted(pattern)))
            .with_source(error)
    })
}
